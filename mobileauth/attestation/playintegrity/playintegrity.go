// SPDX-License-Identifier: Apache-2.0

package playintegrity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// Format is the name of the evidence.
const Format = "play-integrity"

// MaxToken is the size of the largest token that is read, in bytes.
const MaxToken = 12 << 10

const (
	// MaxAge is how old a verdict may be where nothing else is said.
	MaxAge = 10 * time.Minute
	// ahead is how far Google's clock may be before ours.
	ahead = time.Minute
)

// Reasons of rejections.
const (
	ReasonToken       = "token"            // no token, or one that was not made under our keys
	ReasonVerdict     = "verdict"          // a token that says something else than a verdict
	ReasonNonce       = "nonce"            // a verdict for another occasion, or about other keys
	ReasonTime        = "time"             // a verdict that is too old
	ReasonApplication = "application"      // another app, or one that Google Play does not know
	ReasonDevice      = "device_integrity" // a phone that does not meet device integrity
)

// Config describes a [Verifier]. All but MaxAge is required.
type Config struct {
	// DecryptionKey and VerificationKey are those that the Play Console shows: 32 bytes, and a key on P-256.
	DecryptionKey   []byte
	VerificationKey *ecdsa.PublicKey
	// Packages are the names of the apps, and Digests the SHA-256 of the certificates that they may be signed with.
	Packages []string
	Digests  [][]byte
	// MaxAge is how old a verdict may be. Default: [MaxAge].
	MaxAge time.Duration
	Now    func() time.Time
}

// Verifier judges tokens. It is safe for concurrent use.
type Verifier struct{ Config }

// New returns a verifier, or an error that says what is missing.
func New(c Config) (*Verifier, error) {
	switch {
	case len(c.Packages) == 0 || len(c.Digests) == 0 || c.Now == nil || c.MaxAge < 0:
		return nil, errors.New("judging Play Integrity: a package, the digest of a signing certificate and a clock are required")
	case len(c.DecryptionKey) != 32:
		return nil, errors.New("judging Play Integrity: the decryption key has not 32 bytes")
	case c.VerificationKey == nil || c.VerificationKey.Curve != elliptic.P256():
		return nil, errors.New("judging Play Integrity: the verification key is not on P-256")
	}
	for _, digest := range c.Digests {
		if len(digest) != sha256.Size {
			return nil, fmt.Errorf("judging Play Integrity: a digest has %d bytes and not %d", len(digest), sha256.Size)
		}
	}
	if c.MaxAge == 0 {
		c.MaxAge = MaxAge
	}
	return &Verifier{c}, nil
}

// payload is a verdict. What is not known yet is passed over.
type payload struct {
	Request struct {
		Package string `json:"requestPackageName"`
		Nonce   string `json:"nonce"`
		Time    millis `json:"timestampMillis"`
	} `json:"requestDetails"`
	App struct {
		Verdict string   `json:"appRecognitionVerdict"`
		Package string   `json:"packageName"`
		Digests []string `json:"certificateSha256Digest"`
	} `json:"appIntegrity"`
	Device struct {
		Verdict []string `json:"deviceRecognitionVerdict"`
	} `json:"deviceIntegrity"`
}

// millis is a number of milliseconds, which may stand between quotation marks.
type millis int64

// UnmarshalJSON reads the number.
func (m *millis) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(data), `"`), 10, 64)
	*m = millis(n)
	return err
}

// Verify judges a token that was asked for with a nonce, which stands in it as base64url without padding. The grade is tee for a phone
// that meets strong integrity, and software for one that meets device integrity. What is wrong is an [attestation.Rejection].
func (v *Verifier) Verify(token string, nonce []byte) (attestation.Grade, error) {
	p, err := v.open(token)
	if err != nil {
		return attestation.Unknown, err
	}
	want := base64.RawURLEncoding.EncodeToString(nonce)
	if len(nonce) == 0 || subtle.ConstantTimeCompare([]byte(strings.TrimRight(p.Request.Nonce, "=")), []byte(want)) != 1 {
		return attestation.Unknown, attestation.Reject(ReasonNonce, "judging a verdict for another request")
	}
	made, now := time.UnixMilli(int64(p.Request.Time)), v.Now()
	if made.Before(now.Add(-v.MaxAge)) || made.After(now.Add(ahead)) {
		return attestation.Unknown, attestation.Reject(ReasonTime, "judging a verdict that is not of these minutes")
	}
	if err := v.checkApp(p); err != nil {
		return attestation.Unknown, err
	}
	switch {
	case slices.Contains(p.Device.Verdict, "MEETS_STRONG_INTEGRITY"):
		return attestation.TEE, nil
	case slices.Contains(p.Device.Verdict, "MEETS_DEVICE_INTEGRITY"):
		return attestation.Software, nil
	}
	return attestation.Unknown, attestation.Reject(ReasonDevice, "judging a phone that is not known to be whole")
}

// open decrypts a token and checks who made it, in this order: only what Google has signed is read.
func (v *Verifier) open(token string) (*payload, error) {
	inner, err := jose.OpenWrapped(token, v.DecryptionKey, MaxToken)
	if err != nil {
		return nil, attestation.Reject(ReasonToken, "decrypting a token: %w", err)
	}
	signed, err := jose.ParseUpTo(string(inner), MaxToken)
	if err != nil {
		return nil, attestation.Reject(ReasonToken, "reading a token: %w", err)
	}
	if err := signed.Verify(jose.PublicKey{Alg: jose.ES256, Key: v.VerificationKey}); err != nil {
		return nil, attestation.Reject(ReasonToken, "checking a token: %w", err)
	}
	p := new(payload)
	if err := jose.UnmarshalObject(signed.Payload, p); err != nil {
		return nil, attestation.Reject(ReasonVerdict, "reading a verdict: %w", err)
	}
	return p, nil
}

// checkApp refuses any app but the operator's, as Google Play has it.
func (v *Verifier) checkApp(p *payload) error {
	switch {
	case p.App.Verdict != "PLAY_RECOGNIZED":
		return attestation.Reject(ReasonApplication, "judging an app that Google Play does not recognise")
	case !slices.Contains(v.Packages, p.Request.Package), p.App.Package != p.Request.Package, len(p.App.Digests) == 0:
		return attestation.Reject(ReasonApplication, "judging another app")
	}
	for _, text := range p.App.Digests {
		digest, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil || !slices.ContainsFunc(v.Digests, func(known []byte) bool { return bytes.Equal(known, digest) }) {
			return attestation.Reject(ReasonApplication, "judging an app that somebody else has signed")
		}
	}
	return nil
}
