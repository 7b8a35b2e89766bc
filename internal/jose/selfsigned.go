// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"crypto/rsa"
	"fmt"
	"sync"
)

// OwnKey is a key that a token carries itself.
type OwnKey struct {
	PublicKey
	// Thumbprint is the key's [Thumbprint].
	Thumbprint string
}

// SelfSigned reads compact tokens that carry their own key in the member jwk of their header (RFC 9449 section 4.2). A signature that
// is good by such a key says that whoever made the token holds the key, and nothing else: the caller compares the key with one that
// means something. It is a type of its own so that no other token can name its key. It is safe for concurrent use.
type SelfSigned struct {
	limit int // bytes in a token

	mu         sync.Mutex // guards what follows
	young, old map[string]ownHeader
}

// ownHeader is what a header says.
type ownHeader struct {
	Header
	key OwnKey
}

// Whoever sends a token chooses the key, and what checking with it costs: no more than with keys that are in use.
const maxOwnRSABits, maxOwnExponent = 4096, 65537

// Costly reports whether checking a signature with the key costs more than a stranger may choose: it is of RSA, and of more than 4096 bits or
// with an exponent above 65537.
func (k PublicKey) Costly() bool {
	own, isRSA := k.Key.(*rsa.PublicKey)
	return isRSA && (own.N.BitLen() > maxOwnRSABits || own.E > maxOwnExponent)
}

// remembered is how many headers a reader remembers at least: whoever sends one sends it again with every request, and to read a key
// and find out that it is one costs a fifth of what checking a signature does.
const remembered = 4096

// NewSelfSigned returns a reader of tokens of at most so many bytes.
func NewSelfSigned(limit int) *SelfSigned {
	return &SelfSigned{limit: limit, young: map[string]ownHeader{}}
}

// Parse reads a token by the rules of [ParseUpTo], but its header holds exactly alg, typ and jwk. A key that is outside the profile,
// does not fit the algorithm or holds a secret is refused, wrapping [ErrKey] or [ErrMalformed]. The key has no name.
func (s *SelfSigned) Parse(raw string) (t Token, key OwnKey, err error) {
	t, err = parse(raw, s.limit, func(t *Token, data []byte) error {
		h, err := s.header(data)
		t.Header, key = h.Header, h.key
		return err
	})
	if err != nil {
		return Token{}, OwnKey{}, err
	}
	return t, key, nil
}

// header reads a header, or remembers it.
func (s *SelfSigned) header(data []byte) (ownHeader, error) {
	s.mu.Lock()
	h, ok := s.young[string(data)]
	if !ok {
		h, ok = s.old[string(data)]
	}
	s.mu.Unlock()
	if ok {
		return h, nil
	}
	var err error
	if h.Header, h.key.PublicKey, err = parseOwnHeader(data); err != nil {
		return ownHeader{}, err
	}
	h.key.Thumbprint = Thumbprint(h.key.PublicKey)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= remembered {
		s.old, s.young = s.young, map[string]ownHeader{}
	}
	s.young[string(data)] = h
	return h, nil
}

func parseOwnHeader(data []byte) (h Header, key PublicKey, err error) {
	var jwk []byte
	err = visitObject(data, func(name, value []byte) error {
		switch string(name) {
		case "jwk":
			jwk = value
			return nil
		case "alg", "typ":
			if value[0] == '"' {
				return h.set(name, value)
			}
		}
		return fmt.Errorf("a header member outside the profile: %w", ErrMalformed)
	})
	switch {
	case err != nil:
		return h, key, err
	case h.Alg == "" || h.Typ == "" || jwk == nil:
		return h, key, fmt.Errorf("a header without alg, typ or jwk: %w", ErrMalformed)
	case jwk[0] != '{':
		return h, key, fmt.Errorf("a jwk that is no object: %w", ErrMalformed)
	}
	key, ok, err := parseJWK(jwk)
	switch {
	case err != nil:
		return h, PublicKey{}, fmt.Errorf("reading the key of a token: %w", err)
	case !ok:
		return h, PublicKey{}, fmt.Errorf("a token's key that is not for signatures of the profile: %w", ErrKey)
	}
	if key.Costly() {
		return h, PublicKey{}, fmt.Errorf("a token's key that would cost too much to check with: %w", ErrKey)
	}
	key.KID = ""
	if key.Alg == RS256 && h.Alg == PS256 {
		key.Alg = PS256 // the key does not say which of the two it is for, and it is asked for nothing else
	}
	return h, key, nil
}

// NewSelfSigner returns a signer for tokens with the given typ that carry the public half of the key in their header, as
// [ParseSelfSigned] reads them. It refuses, wrapping [ErrKey], a key outside the profile and a typ that could not be read back.
func NewSelfSigner(k PrivateKey, typ string) (*Signer, error) {
	s, err := NewSigner(PrivateKey{Alg: k.Alg, Signer: k.Signer}, typ)
	if err != nil {
		return nil, err
	}
	if typ == "" {
		return nil, fmt.Errorf("making a signer of tokens without a typ: %w", ErrKey)
	}
	jwk, err := MarshalPublic(PublicKey{Alg: k.Alg, Key: k.Signer.Public()})
	if err != nil {
		return nil, err
	}
	// Names were checked to need no escapes.
	s.prefix = b64.EncodeToString([]byte(`{"alg":"`+string(k.Alg)+`","typ":"`+typ+`","jwk":`+string(jwk)+`}`)) + "."
	return s, nil
}
