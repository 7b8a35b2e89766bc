// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule"
)

// What a Caddyfile would not say is refused in JSON as well, although its parts have been loaded by then.
func TestRealmsInJSON(t *testing.T) {
	t.Parallel()
	const form = `"authenticator":{"type":"form"},"login_module":{"type":"identity_store"}`
	for _, tt := range []struct{ name, realms, want string }{
		{"as it should be", `{"name":"password",` + form + `,"time_out":60000000000}`, ""},
		{"a round that is too long", `{"name":"password",` + form + `,"time_out":60000000001}`, "1m0s at most"},
		{"a negative round", `{"name":"password",` + form + `,"time_out":-1}`, "time_out"},
		{"a part that takes longer than a round", `{"name":"password","authenticator":{"type":"adapter","url":"https://x","time_out":11000000000}}`,
			`realm "password": time_out of a part of it is 11s`},
		{"a login module that takes longer than a round", `{"name":"password","authenticator":{"type":"form"},"time_out":1000000000,
			"login_module":{"type":"web_service","url":"https://x","time_out":1000000001}}`, "has 1s"},
		{"a round as long as its part", `{"name":"password","time_out":20000000000,"authenticator":{"type":"adapter","url":"https://x","time_out":20000000000}}`, ""},
		{"an app in the place of a user", `{"name":"password","authenticator":{"type":"application"}}`, "not by whom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := provisionApp(t, `{"issuer":"`+issuer+`","storage":{"engine":"memory","name":"`+t.Name()+`"},
				"user_identity":["password"],"realms":[`+tt.realms+`]}`)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("provisioning: %v, want %q", err, tt.want)
			}
		})
	}
}

// provisionApp provisions the app from JSON, and lets it go again.
func provisionApp(t *testing.T, app string) error {
	t.Helper()
	config := caddy.Config{
		AppsRaw: caddy.ModuleMap{"gatehouse": json.RawMessage(app)},
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{
			"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"discard"}`)}},
		}},
	}
	provisioning.Lock()
	defer provisioning.Unlock()
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		return err
	}
	loaded, err := ctx.App("gatehouse")
	if err != nil {
		return err
	}
	return loaded.(*caddymodule.App).Cleanup()
}

// A realm has the time that the configuration gives it.
func TestTimeOutOfARealm(t *testing.T) {
	t.Parallel()
	r := open(t, usual, "")
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	for _, want := range []time.Duration{0, 20 * time.Second} {
		got, err := r.app.Realm(ctx, &caddymodule.RealmConfig{
			Name: "card", AuthenticatorRaw: []byte(`{"type":"form"}`), LoginModuleRaw: []byte(`{"type":"identity_store"}`),
			TimeOut: caddy.Duration(want),
		})
		if err != nil || got.Timeout != want {
			t.Errorf("the realm is %+v, %v, want a time-out of %v", got, err, want)
		}
	}
}
