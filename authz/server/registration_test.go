// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// registering lets instances of a meter register.
func registering(b *bench) *server.Registration {
	b.config.Registration = &server.Registration{
		DB: b.db, Admit: endpoint.AdmitAnyone,
		Reader: &metadata.Reader{Issuer: issuer, Now: b.config.Now, Algorithms: []jose.Algorithm{jose.ES256}, Applications: []*metadata.Application{{
			ID: "meter", Terms: authz.Client{
				Grants: []authz.GrantType{authz.GrantClientCredentials}, Scopes: oauth.Scopes{"read"}, Audience: []string{"https://meters.example.com"}, AccessTTL: time.Minute,
			},
		}}},
	}
	return b.config.Registration
}

func (b *bench) register(s *server.Server) *httptest.ResponseRecorder {
	b.t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	must(b.t, err)
	keys, err := jose.MarshalSet([]jose.PublicKey{key.Public()})
	must(b.t, err)
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, issuer+"/register", strings.NewReader(`{"jwks":`+string(keys)+`}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	registering(b)
	s := b.start()
	var metadata map[string]any
	must(t, json.Unmarshal(b.ask(s, "/.well-known/oauth-authorization-server/idp", nil, "").Body.Bytes(), &metadata))
	if metadata["registration_endpoint"] != issuer+"/register" { // RFC 8414 2
		t.Errorf("the metadata is %v", metadata)
	}
	w := b.register(s)
	var made struct {
		ID    string `json:"client_id"`
		Token string `json:"registration_access_token"`
		URI   string `json:"registration_client_uri"`
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &made))
	if w.Code != http.StatusCreated || !strings.HasPrefix(made.URI, issuer+"/register/ins_") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if c, err := s.ClientAuth().Clients.Lookup(t.Context(), made.ID); err != nil || !c.Registered {
		t.Errorf("the client is %+v, %v", c, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodDelete, made.URI, nil)
	r.Header.Set("Authorization", "Bearer "+made.Token)
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, r)
	if _, err := s.Instances().Instance(t.Context(), made.ID); recorder.Code != http.StatusNoContent || !authz.Gone(err) {
		t.Errorf("%d %s, then %v", recorder.Code, recorder.Body, err)
	}
	if got := strings.Join(b.told[1:], ","); got != "register 201,register 204" {
		t.Errorf("observed is %q", got)
	}
	b.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: errBroken})
	if w := b.register(s); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), errBroken.Error()) {
		t.Errorf("without a store: %d %s", w.Code, w.Body)
	}
}

// Where nobody may register there is no such endpoint, and nothing says that there is.
func TestNoRegistration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.start()
	if w := b.ask(s, "/.well-known/openid-configuration/idp", nil, ""); strings.Contains(w.Body.String(), "registration_endpoint") {
		t.Errorf("the metadata is %s", w.Body)
	}
	if s.Serves("/idp/register") || s.Serves("/idp/register/ins_a") || s.Instances() != nil {
		t.Error("there is an endpoint")
	}
}

func TestRegistrationsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*server.Registration){
		"no store": func(r *server.Registration) { r.DB = nil }, "no reader": func(r *server.Registration) { r.Reader = nil },
		"no admission": func(r *server.Registration) { r.Admit = "" }, "no application": func(r *server.Registration) { r.Reader.Applications = nil },
		"forgotten at once": func(r *server.Registration) { r.Unused = registration.MinUnused - 1 },
		"a rate below zero": func(r *server.Registration) { r.PerAddress.Burst = -1 },
	} {
		b := newBench(t)
		spoil(registering(b))
		if _, err := server.New(b.config); err == nil {
			t.Errorf("it works with %s", name)
		}
	}
}
