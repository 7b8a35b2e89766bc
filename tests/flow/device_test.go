// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage"
)

// lose is what the store of devices does when the helpdesk locks one.
func (w *world) lose(t *testing.T, device string) {
	t.Helper()
	must(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.store.RevokeDevice(tx, device) }))
	w.settle(t)
}

// withDevice has the scope pay need a device beside the password.
func withDevice(_ *world, c *realm.Config) {
	c.Realms = append(c.Realms, &realm.Realm{
		Name: "device", Authenticator: device{}, LoginModule: module(known), MaxAge: 8 * time.Hour,
	})
	c.Scopes["pay"] = []string{"password", "device"}
}

// TestLostPhoneIsOutEverywhereAtOnce: what rests on the device is dead on every node and at every face, and nothing else is.
func TestLostPhoneIsOutEverywhereAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, plain := w.tokens(t, "app")
		b, tokens := w.tokens(t, "app", "scope", "openid read pay offline_access")
		if claims := claimsOf(t, tokens.text("id_token")); claims["device"] != knownDevice {
			t.Errorf("the ID token says %v", claims)
		}
		b.get(web1 + "/")
		want(t, "gate before", w.call(t, api+"/pay", tokens.text("access_token")).status, http.StatusOK)
		a := w.form(t, "/introspect", "machine", "token", tokens.text("access_token"))
		if list, _ := a.body["device"].([]any); len(list) != 1 || list[0] != knownDevice {
			t.Errorf("introspection says %v", a.body)
		}
		w.lose(t, "dev_of_somebody_else")
		want(t, "gate, when another is lost", w.call(t, api+"/pay", tokens.text("access_token")).status, http.StatusOK)
		w.lose(t, knownDevice)
		for _, path := range []string{"/", "/pay"} {
			want(t, "gate at "+path, w.call(t, api+path, tokens.text("access_token")).status, http.StatusUnauthorized)
		}
		want(t, "userinfo", w.call(t, issuer+"/userinfo", tokens.text("access_token")).status, http.StatusUnauthorized)
		want(t, "refresh", w.refresh(t, "app", tokens.text("refresh_token")).status, http.StatusBadRequest)
		for _, kind := range []string{"access_token", "refresh_token"} {
			if a := w.form(t, "/introspect", "app", "token", tokens.text(kind)); a.body["active"] != false {
				t.Errorf("introspection of the %s says %v", kind, a.body)
			}
		}
		if p := b.get(web1 + "/"); !strings.HasPrefix(p.url.String(), issuer+"/login") {
			t.Errorf("the browser is at %s", p.url)
		}
		want(t, "what rests on no device, at the gate", w.call(t, api+"/", plain.text("access_token")).status, http.StatusOK)
		want(t, "what rests on no device, refreshed", w.refresh(t, "app", plain.text("refresh_token")).status, http.StatusOK)

		w.clock.Advance(time.Second) // the helpdesk unlocks it
		_, again := w.tokens(t, "app", "scope", "openid read pay")
		want(t, "gate, once it is back", w.call(t, api+"/pay", again.text("access_token")).status, http.StatusOK)
		want(t, "gate, with the old token", w.call(t, api+"/pay", tokens.text("access_token")).status, http.StatusUnauthorized)
	}, withDevice)
}
