// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// SoftStore is a [Keystore] and a [Vault] in memory, for tests and for a simulator; phones have hardware. In JSON it is all of its
// keys and secrets, to be kept in a file that only its owner reads.
//
// It does not encrypt them under the PIN, and nobody should: whether a private key was decrypted well can be seen, by its public
// half, so that a PIN could be tried on it. The zero value is empty and ready.
type SoftStore struct {
	mu      sync.Mutex
	pairs   map[string]softPair
	secrets map[string]envelope.Secret
}

// softPair is a pair of keys in PKCS #8.
type softPair struct {
	Sign []byte `json:"sign"`
	Enc  []byte `json:"enc"`
}

// Create makes keys.
func (s *SoftStore) Create(_ context.Context, name string) (envelope.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.pairs[name]; taken {
		return envelope.Keys{}, fmt.Errorf("making keys under a name that is taken: %w", ErrInput)
	}
	pair, err := newPair()
	if err != nil {
		return envelope.Keys{}, err
	}
	if s.pairs == nil {
		s.pairs = make(map[string]softPair)
	}
	s.pairs[name] = pair
	return pair.keys()
}

func newPair() (softPair, error) {
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return softPair{}, fmt.Errorf("drawing a signing key: %w", err)
	}
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return softPair{}, fmt.Errorf("drawing an encryption key: %w", err)
	}
	var p softPair
	if p.Sign, err = x509.MarshalPKCS8PrivateKey(sign); err != nil {
		return softPair{}, fmt.Errorf("encoding a signing key: %w", err)
	}
	if p.Enc, err = x509.MarshalPKCS8PrivateKey(enc); err != nil {
		return softPair{}, fmt.Errorf("encoding an encryption key: %w", err)
	}
	return p, nil
}

func (p softPair) keys() (envelope.Keys, error) {
	sign, err := x509.ParsePKCS8PrivateKey(p.Sign)
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("reading a signing key: %w", ErrInput)
	}
	enc, err := x509.ParsePKCS8PrivateKey(p.Enc)
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("reading an encryption key: %w", ErrInput)
	}
	signing, ok := sign.(*ecdsa.PrivateKey)
	agreeing, ok2 := enc.(*ecdsa.PrivateKey) // PKCS #8 has one kind of key on P-256
	if !ok || !ok2 {
		return envelope.Keys{}, fmt.Errorf("reading keys of another kind: %w", ErrInput)
	}
	exchanger, err := agreeing.ECDH()
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("reading an encryption key: %w", ErrInput)
	}
	return envelope.NewKeys(signing, exchanger)
}

// Load returns keys.
func (s *SoftStore) Load(_ context.Context, name string) (envelope.Keys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pair, ok := s.pairs[name]
	if !ok {
		return envelope.Keys{}, fmt.Errorf("loading keys that are not there: %w", ErrInput)
	}
	return pair.keys()
}

// Delete forgets keys, or a secret, of that name.
func (s *SoftStore) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pairs, name)
	delete(s.secrets, name)
	return nil
}

// Put keeps a secret.
func (s *SoftStore) Put(_ context.Context, name string, secret envelope.Secret) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = make(map[string]envelope.Secret)
	}
	s.secrets[name] = secret
	return nil
}

// Get returns a secret without asking anybody.
func (s *SoftStore) Get(_ context.Context, name string) (envelope.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	secret, ok := s.secrets[name]
	if !ok {
		return envelope.Secret{}, fmt.Errorf("asking for a secret that is not there: %w", ErrInput)
	}
	return secret, nil
}

type softFile struct {
	Pairs   map[string]softPair        `json:"keys"`
	Secrets map[string]envelope.Secret `json:"secrets,omitempty"`
}

// MarshalJSON writes everything, keys and secrets.
func (s *SoftStore) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.Marshal(softFile{Pairs: s.pairs, Secrets: s.secrets})
}

// UnmarshalJSON reads what MarshalJSON wrote, in the place of what was there. The error never quotes the input.
func (s *SoftStore) UnmarshalJSON(data []byte) error {
	var file softFile
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("reading a file of keys: %w", ErrInput)
	}
	for _, pair := range file.Pairs {
		if _, err := pair.keys(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs, s.secrets = file.Pairs, file.Secrets
	return nil
}
