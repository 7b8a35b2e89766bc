// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const issuer = "https://auth.example.com"

var errDown = errors.New("the store is down")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// gate admits whoever says "Test CLIENT SCOPE…", and whoever says "Home CLIENT SCOPE…" from two networks alone.
type gate struct{}

func (gate) Authenticate(r *http.Request) (restapi.Caller, error) {
	kind, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch kind {
	case "Test":
		words := strings.Fields(rest)
		return restapi.Caller{ClientID: words[0], Scopes: words[1:]}, nil
	case "Home":
		words := strings.Fields(rest)
		home := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
		return restapi.Caller{ClientID: words[0], Scopes: words[1:], Networks: home}, nil
	case "Throttled":
		return restapi.Caller{}, oauth.TooMany(time.Minute)
	case "Down":
		return restapi.Caller{}, oauth.Unavailable(errDown)
	case "Broken":
		return restapi.Caller{}, errors.New("secret cause")
	case "Twice":
		return restapi.Caller{}, oauth.NewError(oauth.InvalidRequest, "two credentials")
	case "dpop":
		return restapi.Caller{}, oauth.NewError(oauth.UseDPoPNonce, "the proof needs a nonce")
	case "Bearer", "DPoP":
		return restapi.Caller{}, oauth.NewError(oauth.InvalidToken, "the token is not valid")
	}
	return restapi.Caller{}, oauth.NewError(oauth.InvalidClient, "the client could not be authenticated")
}

type apps struct{}

func (apps) List() []mobileauth.Listing { l, _ := apps{}.Find("bank"); return []mobileauth.Listing{l} }

func (apps) Find(id string) (mobileauth.Listing, error) {
	if id != "bank" {
		return mobileauth.Listing{}, fmt.Errorf("application %q: %w", id, mobileauth.ErrNoApplication)
	}
	return mobileauth.Listing{ID: "bank", Platforms: map[string]string{"ios": "com.example.bank"}, Rules: []mobileauth.Entry{}, Default: mobileauth.Active}, nil
}

// serverKey is the name of the key that phones encrypt to.
const serverKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

type versions struct{}

func (versions) Status(string, string, string) (mobileauth.Status, mobileauth.Notice) {
	return mobileauth.Active, mobileauth.Notice{}
}

type callbacks struct{}

func (callbacks) Allowed(client, url string) error {
	if client == "portal" && url == "https://portal.example.com/done" {
		return nil
	}
	return errors.New("not listed")
}

// world is an API with everything below it, over one store in memory. About half of the transaction closures run twice.
type world struct {
	t          testing.TB
	clock      *storagetest.Clock
	db         *storagetest.FaultyDB
	users      *identity.Store
	devices    *handset.Store
	operations *operation.Store
	enrolment  *enrolment.Store
	trail      *audit.Trail
	api        *restapi.API
	logs       *safeBuffer

	told *told
}

// told is what the API says beside its answers.
type told struct {
	mu       sync.Mutex
	applied  int
	fail     error
	observed []string
}

// on is the world for a subtest.
func (w *world) on(t testing.TB) *world {
	sub := *w
	sub.t = t
	return &sub
}

type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func newWorld(t testing.TB, change ...func(*restapi.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: storagetest.NewClock(), logs: &safeBuffer{}, told: &told{}}
	db, err := memstore.Open(memstore.Config{Now: w.clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	w.db = storagetest.Faulty(storagetest.Twice(db, uint64(len(t.Name()))))
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	w.trail, err = audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now, Sealer: sealer})
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 8, Time: 1, Threads: 1}})
	must(t, err)
	w.users, err = identity.New(identity.Config{
		DB: w.db, Sealer: sealer, Hasher: hasher, Now: w.clock.Now, Audit: w.trail, Searchable: []string{"phone"},
		OnRevoke: []func(storage.Tx, identity.User) error{func(tx storage.Tx, u identity.User) error {
			return w.operations.CloseForUser(tx, u.ID)
		}},
	})
	must(t, err)
	must(t, w.users.Reindex(t.Context()))
	w.devices, err = handset.New(handset.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Audit: w.trail, Now: w.clock.Now,
		OnRevoke: []func(storage.Tx, handset.Device) error{func(tx storage.Tx, d handset.Device) error {
			return w.operations.CloseForDevice(tx, d)
		}},
	})
	must(t, err)
	w.operations, err = operation.New(operation.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Devices: w.devices, Audit: w.trail, Now: w.clock.Now,
		Limits: operation.Limits{Open: 8, OpenOfClient: 5},
	})
	must(t, err)
	policy, err := enrolment.DefaultPolicy().Normalize()
	must(t, err)
	policy.Recovery = true
	w.enrolment, err = enrolment.New(enrolment.Config{
		DB: w.db, Sealer: sealer, Users: w.users, Devices: w.devices, Operations: w.operations, Audit: w.trail, Issuer: issuer,
		Applications: versions{}, ServerKey: func() (string, error) { return serverKey, nil }, Now: w.clock.Now,
		Policies: func(app string) (enrolment.Policy, bool) { return policy, app == "bank" },
	})
	must(t, err)
	config := restapi.Config{
		Enrolment: w.enrolment,
		Issuer:    issuer, Authenticator: gate{}, Users: w.users, Devices: w.devices, Operations: w.operations, Applications: apps{},
		Trail: w.trail, Callbacks: callbacks{}, Certificates: new(issued), DB: w.db, Sealer: sealer, Now: w.clock.Now,
		Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Applied: w.told.apply, Observe: w.told.observe,
	}
	for _, fn := range change {
		fn(&config)
	}
	w.api, err = restapi.New(config)
	must(t, err)
	return w
}

func (w *told) apply(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.applied++
	return w.fail
}

func (w *told) observe(pattern string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.observed = append(w.observed, fmt.Sprint(pattern, " ", status))
}

// all are the credentials of a client that may do everything but look at others' operations.
const all = "Test portal gatehouse:users gatehouse:devices gatehouse:operations gatehouse:clients gatehouse:audit"

// answer is an answer that the description knows.
type answer struct {
	t    testing.TB
	code int
	http.Header
	body string
}

// do sends a request and holds it and its answer against the description. Headers come in pairs; without an Authorization among
// them the client may do everything.
func (w *world) do(method, path, body string, header ...string) *answer {
	w.t.Helper()
	return w.send(w.request(method, path, body, header...), body)
}

func (w *world) request(method, path, body string, header ...string) *http.Request {
	ctx := httpx.WithCaller(w.t.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "rq_test"})
	r := httptest.NewRequestWithContext(ctx, method, restapi.Path+path, strings.NewReader(body))
	r.Header.Set("Authorization", all)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			r.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func (w *world) send(r *http.Request, body string) *answer {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.api.ServeHTTP(recorder, r)
	c, err := theContract()
	must(w.t, err)
	c.check(w.t, r, body, recorder)
	return &answer{w.t, recorder.Code, recorder.Header(), recorder.Body.String()}
}

// is fails the test when the status is another one.
func (a *answer) is(status int) *answer {
	a.t.Helper()
	if a.code != status {
		a.t.Fatalf("status %d, want %d: %s", a.code, status, a.body)
	}
	return a
}

// refused fails the test when the answer is not a problem of this code, and returns the names of what was wrong.
func (a *answer) refused(code string) []string {
	a.t.Helper()
	var p struct {
		Type   string `json:"type"`
		Status int    `json:"status"`
		Code   string `json:"code"`
		Params []struct {
			Name string `json:"name"`
		} `json:"invalid_params"`
	}
	a.json(&p)
	if p.Code != code || p.Status != a.code || p.Type != issuer+"/api/v1/docs#"+code {
		a.t.Errorf("refused with %d %s (%s), want %s: %s", a.code, p.Code, p.Type, code, a.body)
	}
	var names []string
	for _, param := range p.Params {
		names = append(names, param.Name)
	}
	return names
}

func (a *answer) json(into any) *answer {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return a
}

// get returns a text of the answer by the path to it.
func (a *answer) get(path ...string) string {
	a.t.Helper()
	var value any
	a.json(&value)
	for _, name := range path {
		m, ok := value.(map[string]any)
		if !ok {
			a.t.Fatalf("%s: no %v", a.body, path)
		}
		value = m[name]
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func (w *world) addUser(body string) *answer {
	w.t.Helper()
	return w.do(http.MethodPost, "/users", body).is(http.StatusCreated)
}

// addDevice adds an active device with a PIN.
func (w *world) addDevice(userID string, change ...func(*handset.Device)) handset.Device {
	w.t.Helper()
	secret := bytes.Repeat([]byte{7}, envelope.SecretLen)
	d := handset.Device{
		ID: handset.NewID(), UserID: userID, Name: "Phone", Application: "bank", Platform: "ios", Status: handset.Active,
		Factors: []handset.Factor{{Kind: envelope.FactorPIN, Secret: secret}},
	}
	must(w.t, d.SetKeys(mobiletest.Keys(w.t).Public()))
	for _, fn := range change {
		fn(&d)
	}
	var stored handset.Device
	must(w.t, w.db.Update(w.t.Context(), func(tx storage.Tx) error {
		stored = d
		return w.devices.Put(tx, &stored, audit.Actor{By: "operator"})
	}))
	return stored
}
