// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"
)

// Limits on key sets.
const (
	MaxSet     = 256 << 10 // bytes in a key set
	MaxSetKeys = 64        // keys in a key set, those that are skipped included
	maxJWK     = 16 << 10  // bytes in a key that stands alone
)

// secretMembers are the members of a JWK that hold or are part of a secret (RFC 7518 section 6, RFC 9964).
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// publicMembers are the members that make up a public key. Only they reach the library: a certificate chain, a URL or a
// member of a later version does not.
var publicMembers = []string{"kty", "crv", "x", "y", "n", "e"}

// IsThumbprint reports whether a text may be a [Thumbprint].
func IsThumbprint(text string) bool {
	raw, err := b64.Strict().DecodeString(text)
	return err == nil && len(raw) == crypto.SHA256.Size()
}

// Thumbprint returns the RFC 7638 thumbprint of the key, SHA-256 in base64url, or "" for a key outside the profile. Two
// names and algorithms of one key have one thumbprint.
func Thumbprint(k PublicKey) string {
	if !k.fits() {
		return ""
	}
	sum, err := (&gojose.JSONWebKey{Key: k.Key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return ""
	}
	return b64.EncodeToString(sum)
}

// CertificateThumbprint returns SHA-256 of a certificate in base64url, by which tokens are bound to it (x5t#S256, RFC 8705 3.1).
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return b64.EncodeToString(sum[:])
}

// MarshalSet returns the keys as a JWK set, in the given order, each with its algorithm and marked for signatures; behind
// them those that messages are encrypted to, marked for that. It refuses, wrapping [ErrKey], a key outside the profile.
func MarshalSet(keys []PublicKey, encryption ...EncryptionKey) ([]byte, error) {
	set := gojose.JSONWebKeySet{Keys: make([]gojose.JSONWebKey, 0, len(keys)+len(encryption))}
	for _, k := range keys {
		if err := k.Check(); err != nil {
			return nil, fmt.Errorf("encoding a key set: %w", err)
		}
		set.Keys = append(set.Keys, gojose.JSONWebKey{Key: k.Key, KeyID: k.KID, Algorithm: string(k.Alg), Use: "sig"})
	}
	for _, k := range encryption {
		jwk, err := k.jwk()
		if err != nil {
			return nil, fmt.Errorf("encoding a key set: %w", err)
		}
		set.Keys = append(set.Keys, jwk)
	}
	data, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encoding a key set: %w", err)
	}
	return data, nil
}

// ParseSet reads a JWK set and returns the keys in it that check signatures of the profile. Keys of another type, curve,
// algorithm or use are skipped (RFC 7517 section 5). The whole set is refused when it is malformed ([ErrMalformed]) and
// when it holds a secret, a point off its curve, an RSA key of less than 2048 bits, an identifier that is not one, or the
// same identifier twice for one algorithm ([ErrKey]): whoever publishes that is not to be trusted with the rest.
func ParseSet(data []byte) ([]PublicKey, error) {
	raws, err := rawKeys(data)
	if err != nil {
		return nil, err
	}
	keys := make([]PublicKey, 0, len(raws))
	for i, raw := range raws {
		k, ok, err := parseJWK(raw)
		if err != nil {
			return nil, fmt.Errorf("reading key %d of a set: %w", i, err)
		}
		if ok && slices.ContainsFunc(keys, k.sameName) {
			return nil, fmt.Errorf("reading key %d of a set: another key has its identifier: %w", i, ErrKey)
		}
		if ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// rawKeys returns the members of a key set, each still to be read.
func rawKeys(data []byte) ([]json.RawMessage, error) {
	if len(data) > MaxSet {
		return nil, fmt.Errorf("reading a key set of %d bytes: %w", len(data), ErrMalformed)
	}
	var members map[string]json.RawMessage
	if err := UnmarshalObject(data, &members); err != nil {
		return nil, fmt.Errorf("reading a key set: %w", err)
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(members["keys"], &raws); err != nil || raws == nil {
		return nil, fmt.Errorf("reading a key set without a list of keys: %w", ErrMalformed)
	}
	if len(raws) > MaxSetKeys {
		return nil, fmt.Errorf("reading a key set of %d keys: %w", len(raws), ErrMalformed)
	}
	return raws, nil
}

func (k PublicKey) sameName(other PublicKey) bool {
	return k.KID != "" && k.KID == other.KID && k.Alg == other.Alg
}

// description is what a JWK says of itself. ops is nil where it does not say.
type description struct {
	kty, crv, alg, use, kid string
	ops                     []string
}

// describe reads the members of a JWK that say what it is, and refuses one that holds a secret.
func describe(raw []byte) (members map[string]json.RawMessage, about description, err error) {
	if err := UnmarshalObject(raw, &members); err != nil {
		return nil, about, err
	}
	for _, name := range secretMembers {
		if _, found := members[name]; found {
			return nil, about, fmt.Errorf("member %q holds a secret: %w", name, ErrKey)
		}
	}
	for name, into := range map[string]any{
		"kty": &about.kty, "crv": &about.crv, "alg": &about.alg, "use": &about.use, "kid": &about.kid, "key_ops": &about.ops,
	} {
		if value, found := members[name]; found && json.Unmarshal(value, into) != nil {
			return nil, about, fmt.Errorf("member %q has the wrong type: %w", name, ErrMalformed)
		}
	}
	if about.kty == "oct" {
		return nil, about, fmt.Errorf("a symmetric key is a secret: %w", ErrKey)
	}
	return members, about, nil
}

// parseJWK reads one public key; ok is false for a key that is well-formed and not for us.
func parseJWK(raw []byte) (k PublicKey, ok bool, err error) {
	members, about, err := describe(raw)
	if err != nil {
		return k, false, err
	}
	alg := keyAlgorithm(about.kty, about.crv, about.alg)
	if alg == "" || (about.use != "" && about.use != "sig") || (about.ops != nil && !slices.Contains(about.ops, "verify")) {
		return k, false, nil
	}
	key, err := publicKey(members)
	if err != nil {
		return k, false, err
	}
	k = PublicKey{KID: about.kid, Alg: alg, Key: key}
	return k, true, k.Check()
}

// keyAlgorithm decides the one algorithm of a key (RFC 8725 section 3.1). An RSA key that declares none is for RS256,
// which is what issuers that leave it out mean. It returns none for what the profile does not take.
func keyAlgorithm(kty, crv, alg string) Algorithm {
	var want Algorithm
	switch {
	case kty == "EC" && crv == "P-256":
		want = ES256
	case kty == "OKP" && crv == "Ed25519":
		want = EdDSA
	case kty == "RSA" && alg == string(PS256):
		want = PS256
	case kty == "RSA":
		want = RS256
	}
	if alg != "" && alg != string(want) {
		return ""
	}
	return want
}

// publicKey builds the key from its public members alone.
func publicKey(members map[string]json.RawMessage) (crypto.PublicKey, error) {
	only := make(map[string]string, len(publicMembers))
	for _, name := range publicMembers {
		value, found := members[name]
		if !found {
			continue
		}
		var text string
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, fmt.Errorf("member %q is not a string: %w", name, ErrMalformed)
		}
		only[name] = text
	}
	for _, name := range publicMembers[2:] {
		if text, found := only[name]; found && !canonical(text) {
			return nil, fmt.Errorf("member %q is not base64url: %w", name, ErrMalformed)
		}
	}
	data, err := json.Marshal(only)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("members that do not make a key: %w", ErrKey)
	}
	return jwk.Key, nil
}

// canonical reports whether text is the one base64url spelling of what it encodes.
func canonical(text string) bool {
	data, err := b64.DecodeString(text)
	return err == nil && b64.EncodeToString(data) == text
}

// MarshalPrivate returns the key as a private JWK. The result is a secret: it is sealed before it is stored.
func MarshalPrivate(k PrivateKey) ([]byte, error) {
	if err := k.Public().Check(); err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	data, err := json.Marshal(gojose.JSONWebKey{Key: k.Signer, KeyID: k.KID, Algorithm: string(k.Alg), Use: "sig"})
	if err != nil {
		return nil, fmt.Errorf("encoding private key %q: not a key held in memory: %w", k.KID, ErrKey)
	}
	return data, nil
}

// ParsePrivate reads what [MarshalPrivate] wrote. It refuses, wrapping [ErrKey], everything else; the error never quotes
// the input.
func ParsePrivate(data []byte) (PrivateKey, error) {
	if len(data) > MaxSet {
		return PrivateKey{}, fmt.Errorf("reading a private key of %d bytes: %w", len(data), ErrKey)
	}
	var jwk gojose.JSONWebKey
	if err := jwk.UnmarshalJSON(data); err != nil {
		return PrivateKey{}, fmt.Errorf("reading a private key: %w", ErrKey)
	}
	signer, ok := jwk.Key.(crypto.Signer)
	if !ok {
		return PrivateKey{}, fmt.Errorf("reading a private key without a secret: %w", ErrKey)
	}
	k := PrivateKey{KID: jwk.KeyID, Alg: Algorithm(jwk.Algorithm), Signer: signer}
	if err := k.Public().Check(); err != nil {
		return PrivateKey{}, fmt.Errorf("reading a private key: %w", err)
	}
	if ec, ok := signer.(*ecdsa.PrivateKey); ok && !matches(ec) {
		return PrivateKey{}, fmt.Errorf("reading private key %q whose halves do not match: %w", k.KID, ErrKey)
	}
	return k, nil
}

// matches reports whether the two halves belong together. The library checks that for RSA and Ed25519 only.
func matches(key *ecdsa.PrivateKey) bool {
	private, err := key.ECDH()
	if err != nil {
		return false
	}
	public, err := key.PublicKey.ECDH()
	return err == nil && private.PublicKey().Equal(public)
}
