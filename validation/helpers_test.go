// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
)

var start = time.Unix(1_767_225_600, 0).UTC() // 2026-01-01

var b64 = base64.RawURLEncoding

// Keys are drawn once per name: RSA takes its time under the race detector.
var drawn sync.Map

func keyNamed(tb testing.TB, name string, alg jose.Algorithm) jose.PrivateKey {
	tb.Helper()
	draw, _ := drawn.LoadOrStore(name+string(alg), sync.OnceValues(func() (jose.PrivateKey, error) { return jose.GenerateKey(alg) }))
	k, err := draw.(func() (jose.PrivateKey, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// testKey is the issuer's key for an algorithm.
func testKey(tb testing.TB, alg jose.Algorithm) jose.PrivateKey { return keyNamed(tb, "ours", alg) }

// clock is a clock that stands still until it is told.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.now.Store(start.UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

// keys is a source whose keys come and go, and which may be down.
type keys struct {
	mu    sync.RWMutex
	set   validation.KeySet
	down  error
	asked atomic.Int64
}

func newKeys(private ...jose.PrivateKey) *keys {
	k := &keys{set: validation.KeySet{}}
	for _, p := range private {
		k.set[p.KID] = p.Public()
	}
	return k
}

func (k *keys) Key(ctx context.Context, kid string) (validation.Key, error) {
	k.asked.Add(1)
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.down != nil {
		return validation.Key{}, k.down
	}
	return k.set.Key(ctx, kid)
}

func (k *keys) change(f func(set validation.KeySet)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set = maps.Clone(k.set)
	f(k.set)
}

func (k *keys) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = err
}

// revocations is a set of revoked token ids.
type revocations struct{ revoked sync.Map }

func (r *revocations) Revoked(p *validation.Principal) bool {
	_, ok := r.revoked.Load(p.TokenID)
	return ok
}

// house is a validator with everything around it in the test's hands.
type house struct {
	*validation.Validator
	clock   *clock
	keys    *keys
	revoked *revocations
}

// newHouse builds a validator of ours; with changes its configuration.
func newHouse(tb testing.TB, with ...func(*validation.Config)) *house {
	tb.Helper()
	h := &house{clock: newClock(), keys: newKeys(testKey(tb, jose.ES256)), revoked: new(revocations)}
	config := validation.Config{
		Issuer: issuer, Audience: []string{audience}, Keys: h.keys, Revocations: h.revoked, Now: h.clock.Now,
	}
	for _, change := range with {
		change(&config)
	}
	v, err := validation.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	h.Validator = v
	return h
}

// claims are those of an access token of ours.
func claims(with ...map[string]any) map[string]any {
	all := map[string]any{
		"iss": issuer, "sub": "usr_1", "aud": []string{audience}, "exp": start.Unix() + 300, "iat": start.Unix(),
		"jti": "tok_1", "client_id": "portal", "scope": "accounts:read payments:write", "auth_time": start.Unix() - 10,
		"acr": "gold", "amr": []string{"pwd", "hwk"}, "sid": "ses_1", "gid": "grt_1",
		"realms": map[string]any{"password": start.Unix() - 60, "phone": start.Unix() - 10},
	}
	for _, change := range with {
		for name, value := range change {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
	}
	return all
}

// set is one claim for claims; nil takes it out.
func set(name string, value any) map[string]any { return map[string]any{name: value} }

func mint(tb testing.TB, k jose.PrivateKey, typ string, claims any) string {
	tb.Helper()
	payload, ok := claims.(string)
	if !ok {
		data, err := json.Marshal(claims)
		if err != nil {
			tb.Fatal(err)
		}
		payload = string(data)
	}
	raw, err := jose.Sign(k, typ, []byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// access is a valid access token with some claims changed.
func access(tb testing.TB, with ...map[string]any) string {
	tb.Helper()
	return mint(tb, testKey(tb, jose.ES256), "at+jwt", claims(with...))
}

// compact puts a token together without a look at what it is made of.
func compact(header, payload string, signature []byte) string {
	return b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload)) + "." + b64.EncodeToString(signature)
}

// wantRefused fails unless err is invalid_token with the cause, and the caller learns nothing but a text of ours.
func wantRefused(tb testing.TB, p *validation.Principal, err, cause error) {
	tb.Helper()
	var e *validation.Error
	switch {
	case p != nil:
		tb.Errorf("the token is accepted: %+v", p)
	case !errors.As(err, &e):
		tb.Errorf("got %v, not an OAuth error", err)
	case e.Code != oauth.InvalidToken || e.HTTPStatus() != http.StatusUnauthorized:
		tb.Errorf("got %s with %d, want invalid_token with 401", e.Code, e.HTTPStatus())
	case !errors.Is(err, cause):
		tb.Errorf("got the cause %v, want %v", e.Unwrap(), cause)
	}
}

// wantCode fails unless err is an OAuth error with the code, and returns it.
func wantCode(tb testing.TB, err error, code oauth.Code, status int) *validation.Error {
	tb.Helper()
	var e *validation.Error
	if !errors.As(err, &e) || e.Code != code || e.HTTPStatus() != status {
		tb.Fatalf("got %v, want %s with %d", err, code, status)
	}
	return e
}

func request(tb testing.TB, target string, authorization ...string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	return r
}

func age(d time.Duration) *time.Duration { return &d }
