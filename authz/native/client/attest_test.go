// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// TestAttestedRegistration: where the server sets a challenge the platform vouches for it and for the key, and what it says goes with the
// registration; where it sets none nobody is asked; and a platform that does not vouch registers nobody.
func TestAttestedRegistration(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	name := sha256.Sum256(der)
	locked := errors.New("the platform does not vouch")
	for _, tt := range []struct {
		name     string
		sets     bool
		fails    error
		attested bool
	}{{"asked", true, nil, true}, {"not asked", false, nil, false}, {"no evidence", true, locked, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var issuer string
			var told map[string]any
			mux := http.NewServeMux()
			mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(map[string]any{
					"issuer": issuer, "token_endpoint": issuer + "/token", "authorization_challenge_endpoint": issuer + "/authorize-challenge",
					"registration_endpoint": issuer + "/register",
				})
			})
			if tt.sets {
				mux.HandleFunc("POST /register/challenge", func(w http.ResponseWriter, r *http.Request) {
					if r.Header.Get("Authorization") != "Bearer initial" {
						t.Errorf("the challenge is asked for with %q", r.Header)
					}
					_ = json.NewEncoder(w).Encode(map[string]any{"challenge": "drawn", "expires_in": 300})
				})
			}
			mux.HandleFunc("POST /register/", func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
			})
			mux.HandleFunc("POST /register", func(w http.ResponseWriter, r *http.Request) {
				if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
					t.Error(err)
				}
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"error":"invalid_client_metadata"}`))
			})
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			issuer = server.URL
			asked := 0
			gate, err := client.New(client.Config{
				Issuer: issuer, HTTP: server.Client(), Now: time.Now, Handlers: map[string]client.Handler{},
				Registration: &client.Registration{
					Key: key, Keep: func(context.Context, client.Instance) error { return nil }, InitialToken: "initial", Platform: "ios",
					Attest: func(_ context.Context, challenge, bound []byte, of crypto.PublicKey) (json.RawMessage, error) {
						asked++
						text := "gatehouse registration v1\n" + issuer + "\ndrawn"
						alone, both := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(text+"\n"+base64.RawURLEncoding.EncodeToString(name[:])))
						if string(challenge) != string(alone[:]) || string(bound) != string(both[:]) || !key.PublicKey.Equal(of) {
							t.Errorf("the platform vouches for %x and %x", challenge, bound)
						}
						return json.RawMessage(`{"format":"test"}`), tt.fails
					},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = gate.Authorize(t.Context(), client.Request{})
			if err == nil || (tt.fails != nil) != errors.Is(err, locked) {
				t.Error(err)
			}
			if tt.fails != nil && told != nil || tt.sets != (asked == 1) {
				t.Errorf("the platform was asked %d times, and the server told %v", asked, told)
			}
			var want any
			if tt.attested {
				want = map[string]any{"platform": "ios", "challenge": "drawn", "evidence": map[string]any{"format": "test"}}
			}
			if diff := cmp.Diff(want, told["attestation"]); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(err.Error(), "drawn") {
				t.Errorf("the error repeats the challenge: %v", err)
			}
		})
	}
}
