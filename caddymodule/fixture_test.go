// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/guests"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/tests/adapted"
)

func init() { caddy.RegisterModule(new(memory)) }

// memory is a storage engine for tests: a store of its own for each name, which can be told not to open.
type memory struct {
	Name  string `json:"name,omitempty"`
	Fails bool   `json:"fails,omitempty"`
}

func (*memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.storage.memory", New: func() caddy.Module { return new(memory) }}
}

func (m *memory) Key() (string, error) { return "memory:" + m.Name, nil }

var errBroken = errors.New("the store is broken")

func (m *memory) Open(_ context.Context, o pool.Options) (storage.DB, error) {
	if m.Fails {
		return nil, errBroken
	}
	return memstore.Open(memstore.Config{Now: o.Now})
}

func (m *memory) Sealer() (storage.Sealer, error) {
	return seal.New(seal.Key{ID: "test", Secret: []byte("0123456789abcdefghijklmnopqrstuv")})
}

var _ pool.Engine = (*memory)(nil)

// running is a configuration that is provisioned and, unless a test does it, not started.
type running struct {
	t    testing.TB
	app  *caddymodule.App
	http *caddyhttp.App
}

const issuer = "http://localhost:8080"

// Caddy keeps the state of what it provisions in variables of the process.
var provisioning sync.Mutex

// provision adapts a Caddyfile, puts the storage in place, and provisions what comes out.
func provision(t testing.TB, options, sites, storage string) (*running, error) {
	t.Helper()
	if storage == "" {
		storage = `{"engine":"memory","name":"` + t.Name() + `"}`
	}
	caddyfile := "{\n auto_https off\n gatehouse {\n issuer " + issuer + "\n" + options + "\n }\n}\n" + sites
	config, err := adapted.Config(caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	var app map[string]json.RawMessage
	if err := json.Unmarshal(config.AppsRaw["gatehouse"], &app); err != nil {
		t.Fatal(err)
	}
	app["storage"] = json.RawMessage(storage)
	if config.AppsRaw["gatehouse"], err = json.Marshal(app); err != nil {
		t.Fatal(err)
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, err
	}
	r := &running{t: t}
	module, err := ctx.App("gatehouse")
	if err != nil {
		t.Fatal(err)
	}
	r.app = module.(*caddymodule.App)
	t.Cleanup(func() {
		if err := errors.Join(r.app.Stop(), r.app.Cleanup()); err != nil {
			t.Error(err)
		}
	})
	if sites != "" {
		if module, err = ctx.App("http"); err != nil {
			t.Fatal(err)
		}
		r.http = module.(*caddyhttp.App)
	}
	return r, nil
}

// open provisions what must be good.
func open(t testing.TB, options, sites string) *running {
	t.Helper()
	r, err := provision(t, options, sites, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// usual are options that most tests need.
const usual = `scope read password
	scope write password
	default_scope read
	client machine {
		secret machine-secret-0123456789-0123456789
		grants client_credentials
		scopes read write
	}`

// handler returns the first handler of a kind, however deep it stands.
func handler[T any](r *running) T {
	r.t.Helper()
	for _, server := range r.http.Servers {
		if found, ok := find[T](server.Routes); ok {
			return found
		}
	}
	r.t.Fatal("there is no such handler")
	panic("unreachable")
}

func find[T any](routes caddyhttp.RouteList) (T, bool) {
	for _, route := range routes {
		for _, h := range route.Handlers {
			if found, ok := h.(T); ok {
				return found, true
			}
			if sub, ok := h.(*caddyhttp.Subroute); ok {
				if found, ok := find[T](sub.Routes); ok {
					return found, true
				}
			}
		}
	}
	var none T
	return none, false
}

// request is a request as Caddy's server prepares it.
func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	repl := caddy.NewReplacer()
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
	ctx = context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, new(caddyhttp.ExtraLogFields))
	return r.WithContext(ctx)
}

// token asks the token endpoint for a token of the machine.
func (r *running) token(scope string) string {
	r.t.Helper()
	body := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}.Encode()
	asks := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader(body))
	asks.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	asks.SetBasicAuth("machine", "machine-secret-0123456789-0123456789")
	w := httptest.NewRecorder()
	r.app.Server().ServeHTTP(w, asks)
	var got struct {
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Access == "" {
		r.t.Fatalf("the token endpoint answers %d %s", w.Code, w.Body)
	}
	return got.Access
}

// reached is a next handler that remembers what it was asked.
type reached struct{ r *http.Request }

func (n *reached) ServeHTTP(_ http.ResponseWriter, r *http.Request) error {
	n.r = r
	return nil
}

// status returns the status of an error that a handler returns.
func status(err error) int {
	var handled caddyhttp.HandlerError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &handled):
		return handled.StatusCode
	}
	return 0
}
