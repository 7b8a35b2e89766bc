// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Key checks signatures of one algorithm.
type Key = jose.PublicKey

// Algorithm is the name of a signature algorithm.
type Algorithm = jose.Algorithm

// The algorithms a validator can be told to accept.
const (
	ES256 = jose.ES256
	EdDSA = jose.EdDSA
	RS256 = jose.RS256
	PS256 = jose.PS256
)

// KeySource finds the keys of one issuer. It is asked for each request, also for tokens that are known, so that a key taken
// out of the source takes its tokens with it: it answers from memory whenever it can. It is safe for concurrent use.
type KeySource interface {
	// Key returns the key with an identifier, which is empty when the token names none. [ErrUnknownKey] means that the
	// issuer has no such key; any other error that it cannot be known now.
	Key(ctx context.Context, kid string) (Key, error)
}

// KeyFunc is a function as a [KeySource]: it returns a key, or false when there is none with that identifier.
type KeyFunc func(ctx context.Context, kid string) (Key, bool)

// Key calls the function.
func (f KeyFunc) Key(ctx context.Context, kid string) (Key, error) {
	key, ok := f(ctx, kid)
	if !ok {
		return Key{}, ErrUnknownKey
	}
	return key, nil
}

// KeySet is a fixed set of keys by identifier.
type KeySet map[string]Key

// ParseKeySet reads a JWK set (RFC 7517). Keys that check no signatures of a known algorithm are skipped; a set that holds
// none, or a secret, is refused. Of keys with the same identifier the first counts, and the only key of a set also
// answers for tokens that name none.
func ParseKeySet(jwks []byte) (KeySet, error) {
	keys, err := jose.ParseSet(jwks)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("reading a key set without a usable key: %w", ErrUnknownKey)
	}
	set := make(KeySet, len(keys)+1)
	for _, key := range keys {
		if _, taken := set[key.KID]; !taken {
			set[key.KID] = key
		}
	}
	if len(keys) == 1 {
		set[""] = keys[0]
	}
	return set, nil
}

// Key returns the key with an identifier.
func (s KeySet) Key(_ context.Context, kid string) (Key, error) {
	key, ok := s[kid]
	if !ok {
		return Key{}, ErrUnknownKey
	}
	return key, nil
}

// sameKey reports whether two keys check the same signatures.
func sameKey(a, b Key) bool {
	if a.Alg != b.Alg {
		return false
	}
	switch key := a.Key.(type) {
	case *ecdsa.PublicKey:
		other, ok := b.Key.(*ecdsa.PublicKey)
		return ok && (key == other || key.Equal(other))
	case *rsa.PublicKey:
		other, ok := b.Key.(*rsa.PublicKey)
		return ok && (key == other || key.Equal(other))
	case ed25519.PublicKey:
		return key.Equal(b.Key)
	default:
		return false
	}
}
