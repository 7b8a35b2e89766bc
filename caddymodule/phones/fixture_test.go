// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// portal is the back end that all calls come from.
type portal struct{}

func (portal) Authenticate(*http.Request) (restapi.Caller, error) {
	return restapi.Caller{ClientID: "portal", Scopes: oauth.Scopes(phones.Scopes())}, nil
}

// house is the mobile side over a store in memory, with its two faces at a port of its own.
type house struct {
	t      *testing.T
	phones *phones.Phones
	parts  phones.Parts
	db     *storagetest.FaultyDB
	faces  atomic.Pointer[http.ServeMux]
	url    string
	client *http.Client
	// applications are those of the configuration.
	applications []apps.Config
	// applied counts how often the gates were told.
	applied atomic.Int64
}

// read parses the options of a configuration.
func read(t *testing.T, mobile string) *phones.Config {
	t.Helper()
	c, err := parse(mobile)
	must(t, err)
	return c
}

func parse(mobile string) (c *phones.Config, err error) {
	d := caddyfile.NewTestDispenser(mobile)
	d.Next()
	err = phones.Parse(&c)(d)
	return c, err
}

// bank is an application that registers phones.
func bank(t *testing.T) []apps.Config {
	t.Helper()
	var configs []apps.Config
	d := caddyfile.NewTestDispenser("application bank {\n ios com.example.bank\n android com.example.bank\n enrollment\n}")
	d.Next()
	must(t, apps.Parse(&configs)(d))
	return configs
}

// newHouse starts a mobile side, whose loops end with the test.
func newHouse(t *testing.T, c *phones.Config, change ...func(*house)) *house {
	t.Helper()
	h := &house{t: t}
	front := httptest.NewServer(http.HandlerFunc(h.serve))
	t.Cleanup(front.Close)
	h.url, h.client = front.URL, front.Client()
	memory, err := memstore.Open(memstore.Config{Now: time.Now})
	must(t, err)
	h.db = storagetest.Faulty(memory)
	h.applications = bank(t)
	h.build(c, change...)
	must(t, h.parts.Ring.Load(t.Context()))
	must(t, h.parts.Apps.Refresh(t.Context()))
	must(t, h.phones.Load(t.Context()))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{}, 2)
	for _, run := range []func(context.Context){h.phones.Run, h.parts.Outbox.Run} {
		go func() {
			run(ctx)
			ended <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		stop()
		<-ended
		<-ended
		must(t, h.db.Close())
	})
	return h
}

func (h *house) build(c *phones.Config, change ...func(*house)) {
	t := h.t
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")})
	must(t, err)
	out, err := outbox.New(outbox.Config{DB: h.db, Now: time.Now, Logger: logger, Sealer: sealer})
	must(t, err)
	db := out.Waking(h.db)
	trail, err := audit.New(audit.Config{DB: db, Logger: logger, Now: time.Now})
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	must(t, err)
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: time.Now, Sealer: sealer, Searchable: phones.Searchable(c)})
	must(t, err)
	ring, err := keyset.Open(keyset.Config{DB: db, Sealer: sealer, Algs: []jose.Algorithm{jose.ES256}, Now: time.Now})
	must(t, err)
	store, err := authz.NewStore(db, sealer, time.Now)
	must(t, err)
	registry, err := apps.Registry(bank(t), db, logger)
	must(t, err)
	h.parts = phones.Parts{
		Guests: new(channels.Guests),
		Issuer: h.url, DB: db, Sealer: sealer, Users: users, Store: store, Ring: ring, Trail: trail, Apps: registry, Outbox: out,
		Backend: portal{}, Docs: http.NotFoundHandler(), Applied: func(context.Context) error { h.applied.Add(1); return nil },
		Secret: func(text, _ string) (string, error) { return text, nil }, Now: time.Now, Logger: logger,
	}
	for _, fn := range change {
		fn(h)
	}
	h.parts.Grader, err = apps.Grader(h.applications, attest.Parts{Now: time.Now, Secret: h.parts.Secret})
	must(t, err)
	h.phones, err = phones.New(c, h.applications, h.parts)
	must(t, err)
	mux := http.NewServeMux()
	for prefix, face := range h.phones.Faces() {
		mux.Handle(prefix, face)
	}
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(h.phones.JWKS()) // the phone notices what is missing
	})
	h.faces.Store(mux)
}

// serve is what the authorization server does around the faces.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	caller := httpx.Caller{ClientIP: "192.0.2.1", RequestID: "rq_1"}
	h.faces.Load().ServeHTTP(w, r.WithContext(httpx.WithCaller(r.Context(), caller)))
}

// call calls the API for back ends.
func (h *house) call(method, path, body string) (status int, answer map[string]any) {
	h.t.Helper()
	status, text := h.send(method, restapi.Path+path, "application/json", body)
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		h.t.Fatalf("%s %s: %d %s: %v", method, path, status, text, err)
	}
	return status, answer
}

func (h *house) send(method, path, contentType, body string) (status int, answer string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	must(h.t, err)
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := h.client.Do(r)
	must(h.t, err)
	defer func() { _ = response.Body.Close() }() // it has been read
	data, err := io.ReadAll(response.Body)
	must(h.t, err)
	return response.StatusCode, string(data)
}

const pin = "493817"

// enrol adds a user with a phone that is active.
func (h *house) enrol() (user string, phone *device.Device) { return h.enrolAs("4711") }

// enrolAs is for a user with another reference.
func (h *house) enrolAs(reference string) (user string, phone *device.Device) {
	keys := new(device.SoftStore)
	return h.enrolWith(device.Config{
		Client: h.client, Keystore: keys, Vault: keys, Now: time.Now, KDF: device.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, device.State) error { return nil },
	}, reference, "ios")
}

// enrolWith is for a phone of one's own.
func (h *house) enrolWith(config device.Config, reference, platform string) (user string, phone *device.Device) {
	t := h.t
	t.Helper()
	_, added := h.call("POST", "/users", `{"external_ref":"`+reference+`"}`)
	user, _ = added["id"].(string)
	_, begun := h.call("POST", "/operations/registration", `{"user_id":"`+user+`","application":"bank"}`)
	qr, _ := begun["qr"].(string)
	invitation, err := envelope.ParseInvitation(qr)
	must(t, err)
	phone, err = device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: platform, Name: "Phone", PIN: pin,
	})
	must(t, err)
	status, confirmed := h.call("POST", "/operations/"+invitation.Operation+"/confirm", `{"digits":"`+phone.State().Digits+`"}`)
	if status != http.StatusOK || confirmed["confirmed"] != true {
		t.Fatalf("the digits of the phone: %d %v", status, confirmed)
	}
	return user, phone
}
