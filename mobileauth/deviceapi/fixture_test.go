// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/deviceapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/exchange"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	alice = "usr_alice"
	bob   = "usr_bob"
	pin   = "493817"
)

// anyVersion is a registry of apps all of whose versions are active.
type anyVersion struct{}

func (anyVersion) Status(string, string, string) (mobileauth.Status, mobileauth.Notice) {
	return mobileauth.Active, mobileauth.Notice{}
}

// server is the server's side, all of it real, over a store in memory.
type server struct {
	t          testing.TB
	clock      *storagetest.Clock
	db         *storagetest.FaultyDB
	users      *mobiletest.Users
	lines      *lines
	keys       *exchange.Ring
	ring       *keyset.Ring
	devices    *handset.Store
	operations *operation.Store
	enrolment  *enrolment.Store
	policy     enrolment.Policy
	handler    *deviceapi.Handler
	url        string
	client     *http.Client
	// settled counts how often the gates were told, and told says whether a device was out by then.
	settled atomic.Int64
	told    atomic.Bool
}

// lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// reason returns why the last message was refused.
func (l *lines) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := ""
	for line := range strings.Lines(l.buf.String()) {
		var entry struct {
			Audit struct{ Name, Reason string } `json:"audit"`
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Audit.Name == "device.message" {
			last = entry.Audit.Reason
		}
	}
	return last
}

// has reports whether something was logged at that level.
func (l *lines) has(level string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), `"level":"`+level+`"`)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newServer(t testing.TB, change ...func(*enrolment.Policy)) *server {
	t.Helper()
	s := &server{t: t, clock: storagetest.NewClock(), users: &mobiletest.Users{}, lines: new(lines)}
	db, err := memstore.Open(memstore.Config{Now: s.clock.Now})
	must(t, err)
	s.db = storagetest.Faulty(db)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789abcdef")})
	must(t, err)
	logger := slog.New(slog.NewJSONHandler(s.lines, nil))
	trail, err := audit.New(audit.Config{DB: s.db, Logger: logger, Now: s.clock.Now})
	must(t, err)
	s.keys, err = exchange.Open(exchange.Config{DB: s.db, Sealer: sealer, Now: s.clock.Now})
	must(t, err)
	s.ring, err = keyset.Open(keyset.Config{DB: s.db, Sealer: sealer, Algs: []jose.Algorithm{jose.ES256}, Now: s.clock.Now})
	must(t, err)
	must(t, s.keys.Load(t.Context()))
	must(t, s.ring.Load(t.Context()))
	s.devices, err = handset.New(handset.Config{
		DB: s.db, Sealer: sealer, Users: s.users, Audit: trail, Now: s.clock.Now,
		OnRevoke: []func(storage.Tx, handset.Device) error{
			func(tx storage.Tx, d handset.Device) error { return s.operations.CloseForDevice(tx, d) },
		},
	})
	must(t, err)
	s.operations, err = operation.New(operation.Config{
		DB: s.db, Sealer: sealer, Users: s.users, Devices: s.devices, Audit: trail, Now: s.clock.Now,
	})
	must(t, err)
	s.policy = enrolment.DefaultPolicy()
	for _, c := range change {
		c(&s.policy)
	}
	s.listen()
	s.enrolment, err = enrolment.New(enrolment.Config{
		DB: s.db, Sealer: sealer, Users: s.users, Devices: s.devices, Operations: s.operations, Applications: anyVersion{},
		Policies: func(string) (enrolment.Policy, bool) { return s.policy, true }, Audit: trail, Issuer: s.url,
		ServerKey: func() (string, error) { k, err := s.keys.Current(); return k.KID, err }, Now: s.clock.Now,
	})
	must(t, err)
	refusals, err := limit.New(limit.Config{Burst: 100, Every: time.Second, Keys: 100, Now: s.clock.Now})
	must(t, err)
	messages, err := limit.New(limit.Config{Burst: 100, Every: time.Second, Keys: 100, Now: s.clock.Now})
	must(t, err)
	s.handler, err = deviceapi.New(deviceapi.Config{
		Issuer: s.url, Keys: s.keys, Signer: s.ring, Devices: s.devices, Operations: s.operations, Enrolment: s.enrolment,
		Audit: trail, Logger: logger, Now: s.clock.Now, Refusals: refusals, Messages: messages,
		Watch: s.watch,
	})
	must(t, err)
	return s
}

// watch looks, before the answer, whether alice's first device is out.
func (s *server) watch() func(context.Context) error {
	return func(ctx context.Context) error {
		s.settled.Add(1)
		devices, err := s.devices.ByUser(ctx, alice)
		if err == nil && len(devices) > 0 {
			s.told.Store(devices[0].Status.Out())
		}
		return err
	}
}

// listen opens a port before the handler is there, since messages name the issuer.
func (s *server) listen() {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			set, err := jose.MarshalSet(s.ring.Publics(), s.keys.Publics()...)
			if err != nil {
				s.t.Error(err)
			}
			w.Header().Set("Content-Type", "application/jwk-set+json")
			_, _ = w.Write(set)
			return
		}
		caller := httpx.Caller{ClientIP: "192.0.2.1", RequestID: "rq_1"}
		s.handler.ServeHTTP(w, r.WithContext(httpx.WithCaller(r.Context(), caller)))
	}))
	s.t.Cleanup(front.Close)
	s.url, s.client = front.URL, front.Client()
}

// post sends a body as it is.
func (s *server) post(path, body string) (status int, answer string, header http.Header) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	must(s.t, err)
	r.Header.Set("Content-Type", envelope.ContentType)
	response, err := s.client.Do(r)
	must(s.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	must(s.t, err)
	return response.StatusCode, string(data), response.Header
}

// config is that of a phone of its own.
func (s *server) config() (device.Config, *device.SoftStore) {
	store := new(device.SoftStore)
	return device.Config{
		Client: s.client, Keystore: store, Vault: store, Now: s.clock.Now, KDF: device.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, device.State) error { return nil },
	}, store
}

// invite starts a registration.
func (s *server) invite(user string) (enrolment.Begun, envelope.Invitation) {
	s.t.Helper()
	begun, _, err := s.enrolment.Start(s.t.Context(), enrolment.Start{UserID: user, Application: "bank", Proofed: true})
	must(s.t, err)
	invitation, err := envelope.ParseInvitation(begun.QR)
	must(s.t, err)
	return begun, invitation
}

// phone is a registered device, with what is needed to speak without the library.
type phone struct {
	*device.Device
	server *server
	keys   envelope.Keys
}

// enrol registers a phone whose digits were confirmed.
func (s *server) enrol(user string) *phone {
	s.t.Helper()
	begun, invitation := s.invite(user)
	config, store := s.config()
	d, err := device.Enrol(s.t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", Name: "Phone", PIN: pin,
	})
	must(s.t, err)
	if s.policy.Confirmation == enrolment.ConfirmDigits {
		c, err := s.enrolment.Confirm(s.t.Context(), begun.Operation.ID, d.State().Digits)
		must(s.t, err)
		if c.Code != operation.Accepted {
			s.t.Fatalf("the phone's digits are %s (%s)", c.Code, c.Reason)
		}
	}
	_, err = d.Refresh(s.t.Context())
	must(s.t, err)
	keys, err := store.Load(s.t.Context(), d.State().Keys)
	must(s.t, err)
	return &phone{Device: d, server: s, keys: keys}
}

// request is a good one, to be spoilt.
func (p *phone) request(path string) envelope.Request {
	return envelope.Request{
		Device: p.State().Device, Audience: p.server.url, Path: path, ID: envelope.NewID(), At: p.server.clock.Now(),
	}
}

// sealed is a message.
func (p *phone) sealed(r envelope.Request, body any) string {
	p.server.t.Helper()
	raw, err := envelope.SealRequest(r, body, p.keys, p.State().Server.Enc[0])
	must(p.server.t, err)
	return raw
}

// ask starts an operation that a PIN answers, without a number.
func (s *server) ask(user string) operation.Operation {
	s.t.Helper()
	o, _, err := s.operations.Start(s.t.Context(), operation.Start{
		Kind: operation.Authorisation, UserID: user, ClientID: "shop", NumberMatch: operation.NoNumber,
		Methods: []string{envelope.FactorPIN}, Context: operation.Context{Title: "Pay 10 EUR to Shop"},
	})
	must(s.t, err)
	return o
}

func (s *server) state(id string) operation.State {
	s.t.Helper()
	o, err := s.operations.Get(s.t.Context(), id)
	must(s.t, err)
	return o.State
}
