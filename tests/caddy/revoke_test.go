// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// gatehouse runs the command line against the running program.
func (h *house) gatehouse(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := h.Command(t.Context(), append(args, "--address", h.Socket())...)
	cmd.Stdin = strings.NewReader(stdin)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, said.String())
	}
	return string(out)
}

// addUser adds a user of the test's own, who logs in with the password that all have.
func (h *house) addUser(t *testing.T, name string) {
	t.Helper()
	h.gatehouse(t, password+"\n", "user", "add", name)
}

// TestRevocationIsInstant: what ends a token is seen by the very next request, whichever way it goes.
func TestRevocationIsInstant(t *testing.T) {
	t.Parallel()
	h := common(t)
	cases := []struct {
		name string
		// end ends what a user has; it is given the user's tokens and browser.
		end func(t *testing.T, user string, has tokens, b *browser)
		// session tells that the browser's session ends as well, and grant that the refresh token does.
		session, grant bool
	}{
		{name: "refresh token revoked", grant: true, end: func(t *testing.T, _ string, has tokens, _ *browser) {
			send(t, http.MethodPost, h.issuer+"/revoke", form("client_id", "app", "token", has.Refresh))
		}},
		{name: "access token revoked", end: func(t *testing.T, _ string, has tokens, _ *browser) {
			send(t, http.MethodPost, h.issuer+"/revoke", form("client_id", "app", "token", has.Access))
		}},
		{name: "refresh token stolen", grant: true, end: func(t *testing.T, _ string, has tokens, _ *browser) {
			next := h.refresh(t, has.Refresh)
			h.refresh(t, next.Refresh)
			h.refresh(t, has.Refresh) // two generations old: somebody else has it
		}},
		{name: "user locked", session: true, grant: true, end: func(t *testing.T, user string, _ tokens, _ *browser) {
			h.gatehouse(t, "", "user", "lock", user)
		}},
		{name: "user deactivated", session: true, grant: true, end: func(t *testing.T, user string, _ tokens, _ *browser) {
			h.gatehouse(t, "", "user", "deactivate", user)
		}},
		{name: "password changed", session: true, grant: true, end: func(t *testing.T, user string, _ tokens, _ *browser) {
			h.gatehouse(t, "another-"+password+"\n", "user", "passwd", user)
		}},
		{name: "session ended by the operator", session: true, grant: true, end: func(t *testing.T, user string, _ tokens, _ *browser) {
			var sessions []struct {
				ID string `json:"id"`
			}
			list := h.gatehouse(t, "", "session", "list", "--user", user, "--json")
			if err := json.Unmarshal([]byte(list), &sessions); err != nil || len(sessions) == 0 {
				t.Fatalf("the sessions are %s", list)
			}
			for _, s := range sessions {
				h.gatehouse(t, "", "session", "end", s.ID)
			}
		}},
		{name: "logged out at the site", session: true, grant: true, end: func(t *testing.T, _ string, _ tokens, b *browser) {
			sendWith(t, b.client, http.MethodPost, h.web+"/_gatehouse/logout", header("Origin", h.web))
		}},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			user := "revoked" + string(rune('a'+i))
			h.addUser(t, user)
			b := newBrowser(t)
			b.enter(h.web+"/", user)
			code, verifier := b.code(h, user, "openid accounts:read")
			has := h.redeem(t, code, verifier)
			if got := send(t, http.MethodGet, h.all+"/", bearer(has.Access)); got.Status != http.StatusOK {
				t.Fatalf("the token does not pass before: %d", got.Status)
			}
			c.end(t, user, has, b)
			got := send(t, http.MethodGet, h.all+"/", bearer(has.Access))
			if got.Status != http.StatusUnauthorized || !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") {
				t.Errorf("the token still passes: %d %s", got.Status, got.Header.Get("WWW-Authenticate"))
			}
			if again := h.refresh(t, has.Refresh); (again.Error == "invalid_grant") != c.grant {
				t.Errorf("the refresh token's end is %q", again.Error)
			}
			if page := b.get(h.web + "/"); page.reached() == c.session {
				t.Errorf("that the browser is still logged in is %v", page.reached())
			}
			asked := send(t, http.MethodPost, h.issuer+"/introspect", basic("machine", machineSecret), form("token", has.Access))
			if !strings.Contains(asked.Body, `"active":false`) {
				t.Errorf("introspection says %s", asked.Body)
			}
		})
	}
}

func (h *house) refresh(t *testing.T, token string) tokens {
	t.Helper()
	return h.token(t, form("grant_type", "refresh_token", "client_id", "app", "refresh_token", token))
}
