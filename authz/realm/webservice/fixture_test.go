// SPDX-License-Identifier: Apache-2.0

package webservice_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/webservice"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	password = "correct horse"
	// secret is how the service knows us; marked is in what it answers. Neither may be in an error or a log.
	secret = "Bearer s3cret-of-ours"
	marked = "you-said-hunter2"
)

// service is a web service that answers with one handler and keeps what it was asked.
type service struct {
	*httptest.Server

	mu    sync.Mutex
	asked []map[string]string
}

// start starts a service with TLS.
func start(t testing.TB, handler http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		question := map[string]string{}
		if err := json.NewDecoder(r.Body).Decode(&question); err != nil {
			t.Errorf("the question is no JSON: %v", err)
		}
		if r.Header.Get("Authorization") != secret || r.Method != http.MethodPost {
			t.Errorf("asked by %s as %q", r.Method, r.Header.Get("Authorization"))
		}
		s.mu.Lock()
		s.asked = append(s.asked, question)
		s.mu.Unlock()
		handler(w, r)
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// questions returns what the service was asked so far.
func (s *service) questions() []map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]string(nil), s.asked...)
}

// client calls the service.
func (s *service) client(t testing.TB, change ...func(*callout.Config)) *callout.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	c := callout.Config{URL: s.URL + "/check?key=in-the-address", Roots: roots, Header: http.Header{"Authorization": {secret}}}
	for _, f := range change {
		f(&c)
	}
	client, err := callout.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// says answers with a status and JSON.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // who has gone away is not told more
	}
}

// config is one that understands {"user": {"id", "name", "mail"}, "roles"}.
func config(asked webservice.Service) webservice.Config {
	return webservice.Config{
		Service: asked, Name: "users.example.com", ID: "user.id", Display: "user.name",
		Attributes: map[string]string{"email": "user.mail", "groups": "/roles"},
		Now:        storagetest.NewClock().Now, Logger: slog.New(slog.DiscardHandler),
	}
}

func build(t testing.TB, c webservice.Config) *webservice.Module {
	t.Helper()
	m, err := webservice.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func answers(username, password string) realm.Credentials {
	return realm.Credentials{
		Values:   map[string]string{"username": username, "password": password},
		ClientIP: "192.0.2.7", Realm: "corporate", Locale: "nl",
	}
}

func refusedFor(reason string) realm.Result {
	return realm.Result{Status: realm.Refused, Reason: reason}
}

// accepted is an acceptance of alice.
func accepted(identity realm.Identity) realm.Result {
	identity.AMR = []string{"pwd"}
	return realm.Result{Status: realm.Accepted, Identity: identity}
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// records is a log that can be read.
type records struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.Write(p)
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}
