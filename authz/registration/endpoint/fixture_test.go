// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	issuer   = "https://auth.example.com/idp"
	vendor   = "https://vendor.example.com"
	callback = "com.example.bank:/callback"
)

// world is the endpoints and whoever asks them.
type world struct {
	*testing.T
	*endpoint.Handler
	clock   *storagetest.Clock
	db      *storagetest.FaultyDB
	store   *registration.Store
	log     *bytes.Buffer
	revoked []authz.Revocation
	vendor  jose.PrivateKey
	jwks    json.RawMessage
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// newWorld returns endpoints that admit somebody; change takes some of what they are made of away.
func newWorld(t *testing.T, admit endpoint.Admit, change ...func(*endpoint.Config)) *world {
	t.Helper()
	w := &world{T: t, clock: storagetest.NewClock(), log: new(bytes.Buffer)}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	w.ok(err)
	w.db = storagetest.Faulty(db)
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	w.ok(err)
	grants, err := authz.NewStore(w.db, sealer, w.clock.Now)
	w.ok(err)
	logger := slog.New(slog.NewTextHandler(w.log, nil))
	trail, err := audit.New(audit.Config{DB: w.db, Now: w.clock.Now, Logger: logger})
	w.ok(err)
	device, err := jose.GenerateKey(jose.ES256)
	w.ok(err)
	w.jwks, err = jose.MarshalSet([]jose.PublicKey{device.Public()})
	w.ok(err)
	w.vendor, err = jose.GenerateKey(jose.ES256)
	w.ok(err)
	terms := authz.Client{
		Name: "Example Bank", RedirectURIs: []string{callback}, Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
		Scopes: oauth.Scopes{"openid", "read"}, Audience: []string{"a"}, AccessTTL: time.Minute, RefreshTTL: time.Hour, RefreshIdleTTL: time.Hour,
	}
	w.store, err = registration.NewStore(registration.Config{
		DB: w.db, Grants: grants, Trail: trail, Judge: w.judge, Revoke: func(r ...authz.Revocation) { w.revoked = append(w.revoked, r...) },
		Reader: &metadata.Reader{
			Issuer: issuer, Now: w.clock.Now, Algorithms: []jose.Algorithm{jose.ES256},
			Applications: []*metadata.Application{{ID: "bank", Terms: terms}, {ID: "shop", Terms: terms}, {ID: "vault", Terms: terms, Attestation: "tee"}},
			Authorities: []*metadata.Authority{
				{Issuer: vendor, Keys: []jose.PublicKey{w.vendor.Public()}, May: []string{"software_id", "software_version"}},
			},
		},
	})
	w.ok(err)
	w.ok(w.store.Reader.Check())
	c := endpoint.Config{Issuer: issuer, Store: w.store, Admit: admit, Trail: trail, Logger: logger}
	for _, f := range change {
		f(&c)
	}
	w.Handler, err = endpoint.New(c)
	w.ok(err)
	return w
}

func limiter(w *world, burst int) *limit.Limiter {
	l, err := limit.New(limit.Config{Burst: burst, Every: time.Minute, Keys: 100, Now: w.clock.Now})
	w.ok(err)
	return l
}

// object is a JSON object.
type object map[string]any

func (o object) with(more object) object {
	o = maps.Clone(o)
	for name, value := range more {
		if o[name] = value; value == nil {
			delete(o, name)
		}
	}
	return o
}

// says is what an instance of the bank's app says.
func (w *world) says() object {
	return object{"software_id": "bank", "redirect_uris": []string{callback}, "jwks": w.jwks, "client_name": "A phone"}
}

// statement is a software statement of the vendor's.
func (w *world) statement(claims object) string {
	w.Helper()
	data, err := json.Marshal(object{"iss": vendor, "software_id": "bank"}.with(claims))
	w.ok(err)
	raw, err := jose.Sign(w.vendor, "", data)
	w.ok(err)
	return raw
}

// initial issues an initial access token.
func (w *world) initial(uses int) string {
	w.Helper()
	_, value, err := w.store.Issue(w.Context(), registration.Order{Application: "bank", Uses: uses, TTL: time.Hour})
	w.ok(err)
	return value
}

// answer is what came back.
type answer struct {
	*httptest.ResponseRecorder
	body object
}

// text returns a member that is a string.
func (a answer) text(name string) string {
	text, _ := a.body[name].(string)
	return text
}

// send sends a request; a body that is a text goes as it is. The token is sent unless it is empty.
func (w *world) send(method, path, token string, body any, change ...func(*http.Request)) answer {
	w.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		data, err := json.Marshal(body)
		w.ok(err)
		text = string(data)
	}
	r := httptest.NewRequestWithContext(w.Context(), method, "https://auth.example.com/idp"+path, strings.NewReader(text))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "rq_1"}))
	for _, f := range change {
		f(r)
	}
	recorder := httptest.NewRecorder()
	if path == authz.PathRegister {
		w.Register(recorder, r)
	} else {
		w.Manage(recorder, r)
	}
	a := answer{recorder, object{}}
	if recorder.Body.Len() > 0 {
		w.ok(json.Unmarshal(recorder.Body.Bytes(), &a.body))
	}
	if cache := recorder.Header().Get("Cache-Control"); cache != "no-store" {
		w.Errorf("%s %s may be cached: %q", method, path, cache)
	}
	return a
}

func (w *world) register(token string, body any, change ...func(*http.Request)) answer {
	w.Helper()
	return w.send(http.MethodPost, authz.PathRegister, token, body, change...)
}

// wants checks the status and the error of an answer.
func (w *world) wants(what string, a answer, status int, code oauth.Code) {
	w.Helper()
	if a.Code != status || a.text("error") != string(code) {
		w.Errorf("%s: %d %s, want %d %q", what, a.Code, a.Body, status, code)
	}
	if challenge := a.Header().Get("WWW-Authenticate"); (challenge != "") != (status == http.StatusUnauthorized) {
		w.Errorf("%s: %d with the challenge %q", what, a.Code, challenge)
	}
}
