// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Media types of the tokens, as they stand in typ.
const (
	TypAccess    = "at+jwt"
	TypID        = "JWT"
	TypSite      = "gatehouse-session+jwt"
	TypAssertion = "gatehouse-assertion+jwt"
)

// Keys is where signing keys come from. It is asked for every token and must answer from memory.
type Keys interface {
	// Signer returns the key that signs where nobody asks for an algorithm.
	Signer() (jose.PrivateKey, error)
	// SignerFor returns the key that signs with the algorithm.
	SignerFor(alg jose.Algorithm) (jose.PrivateKey, error)
}

// Config is what an issuer of tokens needs. All fields are required.
type Config struct {
	// Issuer stands in iss, exactly as in the metadata.
	Issuer string
	Keys   Keys
	Now    func() time.Time
}

// Issuer mints tokens. It is safe for concurrent use.
type Issuer struct {
	config  Config
	head    []byte // the beginning of every token's claims
	signers map[slot]*atomic.Pointer[signer]
}

// slot is one kind of token signed with one algorithm.
type slot struct {
	typ string
	alg jose.Algorithm
}

// signer is kept for as long as its key is the one that signs, because it has encoded the header.
type signer struct {
	kid string
	*jose.Signer
}

// ErrSubject is wrapped when a subject cannot stand in a token: it is empty, longer than 255 characters, or not printable
// ASCII (OpenID Connect Core 2).
var ErrSubject = errors.New("unfit subject")

// maxSubject is the length of the longest sub.
const maxSubject = 255

// New returns an issuer of tokens, or an error that says what is missing.
func New(c Config) (*Issuer, error) {
	if c.Issuer == "" || c.Keys == nil || c.Now == nil {
		return nil, errors.New("building the issuer of tokens: issuer, keys and a clock are required")
	}
	head := object{'{'}
	head.text("iss", c.Issuer)
	i := &Issuer{config: c, head: head, signers: map[slot]*atomic.Pointer[signer]{}}
	for _, typ := range []string{TypAccess, TypID, TypSite, TypAssertion, TypIntrospection} {
		for _, alg := range []jose.Algorithm{jose.ES256, jose.EdDSA, jose.RS256, jose.PS256} {
			i.signers[slot{typ, alg}] = new(atomic.Pointer[signer])
		}
	}
	return i, nil
}

// begin returns the claims that every token begins with.
func (i *Issuer) begin(subject string) (object, error) {
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	const room = 768 // for nearly every token's claims
	o := append(make(object, 0, room), i.head...)
	o.text("sub", subject)
	return o, nil
}

func checkSubject(subject string) error {
	for i := range len(subject) {
		if subject[i] < 0x20 || subject[i] > 0x7e {
			return fmt.Errorf("a subject with characters outside printable ASCII: %w", ErrSubject)
		}
	}
	if subject == "" || len(subject) > maxSubject {
		return fmt.Errorf("a subject of %d characters: %w", len(subject), ErrSubject)
	}
	return nil
}

// key returns the key for an algorithm; "" is the default.
func (i *Issuer) key(alg jose.Algorithm) (jose.PrivateKey, error) {
	if alg == "" {
		return i.config.Keys.Signer()
	}
	return i.config.Keys.SignerFor(alg)
}

func (i *Issuer) sign(typ string, key jose.PrivateKey, claims []byte) (string, error) {
	kept, ok := i.signers[slot{typ, key.Alg}]
	if !ok {
		return jose.Sign(key, typ, claims)
	}
	s := kept.Load()
	if s == nil || s.kid != key.KID || key.KID == "" {
		fresh, err := jose.NewSigner(key, typ)
		if err != nil {
			return "", err
		}
		s = &signer{kid: key.KID, Signer: fresh}
		kept.Store(s)
	}
	return s.Sign(claims)
}

// second returns a moment to the second, in which tokens count, and now for the zero moment.
func (i *Issuer) second(t time.Time) time.Time {
	if t.IsZero() {
		t = i.config.Now()
	}
	return t.UTC().Truncate(time.Second)
}
