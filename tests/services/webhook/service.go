// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
)

// Config says what a service knows.
type Config struct {
	// Authority vouches for the service. Required.
	Authority *loopback.Authority
	// Now is the clock. Required.
	Now func() time.Time
	// Keys is the JWK set of the issuer, of which keys on P-256 count. Where there is none, nothing is verified.
	Keys []byte
	// Authorization is the whole field that callers show; none is asked for where it is empty.
	Authorization string
	// Dead are addresses that lead nowhere.
	Dead []string
}

// Notification is one that was taken.
type Notification struct {
	ID        string    `json:"id"`
	Operation string    `json:"operation"`
	Device    string    `json:"device"`
	App       string    `json:"app"`
	Address   string    `json:"address"`
	Expires   time.Time `json:"expires"`
}

// Service answers on a port of its own. It is safe for concurrent use.
type Service struct {
	*served.Server
	// Inbox is what was delivered; it is served at /inbox/{address} as well.
	Inbox loopback.Inbox

	config Config
	keys   map[string]*ecdsa.PublicKey

	mu    sync.Mutex
	taken []Notification
}

// Start listens and answers until Close.
func Start(c Config) (*Service, error) {
	keys, err := readKeys(c.Keys)
	if err != nil {
		return nil, err
	}
	s := &Service{config: c, keys: keys}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /push", s.push)
	if s.Server, err = served.Start(served.Config{Authority: c.Authority, Now: c.Now, Handler: mux, Inbox: &s.Inbox}); err != nil {
		return nil, err
	}
	return s, nil
}

// Taken returns what was taken so far.
func (s *Service) Taken() []Notification {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

func (s *Service) push(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	var n Notification
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "broken")
	case s.config.Authorization != "" && r.Header.Get("Authorization") != s.config.Authorization:
		refuse(w, http.StatusUnauthorized, "unauthorized")
	case s.keys != nil && !s.signed(r.Header.Get("Gatehouse-Signature"), content):
		refuse(w, http.StatusForbidden, "signature")
	case r.Header.Get("Content-Type") != "application/json" || d.Decode(&n) != nil || d.More():
		refuse(w, http.StatusBadRequest, "malformed")
	case n.ID == "" || n.ID != r.Header.Get("Gatehouse-Delivery") || n.Operation == "" || n.Address == "" || !n.Expires.After(s.config.Now()):
		refuse(w, http.StatusUnprocessableEntity, "incomplete")
	case slices.Contains(s.config.Dead, n.Address):
		refuse(w, http.StatusGone, "unregistered")
	default:
		s.take(n)
		w.WriteHeader(http.StatusNoContent)
	}
}

// take delivers a notification once, however often it comes.
func (s *Service) take(n Notification) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.taken {
		if known.ID == n.ID {
			return
		}
	}
	s.taken = append(s.taken, n)
	payload, err := json.Marshal(map[string]string{"op": n.Operation})
	if err == nil {
		s.Inbox.Put(loopback.Notice{
			Service: "webhook", Address: n.Address, Operation: n.Operation, At: s.config.Now(), Headers: map[string]string{}, Payload: payload,
		})
	}
}

func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"reason": reason}) // who is gone hears nothing
}

var b64 = base64.RawURLEncoding

// readKeys reads a JWK set (RFC 7517); nil where there is none.
func readKeys(set []byte) (map[string]*ecdsa.PublicKey, error) {
	if len(set) == 0 {
		return nil, nil
	}
	var read struct {
		Keys []struct{ Kty, Crv, Kid, X, Y string }
	}
	if err := json.Unmarshal(set, &read); err != nil {
		return nil, fmt.Errorf("reading the issuer's keys: %w", err)
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range read.Keys {
		x, errX := b64.DecodeString(k.X)
		y, errY := b64.DecodeString(k.Y)
		if k.Kty != "EC" || k.Crv != "P-256" || errX != nil || errY != nil {
			continue
		}
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, fmt.Errorf("reading the key %q: %w", k.Kid, err)
		}
		keys[k.Kid] = public
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key on P-256 in the set")
	}
	return keys, nil
}

// signed verifies a detached JWS (RFC 7515, appendix F): the body goes between the dots.
func (s *Service) signed(signature string, content []byte) bool {
	parts := strings.Split(signature, ".")
	if len(parts) != 3 || parts[1] != "" {
		return false
	}
	var header struct{ Alg, Typ, Kid string }
	text, err := b64.DecodeString(parts[0])
	if err != nil || json.Unmarshal(text, &header) != nil || header.Alg != "ES256" || header.Typ != "gatehouse-push+jws" {
		return false
	}
	raw, err := b64.DecodeString(parts[2])
	key := s.keys[header.Kid]
	if err != nil || len(raw) != 64 || key == nil {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + b64.EncodeToString(content)))
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:]))
}
