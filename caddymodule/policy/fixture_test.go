// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/guests"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
	_ "github.com/gatehouse-id/gatehouse/caddymodule/stores"
	"github.com/gatehouse-id/gatehouse/tests/adapted"
)

// house is a configuration that runs, but for the listeners.
type house struct {
	t    *testing.T
	app  *caddymodule.App
	http *caddyhttp.App
}

// Caddy keeps the state of what it provisions in variables of the process.
var provisioning sync.Mutex

const options = `
	issuer https://auth.example.com
	realm password {
		authenticator form
		login_module identity_store
		max_age 8h
	}
	realm card {
		authenticator form
		login_module identity_store
		max_age 5m
	}
	security_test strong {
		step password
		step card
	}
	scope read password
	scope write password card
	scope free
	default_scope read
`

// open runs sites behind an issuer.
func open(t *testing.T, sites string) *house {
	t.Helper()
	file := "{\n auto_https off\n gatehouse {\n" + options + "storage badger " + t.TempDir() + "\n}\n}\n" + sites
	config, err := adapted.Config(file)
	if err != nil {
		t.Fatal(err)
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t}
	for name, into := range map[string]func(any){
		"gatehouse": func(a any) { h.app = a.(*caddymodule.App) }, "http": func(a any) { h.http = a.(*caddyhttp.App) },
	} {
		app, err := ctx.App(name)
		if err != nil {
			t.Fatal(err)
		}
		into(app)
	}
	if err := h.app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.app.Stop(), h.app.Cleanup()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) explain(q policy.Question) *policy.Explanation {
	h.t.Helper()
	e, err := policy.Explain(h.app, h.http, q)
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

// ask sends a request to a server of the configuration, without any credential.
func (h *house) ask(server, method, host, target string, header http.Header) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, target, nil)
	r.Host = host
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	w := httptest.NewRecorder()
	h.http.Servers[server].ServeHTTP(w, r)
	return w
}
