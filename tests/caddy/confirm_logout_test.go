// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

// endSessions logs a user out everywhere.
func (h *house) endSessions(t *testing.T, user string) {
	t.Helper()
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
}

// TestConfirmAfterLogout: an approval opens nothing once its login has ended, neither by the old token nor by that of a new login, and
// a request that is held meanwhile does not pass either.
func TestConfirmAfterLogout(t *testing.T) {
	t.Parallel()
	h := start(t, confirming, transfers)
	token := h.user(t, "alice", "openid payments:write accounts:read").Access
	phone := h.register(t, subject(t, token))
	pay := func(token string, change ...func(*http.Request)) *answer {
		t.Helper()
		return send(t, http.MethodPost, h.url(siteSpare)+"/transfers", append([]func(*http.Request){
			bearer(token), func(r *http.Request) {
				setBody(r, "application/json", `{"amount":500,"currency":"EUR","creditor":"X"}`)
			}, header("X-Reference", "7"),
		}, change...)...)
	}
	told := pay(token).told(t)
	approve(t, phone, told.Number)
	hints := make(chan http.Header, 1)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			hints <- http.Header(header)
			return nil
		},
	})
	held := make(chan *answer, 1)
	go func() {
		held <- send(t, http.MethodPut, h.url(siteSpare)+"/held/this", bearer(token), func(r *http.Request) { *r = *r.WithContext(ctx) })
	}()
	hint := <-hints
	h.endSessions(t, "alice")
	approve(t, phone, hint.Get("Gatehouse-Number"))
	if got := <-held; got.Status != http.StatusUnauthorized || got.reached() {
		t.Errorf("a request that was held over the logout: %d %s", got.Status, got.Body)
	}
	named := header("Gatehouse-Operation", told.Operation)
	if got := pay(token, named); got.Status != http.StatusUnauthorized || !strings.Contains(got.Header.Get("WWW-Authenticate"), "invalid_token") || got.reached() {
		t.Errorf("by the old token: %d %s", got.Status, got.Body)
	}
	if got := send(t, http.MethodGet, told.Status, bearer(token)); got.Status != http.StatusUnauthorized {
		t.Errorf("how it stands is told to the old token: %d %s", got.Status, got.Body)
	}
	anew := h.user(t, "alice", "openid payments:write accounts:read").Access
	if got := pay(anew, named); got.Status != http.StatusForbidden || got.told(t).Code != "confirmation_refused" || got.reached() {
		t.Errorf("by a new login: %d %s", got.Status, got.Body)
	}
}
