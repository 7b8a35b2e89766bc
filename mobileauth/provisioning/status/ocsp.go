// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
)

// How long an answer is good for, and how long it is given out again; how many are remembered.
const (
	answerValid = time.Hour
	answerAge   = 10 * time.Minute
	maxAnswers  = 4096
)

// responder answers about single certificates.
type responder struct {
	issuers      *Issuers
	certificates Certificates
	now          func() time.Time

	mu       sync.Mutex
	revision string
	given    map[string]answer // by the request
}

// answer is what was signed, and when.
type answer struct {
	der  []byte
	from time.Time
	tag  string // names it for caches (RFC 9110 8.8.3)
}

func newAnswer(der []byte, from time.Time) answer {
	name := sha256.Sum256(der)
	return answer{der: der, from: from, tag: fmt.Sprintf("%q", hex.EncodeToString(name[:16]))}
}

// answer returns the answer to a request, and whether it may be kept. An answer that says that something is wrong may not (RFC 6960
// 2.3); an error goes with the answer for it.
func (r *responder) answer(ctx context.Context, der []byte) (answer, bool, error) {
	asked, err := ocsp.ParseRequest(der)
	if err != nil || asked.SerialNumber == nil {
		return answer{der: ocsp.MalformedRequestErrorResponse}, false, nil
	}
	revision, err := r.issuers.revision(ctx)
	if err != nil {
		return answer{der: ocsp.TryLaterErrorResponse}, false, fmt.Errorf("answering about a certificate: %w", err)
	}
	key := requestKey(asked)
	if has, ok := r.has(key, revision); ok {
		return has, true, nil
	}
	by, err := r.issuers.get(ctx, func(_ string, by *provisioning.Issuer) bool { return issued(by.Chain[0], asked) })
	if err != nil {
		return answer{der: ocsp.TryLaterErrorResponse}, false, fmt.Errorf("answering about a certificate: %w", err)
	}
	if by == nil {
		return answer{der: ocsp.UnauthorizedErrorResponse}, false, nil
	}
	made, known, err := r.sign(ctx, asked, by)
	switch {
	case errors.Is(err, errSigning):
		return answer{der: ocsp.InternalErrorErrorResponse}, false, err
	case err != nil:
		return answer{der: ocsp.TryLaterErrorResponse}, false, err
	case known: // what nobody has issued is not worth remembering
		r.remember(key, revision, made)
	}
	return made, true, nil
}

// requestKey tells requests apart by what they ask.
func requestKey(asked *ocsp.Request) string {
	return fmt.Sprintf("%d %x %x %x", asked.HashAlgorithm, asked.IssuerNameHash, asked.IssuerKeyHash, asked.SerialNumber)
}

func (r *responder) has(key, revision string) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	has, ok := r.given[key]
	return has, ok && r.revision == revision && r.now().Before(has.from.Add(answerAge))
}

func (r *responder) remember(key, revision string, made answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.revision != revision || len(r.given) >= maxAnswers {
		r.revision = revision
		clear(r.given)
	}
	r.given[key] = made
}

// issued reports whether a request names a certificate as its issuer (RFC 6960 4.1.1).
func issued(by *x509.Certificate, asked *ocsp.Request) bool {
	var key struct {
		Algorithm asn1.RawValue
		Public    asn1.BitString
	}
	if _, err := asn1.Unmarshal(by.RawSubjectPublicKeyInfo, &key); err != nil || !asked.HashAlgorithm.Available() {
		return false
	}
	return bytes.Equal(sum(asked.HashAlgorithm, key.Public.RightAlign()), asked.IssuerKeyHash) &&
		bytes.Equal(sum(asked.HashAlgorithm, by.RawSubject), asked.IssuerNameHash)
}

func sum(by crypto.Hash, data []byte) []byte {
	h := by.New()
	_, _ = h.Write(data) // a hash takes everything
	return h.Sum(nil)
}

// reasonOf is why a certificate is revoked, as lists and answers have it (RFC 5280 5.3.1).
func reasonOf(c *provisioning.Certificate) int {
	if c.Superseded() {
		return ocsp.Superseded
	}
	return ocsp.Unspecified
}

// errSigning is wrapped where an answer could not be signed.
var errSigning = errors.New("it cannot be signed")

// sign looks a certificate up and says what has become of it; known is false for one that was never issued, or is long over.
func (r *responder) sign(ctx context.Context, asked *ocsp.Request, by *provisioning.Issuer) (made answer, known bool, err error) {
	now := r.now().UTC().Truncate(time.Second)
	template := ocsp.Response{
		Status: ocsp.Unknown, SerialNumber: asked.SerialNumber, IssuerHash: asked.HashAlgorithm, ThisUpdate: now, NextUpdate: now.Add(answerValid),
	}
	if asked.SerialNumber.Sign() > 0 {
		c, err := r.certificates.Issued(ctx, provisioning.AuthorityID(by.Chain[0]), asked.SerialNumber)
		switch {
		case errors.Is(err, storage.ErrNotFound):
		case err != nil:
			return made, false, fmt.Errorf("answering about a certificate: %w", err)
		case c.RevokedAt.IsZero():
			template.Status, known = ocsp.Good, true
		default:
			template.Status, template.RevokedAt, template.RevocationReason, known = ocsp.Revoked, c.RevokedAt, reasonOf(&c), true
		}
	}
	der, err := ocsp.CreateResponse(by.Chain[0], by.Chain[0], template, by.Key)
	if err != nil {
		return made, false, fmt.Errorf("answering about a certificate: %w: %w", errSigning, err)
	}
	return newAnswer(der, now), known, nil
}
