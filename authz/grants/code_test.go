// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestCodeGivesTokens(t *testing.T) { // OpenID Connect Core 3.1.3.3, RFC 6749 5.1
	t.Parallel()
	w := newWorld(t, nil)
	code, grant := w.code(t, allowance{nonce: "n-1"})
	a := exchange(t, w.node(t), "app", code).ok(t)
	if a.Type != "Bearer" || a.Expires != 300 || a.Scope != "openid accounts:read" || a.Refresh == "" {
		t.Errorf("%s", a.raw)
	}
	access, id := w.claims(t, a.Access), w.claims(t, a.ID)
	for name, want := range map[string]any{"sub": "usr_1", "client_id": "app", "gid": grant.ID, "sid": grant.SessionID, "scope": "openid accounts:read"} {
		if access[name] != want {
			t.Errorf("access token: %s is %v, want %v", name, access[name], want)
		}
	}
	for name, want := range map[string]any{"sub": "usr_1", "aud": "app", "nonce": "n-1", "acr": "password", "sid": grant.SessionID} {
		if id[name] != want {
			t.Errorf("ID token: %s is %v, want %v", name, id[name], want)
		}
	}
	if access["auth_time"] != id["auth_time"] || id["at_hash"] == nil {
		t.Errorf("%v %v", access, id)
	}
	if diff := cmp.Diff([]string{"token.issued authorization_code"}, w.events(t)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(w.lines.String(), `"sub":"usr_1"`) {
		t.Error("the audit line does not name the user")
	}
}

func TestIDTokenOnlyWithOpenID(t *testing.T) { // OpenID Connect Core 3.1.2.1
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{scopes: oauth.Scopes{"accounts:read"}})
	if a := exchange(t, w.node(t), "app", code).ok(t); a.ID != "" || a.Scope != "accounts:read" {
		t.Errorf("%s", a.raw)
	}
}

func TestIDTokenAlgorithmIsTheClients(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{client: "rs256"})
	a := exchange(t, w.node(t), "rs256", code).ok(t)
	w.claims(t, a.ID)
	if !strings.HasPrefix(a.ID, "eyJhbGciOiJSUzI1Ni") {
		t.Errorf("not RS256: %s", a.ID)
	}
}

func TestRefreshTokenOnlyForClientsThatMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{client: "once"})
	if a := exchange(t, w.node(t), "once", code).ok(t); a.Refresh != "" {
		t.Errorf("%s", a.raw)
	}
}

func TestRFC6749CodeRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		client string
		more   []string
		code   oauth.Code
		status int
		burned bool
	}{
		{name: "4.1.3 redirect-match: another", more: []string{"redirect_uri", redirect + "/"}, code: oauth.InvalidGrant, status: 400},
		{name: "4.1.3 redirect-match: missing", more: []string{"redirect_uri", ""}, code: oauth.InvalidGrant, status: 400},
		{name: "4.1.3 code-client: another client's", client: "other", code: oauth.InvalidGrant, status: 400},
		{name: "4.1.3 code-client: wrong secret", client: "web", more: []string{":basic", "web:guess"}, code: oauth.InvalidClient, status: 401},
		{name: "4.1.3 code-client: no secret", client: "web", code: oauth.InvalidClient, status: 401},
		{name: "4.1.3 code missing", more: []string{"code", ""}, code: oauth.InvalidRequest, status: 400},
		{name: "4.1.3 code unknown", more: []string{"code", strings.Repeat("A", 43)}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.6 verifier wrong", more: []string{"code_verifier", strings.Repeat("a", 43)}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.6 verifier missing", more: []string{"code_verifier", ""}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.6 challenge for verifier", more: []string{"code_verifier", oauth.Challenge(verifier)}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.1 verifier of 42", more: []string{"code_verifier", verifier[:42]}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.1 verifier of 129", more: []string{"code_verifier", strings.Repeat("a", 129)}, code: oauth.InvalidGrant, status: 400},
		{name: "RFC 7636 4.1 verifier with slash", more: []string{"code_verifier", verifier[:42] + "/"}, code: oauth.InvalidGrant, status: 400},
		{name: "3.2 dup-param: code in the query too", more: []string{":query", "code=x"}, code: oauth.InvalidRequest, status: 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			h := w.node(t)
			code, _ := w.code(t, allowance{})
			if test.client == "" {
				test.client = "app"
			}
			if slices.Contains(test.more, ":query") {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/token?code=x", strings.NewReader("code=x"))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				send(t, h, r).refused(t, test.code, test.status)
			} else {
				exchange(t, h, test.client, code, test.more...).refused(t, test.code, test.status)
			}
			// One wrong presentation does not burn the code for its client.
			exchange(t, h, "app", code).ok(t)
			if len(w.revocations()) != 0 {
				t.Errorf("revoked: %v", w.revocations())
			}
		})
	}
}

func TestRFC7636Vector(t *testing.T) { // Appendix B
	t.Parallel()
	if got := oauth.Challenge(verifier); got != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
		t.Errorf("challenge is %s", got)
	}
}

func TestCodeIsSpentAfterFiveWrongPresentations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, _ := w.code(t, allowance{})
	for range 5 {
		exchange(t, h, "app", code, "code_verifier", strings.Repeat("a", 43)).refused(t, oauth.InvalidGrant, 400)
	}
	exchange(t, h, "app", code).refused(t, oauth.InvalidGrant, 400)
}

func TestCodeExpires(t *testing.T) { // RFC 6749 4.1.2
	t.Parallel()
	for _, test := range []struct {
		age time.Duration
		ok  bool
	}{{59*time.Second + 999*time.Millisecond, true}, {time.Minute, false}} {
		w := newWorld(t, nil)
		code, _ := w.code(t, allowance{})
		w.clock.Advance(test.age)
		a := exchange(t, w.node(t), "app", code)
		if test.ok {
			a.ok(t)
		} else {
			a.refused(t, oauth.InvalidGrant, 400)
		}
	}
}

func TestCodeOnce(t *testing.T) { // RFC 6749 4.1.2 code-once
	t.Parallel()
	w := newWorld(t, nil)
	one, two := w.node(t), w.node(t)
	code, grant := w.code(t, allowance{})
	first := exchange(t, one, "app", code).ok(t)
	exchange(t, two, "app", code).refused(t, oauth.InvalidGrant, 400)
	if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
		t.Error(diff)
	}
	if got := w.claims(t, first.Access)["gid"]; got != grant.ID {
		t.Errorf("the first access token is of grant %v", got)
	}
	renew(t, one, "app", first.Refresh).refused(t, oauth.InvalidGrant, 400)
	exchange(t, one, "app", code).refused(t, oauth.InvalidGrant, 400)
	want := []string{"grant.revoked code_replayed", "token.issued authorization_code"}
	if diff := cmp.Diff(want, w.events(t)); diff != "" {
		t.Error(diff)
	}
}

func TestReplayIsRecognisedAfterTheCodeExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, grant := w.code(t, allowance{})
	exchange(t, h, "app", code).ok(t)
	w.clock.Advance(time.Hour)
	exchange(t, h, "app", code).refused(t, oauth.InvalidGrant, 400)
	if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
		t.Error(diff)
	}
}

func TestAStrangersReplayRevokesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, _ := w.code(t, allowance{})
	first := exchange(t, h, "app", code).ok(t)
	exchange(t, h, "other", code).refused(t, oauth.InvalidGrant, 400)
	if len(w.revocations()) != 0 {
		t.Errorf("revoked: %v", w.revocations())
	}
	renew(t, h, "app", first.Refresh).ok(t)
}

// TestConcurrentRedemption lets many redeem one code at once, on two nodes and on a store whose closures may run twice:
// exactly one gets tokens, and the others' replays revoke them.
func TestConcurrentRedemption(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := newWorld(t, func(db storage.DB) storage.DB { return storagetest.Twice(db, seed) })
		nodes := []http.Handler{w.node(t), w.node(t)}
		code, grant := w.code(t, allowance{})
		var group sync.WaitGroup
		var won atomic.Int32
		var refresh atomic.Value
		for i := range 16 {
			group.Go(func() {
				if a := exchange(t, nodes[i%2], "app", code); a.status == 200 {
					won.Add(1)
					refresh.Store(a.Refresh)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 16 redeemed one code", won.Load())
		}
		if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
			t.Error(diff)
		}
		token, _ := refresh.Load().(string)
		renew(t, nodes[0], "app", token).refused(t, oauth.InvalidGrant, 400)
		if n := len(w.events(t)); n != 2 {
			t.Errorf("%d audit events, want one issue and one revocation: %v", n, w.events(t))
		}
	}
}

func TestCodeOfAnEndedSession(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		offline bool
		end     func(*testing.T, *world, string)
	}{
		{"session ended", false, func(t *testing.T, w *world, session string) {
			_, err := w.store.EndSession(t.Context(), session)
			check(t, err)
		}},
		{"user's password changed", true, func(t *testing.T, w *world, _ string) {
			check(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.store.RevokeSubject(tx, "usr_1") }))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			code, grant := w.code(t, allowance{offline: test.offline})
			w.clock.Advance(time.Millisecond)
			test.end(t, w, grant.SessionID)
			exchange(t, w.node(t), "app", code).refused(t, oauth.InvalidGrant, 400)
		})
	}
}

func TestScopesAreThoseTheClientStillHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{scopes: oauth.Scopes{"openid", "accounts:read", "withdrawn"}})
	if a := exchange(t, w.node(t), "app", code, "scope", "ignored:here").ok(t); a.Scope != "openid accounts:read" {
		t.Errorf("%s", a.raw)
	}
}

func TestACodeWithoutAnAuditEntryGivesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, _ := w.code(t, allowance{})
	w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: storage.ErrFull})
	exchange(t, h, "app", code).refused(t, oauth.TemporarilyUnavailable, 503)
	if n := len(w.events(t)); n != 0 {
		t.Errorf("%d events of what was rolled back", n)
	}
	exchange(t, h, "app", code).ok(t) // nothing was spent
}

func TestNewRefusesAnIncompleteConfig(t *testing.T) {
	t.Parallel()
	if _, err := grants.New(grants.Config{}); err == nil {
		t.Error("an empty configuration was accepted")
	}
	w := newWorld(t, nil)
	var whole grants.Config
	w.node(t, func(c *grants.Config) { whole = *c })
	for name, change := range map[string]func(*grants.Config){
		"clients": func(c *grants.Config) { c.Clients = nil }, "store": func(c *grants.Config) { c.Store = nil },
		"tokens": func(c *grants.Config) { c.Tokens = nil }, "revocations": func(c *grants.Config) { c.Revoke = nil },
		"trail": func(c *grants.Config) { c.Trail = nil }, "clock": func(c *grants.Config) { c.Now = nil },
		"logger": func(c *grants.Config) { c.Logger = nil }, "grace": func(c *grants.Config) { c.Grace = -1 },
	} {
		c := whole
		change(&c)
		if _, err := grants.New(c); err == nil {
			t.Errorf("accepted with a bad %s", name)
		}
	}
	whole.Observe = nil
	h, err := grants.New(whole)
	check(t, err)
	ask(t, h, ":basic", machine, "grant_type", "client_credentials").ok(t)
}

func TestNoAccessTokenWithoutItsIDToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	code, _ := w.code(t, allowance{client: "keyless"})
	exchange(t, h, "keyless", code).refused(t, oauth.TemporarilyUnavailable, 503)
	code, _ = w.code(t, allowance{client: "keyless", scopes: oauth.Scopes{"accounts:read"}})
	exchange(t, h, "keyless", code).ok(t)
}

func TestSubjectThatNoTokenCanHold(t *testing.T) { // OpenID Connect Core 2
	t.Parallel()
	w := newWorld(t, nil)
	code, _ := w.code(t, allowance{subject: strings.Repeat("s", 256)})
	exchange(t, w.node(t), "app", code).refused(t, oauth.ServerError, 500)
}
