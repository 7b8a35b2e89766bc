// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

// TestCallbackAllowList: the list is on; for a client that the operator names it is off, with a warning at each start. Plain http stays
// out all the same.
func TestCallbackAllowList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, mobile string
		want         int
	}{
		{"on", "mobile", http.StatusUnprocessableEntity},
		{"off for another", "mobile {\n callback_allow_list off shop\n}", http.StatusUnprocessableEntity},
		{"off", "mobile {\n callback_allow_list off shop\n callback_allow_list off portal\n}", http.StatusCreated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log strings.Builder
			h := newHouse(t, read(t, tt.mobile), func(h *house) {
				h.parts.Clients = phones.Clients{{ID: "portal"}, {ID: "shop"}}
				h.parts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			})
			warned := strings.Contains(log.String(), "callback_allow_list is off") && strings.Contains(log.String(), "client_id=portal")
			if warned != (tt.want == http.StatusCreated) {
				t.Errorf("the log says %q", log.String())
			}
			user, _ := h.enrol()
			ask := func(callback string) int {
				status, _ := h.call("POST", "/operations/authorisation", `{"user_id":"`+user+`","context":{"title":"Pay"},"callback_url":"`+callback+`"}`)
				return status
			}
			if got := ask("https://anywhere.invalid/done"); got != tt.want {
				t.Errorf("an address that is not listed: %d", got)
			}
			if got := ask("http://anywhere.invalid/done"); got != http.StatusUnprocessableEntity {
				t.Errorf("plain http: %d", got)
			}
		})
	}
}

func TestCallbackAllowListMistakes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " on", " off", " portal", " OFF portal"} {
		if c, err := parse("mobile {\n callback_allow_list" + text + "\n}"); err == nil || !strings.Contains(err.Error(), "callback_allow_list") {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	c := read(t, "mobile {\n callback_allow_list off portal shop\n}")
	if !slices.Equal(c.Unlisted, []string{"portal", "shop"}) {
		t.Errorf("it is off for %v", c.Unlisted)
	}
	h := newHouse(t, nil)
	parts := h.parts
	for _, known := range []phones.Clients{nil, {wire.Client{ID: "portal"}}} {
		if parts.Clients = known; known == nil {
			parts.Clients = nil
		}
		if _, err := phones.New(c, nil, parts); err == nil || !strings.Contains(err.Error(), "there is no client") {
			t.Errorf("a client that is not there: %v", err)
		}
	}
}
