// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation/internal/sieve"
)

const (
	// TypAccessToken is the type of access tokens (RFC 9068 2.1).
	TypAccessToken = "at+jwt"
	// TypJWT is the type of tokens of which the type says nothing. Some issuers give it to their access tokens, and all of
	// them to their ID tokens.
	TypJWT = "JWT"

	// DefaultCacheBytes is the memory for what is known about tokens, unless configured.
	DefaultCacheBytes = 64 << 20
	// MaxLeeway is the longest leeway for exp that can be configured.
	MaxLeeway = 5 * time.Minute
)

// Revocations knows which tokens are dead before their time. It is asked for each request and answers from memory.
type Revocations interface {
	Revoked(*Principal) bool
}

// Explainer is a second ability of [Revocations]: to say why a token is refused that it has found revoked.
type Explainer interface {
	// Cause returns [ErrRevoked] or [ErrVersion].
	Cause(*Principal) error
}

// Current is another ability of [Revocations]: to say that they are not known any more, since whoever keeps them could not be asked for
// too long. It is asked for each request and answers from memory.
type Current interface {
	// Current returns nil while the revocations are as new as they have to be.
	Current(now time.Time) error
}

// Config says which tokens are valid here.
type Config struct {
	// Issuer is the iss of valid tokens, compared as it stands. Required.
	Issuer string
	// Audience are the names of this resource; a valid token is for one of them. Required.
	Audience []string
	// Keys are the issuer's keys. Required.
	Keys KeySource
	// Now is the clock. Required.
	Now func() time.Time
	// Typ is the type of valid tokens in their header. Default: [TypAccessToken], which makes every claim that RFC 9068
	// section 2.2 requires required here too. [TypJWT] is for issuers that do not follow it: tokens without a type pass as
	// well, and what looks like an ID token or a logout token is refused by its claims. With it the audience must not be
	// the identifier of a client, since ID tokens have that as theirs.
	Typ string
	// Algs are the acceptable algorithms. Default: ES256, EdDSA, RS256 and PS256.
	Algs []Algorithm
	// ScopeClaim is the claim with the scopes, a string or a list. Default: scope.
	ScopeClaim string
	// Revocations, unless nil, knows which tokens are revoked.
	Revocations Revocations
	// Leeway is how long after its exp a token is still accepted, at most [MaxLeeway]. Default: not at all.
	Leeway time.Duration
	// CacheBytes bounds the memory for what is known about tokens. Default: [DefaultCacheBytes]. Less than zero is none.
	CacheBytes int64
}

// Validator tells valid tokens of one issuer from all others. It is safe for concurrent use.
type Validator struct {
	config  Config
	current Current // nil where Revocations is none
	digest  *sieve.Digester
	cache   *sieve.Cache[fact]
}

// fact is what is known about a token: whom it names, and the key that proved it.
type fact struct {
	principal Principal
	kid       string
	key       Key
}

// New returns a validator, or an error that says what the configuration lacks.
func New(c Config) (*Validator, error) {
	if c.Typ == "" {
		c.Typ = TypAccessToken
	}
	if c.ScopeClaim == "" {
		c.ScopeClaim = "scope"
	}
	if len(c.Algs) == 0 {
		c.Algs = []Algorithm{ES256, EdDSA, RS256, PS256}
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = DefaultCacheBytes
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("building a validator for %q: %w", c.Issuer, err)
	}
	digest, err := sieve.NewDigester(c.Issuer)
	if err != nil {
		return nil, err
	}
	current, _ := c.Revocations.(Current)
	return &Validator{config: c, current: current, digest: digest, cache: sieve.New[fact](max(0, c.CacheBytes))}, nil
}

func (c *Config) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("an issuer is required")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return errors.New("an audience is required, and none may be empty")
	case c.Keys == nil:
		return errors.New("a key source is required")
	case c.Now == nil:
		return errors.New("a clock is required")
	case c.Leeway < 0 || c.Leeway > MaxLeeway:
		return fmt.Errorf("the leeway is not between 0 and %s", MaxLeeway)
	case slices.ContainsFunc(c.Algs, func(a Algorithm) bool { return !a.Supported() }):
		return errors.New("an algorithm is not supported")
	}
	return nil
}

// Now returns the time by the validator's clock.
func (v *Validator) Now() time.Time { return v.config.Now() }

// Validate returns what a token says if it is valid now and its sender holds what it is bound to. Otherwise the error is an
// *[Error]: invalid_token, invalid_dpop_proof for a proof that was used before, or temporarily_unavailable when the issuer's
// keys, or what was revoked, cannot be known.
func (v *Validator) Validate(ctx context.Context, c Credential) (*Principal, error) {
	p, err := v.Inspect(ctx, c.Token)
	if err == nil {
		err = c.Redeem(p, v.config.Now())
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Inspect returns what a token says if it is valid now, whoever has it: for those who are asked about a token, not for those to
// whom it is presented.
func (v *Validator) Inspect(ctx context.Context, raw string) (*Principal, error) {
	if len(raw) > jose.MaxToken {
		return nil, Invalid(ErrMalformed)
	}
	now := v.config.Now()
	key := v.digest.Sum(raw)
	if p, known, err := v.known(ctx, key, now); known {
		return p, err
	}
	return v.learn(ctx, raw, key, now)
}

// known judges a token by what is remembered of it; false when that is nothing, or no longer holds.
func (v *Validator) known(ctx context.Context, key sieve.Key, now time.Time) (*Principal, bool, error) {
	f, ok := v.cache.Get(key, now)
	if !ok {
		return nil, false, nil
	}
	current, err := v.config.Keys.Key(ctx, f.kid)
	if err != nil {
		if errors.Is(err, ErrUnknownKey) {
			v.cache.Delete(key)
		}
		return nil, true, keyRefusal(err)
	}
	if !sameKey(current, f.key) {
		v.cache.Delete(key)
		return nil, false, nil
	}
	p, err := v.stands(f, now)
	return p, true, err
}

// learn judges a token by itself, remembers what it found and then judges that as it would have been remembered.
func (v *Validator) learn(ctx context.Context, raw string, key sieve.Key, now time.Time) (*Principal, error) {
	f, err := v.verify(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	v.cache.Put(key, *f, f.principal.size(), f.principal.ExpiresAt.Add(v.config.Leeway), now)
	return v.stands(f, now)
}

// stands judges what may have changed since the fact was learnt.
func (v *Validator) stands(f *fact, now time.Time) (*Principal, error) {
	p := &f.principal
	if err := p.CheckTime(now, v.config.Leeway); err != nil {
		return nil, Invalid(err)
	}
	if v.config.Revocations != nil && v.config.Revocations.Revoked(p) {
		return nil, Invalid(v.cause(p))
	}
	if v.current != nil {
		if err := v.current.Current(now); err != nil {
			return nil, oauth.Unavailable(err)
		}
	}
	return p, nil
}

// cause returns why a token that is revoked is.
func (v *Validator) cause(p *Principal) error {
	if e, ok := v.config.Revocations.(Explainer); ok {
		return e.Cause(p)
	}
	return ErrRevoked
}

// verify goes from what costs and tells least to what is only true once the signature is. No key is looked for on behalf
// of an algorithm that would be refused anyway (RFC 8725 3.1).
func (v *Validator) verify(ctx context.Context, raw string, now time.Time) (*fact, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, Invalid(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	if !slices.Contains(v.config.Algs, token.Header.Alg) {
		return nil, Invalid(fmt.Errorf("algorithm %s is not accepted: %w", token.Header.Alg, ErrSignature))
	}
	key, err := v.config.Keys.Key(ctx, token.Header.KID)
	if err != nil {
		return nil, keyRefusal(err)
	}
	if err := token.Verify(key); err != nil {
		return nil, Invalid(fmt.Errorf("%w: %w", ErrSignature, err))
	}
	p, err := v.read(token)
	if err == nil {
		err = v.suits(p)
	}
	if err == nil {
		err = p.CheckTime(now, v.config.Leeway)
	}
	if err == nil {
		err = v.complete(p)
	}
	if err != nil {
		return nil, Invalid(err)
	}
	p.Issuer = v.config.Issuer
	return &fact{principal: *p, kid: kidOf(token, key), key: key}, nil
}

// kidOf returns the identifier the key was asked for by, in the key's own memory where that is the same.
func kidOf(token jose.Token, key Key) string {
	if token.Header.KID == key.KID {
		return key.KID
	}
	return token.Header.KID
}

// read checks the type of a token whose signature is good, and reads its claims.
func (v *Validator) read(token jose.Token) (*Principal, error) {
	generic := jose.EqualTyp(v.config.Typ, TypJWT)
	if typ := token.Header.Typ; !jose.EqualTyp(typ, v.config.Typ) && (!generic || typ != "") {
		return nil, ErrType
	}
	claims, err := readClaims(token.Payload, v.config.ScopeClaim)
	if err != nil {
		return nil, err
	}
	if generic && claims.anotherKind {
		return nil, ErrType
	}
	return &claims.Principal, nil
}

// suits compares issuer and audience.
func (v *Validator) suits(p *Principal) error {
	switch {
	case p.Issuer != v.config.Issuer:
		return ErrIssuer
	case !forOneOf(p, v.config.Audience):
		return ErrAudience
	}
	return nil
}

// complete reports whether the claims are there that have to be: those of RFC 9068 2.2 in an access token of that kind.
func (v *Validator) complete(p *Principal) error {
	if p.Subject == "" || p.ExpiresAt.IsZero() {
		return ErrClaims
	}
	if jose.EqualTyp(v.config.Typ, TypAccessToken) && (p.ClientID == "" || p.TokenID == "" || p.IssuedAt.IsZero()) {
		return ErrClaims
	}
	return nil
}

// forOneOf reports whether the token is for one of the audiences.
func forOneOf(p *Principal, audiences []string) bool {
	for _, audience := range audiences {
		if slices.Contains(p.Audience, audience) {
			return true
		}
	}
	return false
}

// keyRefusal tells a token that nobody can have signed from an issuer that cannot be asked: the first is the caller's
// fault, the second passes.
func keyRefusal(err error) *Error {
	if errors.Is(err, ErrUnknownKey) {
		return Invalid(err)
	}
	return oauth.Unavailable(fmt.Errorf("looking for a key: %w", err))
}

// Stats is what a validator's memory of tokens has seen and holds, for metrics.
type Stats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
	Bytes                   int64
}

// Stats sums up the validator's memory of tokens.
func (v *Validator) Stats() Stats { return Stats(v.cache.Stats()) }
