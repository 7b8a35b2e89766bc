// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Confirmation is what the sender of a token must show to hold (RFC 7800 section 3.1): one of the two, or both.
type Confirmation struct {
	// Key is the RFC 7638 thumbprint of a key (jkt, RFC 9449 section 6.1).
	Key string
	// Certificate is the SHA-256 of a certificate in base64url (x5t#S256, RFC 8705 section 3.1).
	Certificate string
}

// Credential is what a request presents: a token, and what its sender has shown to hold.
type Credential struct {
	Token string

	proof       *shown
	certificate *x509.Certificate // of the TLS connection
}

// shown is a proof that stands and goes with one request.
type shown struct {
	dpop.Proof
	proofs *Proofs
	ctx    context.Context // of the request that the proof goes with
	used   bool
}

// use uses the proof up, in this process first: what it refuses costs nothing elsewhere.
func (s *shown) use(owner string, now time.Time) error {
	if err := s.proofs.replays.Use(s.Proof, owner, now); err != nil || s.proofs.spend == nil {
		return err
	}
	fresh, err := s.proofs.spend(s.ctx, s.Thumbprint+"."+s.ID, s.Until)
	if err == nil && !fresh {
		err = dpop.ErrReplayed
	}
	return err
}

// Bearer returns the credential of a request that presents a token and nothing else.
func Bearer(token string) Credential { return Credential{Token: token} }

// Proven reports whether the credential comes with a DPoP proof.
func (c Credential) Proven() bool { return c.proof != nil }

// Redeem compares what a token asks of its sender with what the sender has shown, and uses the proof up. It is the last step of every
// [Authority]: a token that is bound to anything is good for nobody else. A request may be judged more than once; its proof counts as
// one.
func (c Credential) Redeem(p *Principal, now time.Time) error {
	var bound Confirmation
	if p.Confirmation != nil {
		bound = *p.Confirmation
	}
	switch {
	case bound.Key == "" && c.proof != nil:
		return Invalid(ErrUnbound)
	case bound.Key != "" && c.proof == nil:
		return Invalid(ErrBound)
	case bound.Key != "" && subtle.ConstantTimeCompare([]byte(bound.Key), []byte(c.proof.Thumbprint)) != 1:
		return Invalid(ErrHolder)
	case bound.Certificate != "" && !c.shows(bound.Certificate):
		return Invalid(ErrShown)
	case c.proof == nil || c.proof.used:
		return nil
	}
	if err := c.proof.use(p.Issuer+"\x00"+p.ClientID+"\x00"+p.Subject, now); err != nil {
		return c.proof.proofs.checker.Refusal(err, http.StatusUnauthorized)
	}
	c.proof.used = true
	return nil
}

// shows reports whether the connection shows the certificate with a thumbprint (RFC 8705 section 3.1).
func (c Credential) shows(thumbprint string) bool {
	return c.certificate != nil && subtle.ConstantTimeCompare([]byte(thumbprint), []byte(jose.CertificateThumbprint(c.certificate))) == 1
}

// readConfirmation reads the claim cnf. One that holds anything that is not known here says that something must be shown which nobody
// looks at: it is refused with [ErrBound].
func readConfirmation(value string) (*Confirmation, error) {
	if !strings.HasPrefix(value, "{") {
		return nil, fmt.Errorf("reading cnf: %w", ErrBound)
	}
	c := new(Confirmation)
	for name, text := range members(value) {
		var err error
		switch name {
		case "jkt":
			c.Key, err = readString(text)
		case "x5t#S256":
			c.Certificate, err = readString(text)
		default:
			err = ErrBound
		}
		if err != nil {
			return nil, fmt.Errorf("reading cnf: %w", ErrBound)
		}
	}
	if *c == (Confirmation{}) {
		return nil, fmt.Errorf("reading cnf: %w", ErrBound)
	}
	return c, nil
}
