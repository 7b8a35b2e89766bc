// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	// Header is the name of the header with the proof, as [net/http.Header] spells it.
	Header = "Dpop"
	// NonceHeader is the name of the header with a nonce (RFC 9449 section 8).
	NonceHeader = "DPoP-Nonce"
	// Typ is the type of a proof.
	Typ = "dpop+jwt"

	// Past is how old a proof without nonce may be, and Future how far ahead of ours its clock. (The FAPI 2.0 Security Profile, section
	// 5.3.2.1, has ten seconds accepted and more than sixty refused.)
	Past, Future = time.Minute, 10 * time.Second

	// MaxProof and MaxID bound a proof and its jti, in bytes.
	MaxProof, MaxID = 4 << 10, 256
)

// ErrProof is a proof that is missing or refused: invalid_dpop_proof.
var ErrProof = errors.New("the DPoP proof is not valid")

// ErrNonce is a proof that lacks a nonce of ours, or has one that is too old: use_dpop_nonce.
var ErrNonce = errors.New("the DPoP proof needs another nonce")

// Request is what a proof is compared with.
type Request struct {
	// Proofs are all values of the header [Header].
	Proofs []string
	// Method is that of the request. URI is its address as the client sees it, with scheme and host; what follows "?" or "#" does not
	// count.
	Method, URI string
	// Token is the access token that the proof comes with; empty where there is none.
	Token string
}

// Proof is a proof that stands. That it was not used before is not known yet.
type Proof struct {
	// Thumbprint is the RFC 7638 thumbprint of the key.
	Thumbprint string
	// ID is the same for a proof that is sent again, and for no other; it is no secret and has a fixed length.
	ID string
	// At is when the proof was made, by the nonce where it has one of ours and by itself otherwise; Until is when it stops being one.
	At, Until time.Time
}

// Config is what a checker needs. Now and Nonces are required.
type Config struct {
	Now    func() time.Time
	Nonces *Nonces
	// Algs are the algorithms that are taken. Default: [Algorithms].
	Algs []jose.Algorithm
	// Demand has every proof carry a nonce of ours.
	Demand bool
	// Since is when the memory of used proofs began. One without nonce that may have been used before, by a clock that is ahead as far as
	// clocks may be, is refused with [ErrNonce]. Optional.
	Since time.Time
}

// Algorithms are what a proof may be signed with unless configured.
var Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA, jose.PS256, jose.RS256}

// Checker tells good proofs from others. It is safe for concurrent use.
type Checker struct {
	config Config
	reader *jose.SelfSigned
}

// New returns a checker, or an error that says what is missing.
func New(c Config) (*Checker, error) {
	if c.Now == nil || c.Nonces == nil {
		return nil, errors.New("building a checker of DPoP proofs: a clock and nonces are required")
	}
	if len(c.Algs) == 0 {
		c.Algs = Algorithms
	}
	return &Checker{config: c, reader: jose.NewSelfSigned(MaxProof)}, nil
}

// Algs returns the algorithms as metadata and challenges name them.
func (c *Checker) Algs() []jose.Algorithm { return slices.Clone(c.config.Algs) }

// Nonce returns a nonce for the next proof; an error says that its key cannot be had.
func (c *Checker) Nonce() (string, error) { return c.config.Nonces.New(c.config.Now()) }

// Refusal words why a proof is refused, with a status and with the nonce that would help where one would (RFC 9449 sections 5, 7.1 and
// 8). A key that has had its share is told to slow down (429). What could not be judged is temporarily_unavailable.
func (c *Checker) Refusal(err error, status int) *oauth.Error {
	var refusal *oauth.Error
	switch {
	case errors.Is(err, ErrNonce):
		nonce, broken := c.Nonce()
		if broken != nil {
			return oauth.Unavailable(broken)
		}
		refusal = oauth.NewError(oauth.UseDPoPNonce, "the DPoP proof needs the nonce that comes with this answer")
		refusal.Nonce = nonce
	case errors.Is(err, ErrShare):
		return oauth.TooMany(Past).WithCause(err)
	case errors.Is(err, ErrProof):
		refusal = oauth.NewError(oauth.InvalidDPoPProof, "the DPoP proof is not valid")
	default:
		return oauth.Unavailable(err)
	}
	refusal.Status = status
	return refusal.WithCause(err)
}

// claims are what a proof says.
type claims struct {
	ID         string `json:"jti"`
	Method     string `json:"htm"`
	URI        string `json:"htu"`
	IssuedAt   *int64 `json:"iat"`
	AccessHash string `json:"ath"`
	Nonce      string `json:"nonce"`
}

// Check judges the proof of a request by the steps of RFC 9449 section 4.3: what costs least first, the signature before the nonce,
// so that nobody is given one who holds no key. An error wraps [ErrProof], or [ErrNonce] where the same client would be let in with a
// proof that has the nonce of [Checker.Nonce]. Any other says that the proof cannot be judged, since a key cannot be had.
func (c *Checker) Check(r Request) (Proof, error) {
	if len(r.Proofs) != 1 { // 4.3-1
		return Proof{}, fmt.Errorf("%d headers: %w", len(r.Proofs), ErrProof)
	}
	token, key, err := c.reader.Parse(r.Proofs[0]) // 4.3-2, 4.3-5, 4.3-7
	if err != nil {
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if !jose.EqualTyp(token.Header.Typ, Typ) || !slices.Contains(c.config.Algs, token.Header.Alg) { // 4.3-4, 4.3-5
		return Proof{}, fmt.Errorf("its typ or algorithm: %w", ErrProof)
	}
	var said claims
	if err := token.Claims(&said); err != nil { // 4.3-3
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	if err := said.fit(r); err != nil {
		return Proof{}, err
	}
	if err := token.Verify(key.PublicKey); err != nil { // 4.3-6
		return Proof{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	p := Proof{Thumbprint: key.Thumbprint, ID: identify(key.Thumbprint, said.ID)}
	if err := c.date(&p, &said); err != nil {
		return Proof{}, err
	}
	return p, nil
}

// fit compares what a proof says with the request that it came with.
func (s *claims) fit(r Request) error {
	switch {
	case s.ID == "" || len(s.ID) > MaxID || s.IssuedAt == nil: // 4.3-3
		return fmt.Errorf("its jti or iat: %w", ErrProof)
	case s.Method != r.Method: // 4.3-8
		return fmt.Errorf("it is for another method: %w", ErrProof)
	case !sameURI(s.URI, r.URI): // 4.3-9
		return fmt.Errorf("it is for another address: %w", ErrProof)
	case r.Token != "" && subtle.ConstantTimeCompare([]byte(s.AccessHash), []byte(hash(r.Token))) != 1: // 4.3-12
		return fmt.Errorf("it is for another access token: %w", ErrProof)
	}
	return nil
}

// date finds out when a proof was made and until when it lasts, and refuses one that is too old or from the future (4.3-10, 4.3-11).
func (c *Checker) date(p *Proof, said *claims) error {
	now := c.config.Now()
	if said.Nonce != "" {
		at, err := c.config.Nonces.Made(said.Nonce, now)
		if err != nil {
			return fmt.Errorf("judging its nonce: %w", err)
		}
		p.At, p.Until = at, at.Add(c.config.Nonces.Lifetime())
		return nil
	}
	if c.config.Demand {
		return fmt.Errorf("it has no nonce: %w", ErrNonce)
	}
	p.At = time.Unix(*said.IssuedAt, 0)
	p.Until = p.At.Add(Past)
	if !now.Before(p.Until) || p.At.Sub(now) > Future || p.At.Before(c.config.Since.Add(Future)) {
		return fmt.Errorf("its clock is off, or it is old, by %s: %w", now.Sub(p.At), ErrNonce)
	}
	return nil
}

// identify names a proof by its key and jti.
func identify(thumbprint, id string) string {
	return hash(thumbprint + "." + id)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ReadNonce returns the one nonce of a header [NonceHeader]; empty for none and for what is not one.
func ReadNonce(values []string) string {
	if len(values) != 1 || len(values[0]) > MaxID || strings.IndexFunc(values[0], notNonce) >= 0 {
		return ""
	}
	return values[0]
}

// notNonce is what does not belong to NQCHAR (RFC 6749 appendix A).
func notNonce(r rune) bool { return r < '!' || r > '~' || r == '"' || r == '\\' }
