// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// first redeems a fresh code of the client.
func (w *world) first(t testing.TB, h http.Handler, a allowance) (answer, authz.Grant) {
	t.Helper()
	code, grant := w.code(t, a)
	client := a.client
	if client == "" {
		client = "app"
	}
	return exchange(t, h, client, code).ok(t), grant
}

func TestRefreshKeepsTheAuthentication(t *testing.T) { // OpenID Connect Core 12.2, RFC 9068 2.2.1
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	a, grant := w.first(t, h, allowance{nonce: "n-1"})
	w.clock.Advance(time.Hour)
	b := renew(t, h, "app", a.Refresh).ok(t)
	if b.Refresh == "" || b.Refresh == a.Refresh || b.Scope != "openid accounts:read" {
		t.Errorf("%s", b.raw)
	}
	before, after := w.claims(t, a.ID), w.claims(t, b.ID)
	for _, name := range []string{"iss", "sub", "aud", "auth_time", "acr", "sid"} {
		if before[name] != after[name] {
			t.Errorf("ID token: %s was %v, is %v", name, before[name], after[name])
		}
	}
	if after["nonce"] != nil || after["iat"].(float64)-before["iat"].(float64) != 3600 {
		t.Errorf("ID token: %v", after)
	}
	access := w.claims(t, b.Access)
	old := w.claims(t, a.Access)
	if access["auth_time"] != old["auth_time"] || access["acr"] != old["acr"] || access["gid"] != grant.ID || access["jti"] == old["jti"] {
		t.Errorf("access token: %v", access)
	}
	if diff := cmp.Diff(old["realms"], access["realms"]); diff != "" {
		t.Error(diff)
	}
}

func TestRFC6749Refresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	t.Run("6 refresh-scope", func(t *testing.T) {
		t.Parallel()
		a, _ := w.first(t, h, allowance{})
		narrow := renew(t, h, "app", a.Refresh, "scope", "accounts:read").ok(t)
		if narrow.Scope != "accounts:read" || narrow.ID != "" || w.claims(t, narrow.Access)["scope"] != "accounts:read" {
			t.Errorf("narrowed: %s", narrow.raw)
		}
		wide := renew(t, h, "app", narrow.Refresh, "scope", "accounts:read openid").ok(t)
		if wide.Scope != "accounts:read openid" || wide.ID == "" {
			t.Errorf("the original again: %s", wide.raw)
		}
		renew(t, h, "app", wide.Refresh, "scope", "accounts:read payments:write").refused(t, oauth.InvalidScope, 400)
		renew(t, h, "app", wide.Refresh, "scope", "nobody:has").refused(t, oauth.InvalidScope, 400)
		renew(t, h, "app", wide.Refresh, "scope", `a"b`).refused(t, oauth.InvalidScope, 400)
		again := renew(t, h, "app", wide.Refresh, "scope", "").ok(t) // none of them has used the token up
		if again.Scope != "openid accounts:read" {
			t.Errorf("empty scope: %s", again.raw)
		}
	})
	t.Run("6 refresh-binding", func(t *testing.T) {
		t.Parallel()
		a, _ := w.first(t, h, allowance{})
		renew(t, h, "other", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		renew(t, h, "app", a.Refresh).ok(t)
		code, _ := w.code(t, allowance{client: "web"})
		b := ask(t, h, "grant_type", "authorization_code", ":basic", "web:"+secret, "code", code, "redirect_uri", redirect,
			"code_verifier", verifier).ok(t)
		renew(t, h, "web", b.Refresh).refused(t, oauth.InvalidClient, 401)
		renew(t, h, "web", b.Refresh, ":basic", "web:guess").refused(t, oauth.InvalidClient, 401)
		renew(t, h, "web", b.Refresh, ":basic", "web:"+secret).ok(t)
	})
	t.Run("6 malformed", func(t *testing.T) {
		t.Parallel()
		a, _ := w.first(t, h, allowance{})
		parts := strings.Split(a.Refresh, ".")
		renew(t, h, "app", "").refused(t, oauth.InvalidRequest, 400)
		for _, token := range []string{
			"x", a.Access, parts[0], parts[0] + "." + parts[1], parts[0] + "." + parts[1] + ".AAAA", parts[0] + ".2." + parts[2],
			parts[0] + ".0." + parts[2], parts[0] + ".01." + parts[2], "rt_x." + parts[1] + "." + parts[2], a.Refresh + ".", a.Refresh + "A",
			strings.Repeat("rt_", 200), strings.ToUpper(a.Refresh),
		} {
			renew(t, h, "app", token).refused(t, oauth.InvalidGrant, 400)
		}
		renew(t, h, "app", a.Refresh).ok(t) // a guess revokes nothing
	})
	t.Run("10.10 entropy", func(t *testing.T) {
		t.Parallel()
		a, _ := w.first(t, h, allowance{})
		if parts := strings.Split(a.Refresh, "."); len(parts) != 3 || len(parts[2]) < 43 {
			t.Errorf("the secret of %q is shorter than 256 bits", a.Refresh)
		}
	})
}

func TestRFC9700RefreshRotation(t *testing.T) { // 4.14.2
	t.Parallel()
	t.Run("reuse revokes the family and the access tokens", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, grant := w.first(t, h, allowance{})
		b := renew(t, h, "app", a.Refresh).ok(t)
		w.clock.Advance(grace)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
			t.Error(diff)
		}
		renew(t, h, "app", b.Refresh).refused(t, oauth.InvalidGrant, 400)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		want := []string{"grant.revoked refresh_token_reused", "token.issued authorization_code"}
		if diff := cmp.Diff(want, w.events(t)); diff != "" {
			t.Error(diff)
		}
		for _, line := range []string{`"reason":"refresh_token_reused","sub":"usr_1"`, `"reason":"refresh_token","sub":"usr_1"`} {
			if strings.Count(w.lines.String(), line) != 1 {
				t.Errorf("the log does not say once %s", line)
			}
		}
	})
	t.Run("within the grace window the successor is the same", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, _ := w.first(t, h, allowance{})
		b := renew(t, h, "app", a.Refresh).ok(t)
		w.clock.Advance(grace - time.Millisecond)
		c := renew(t, h, "app", a.Refresh).ok(t)
		if b.Refresh != c.Refresh || b.Access == c.Access {
			t.Errorf("%s\n%s", b.raw, c.raw)
		}
		renew(t, h, "app", b.Refresh).ok(t)
		if len(w.revocations()) != 0 {
			t.Errorf("revoked: %v", w.revocations())
		}
	})
	t.Run("two generations back is reuse, also within the window", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, grant := w.first(t, h, allowance{})
		b := renew(t, h, "app", a.Refresh).ok(t)
		renew(t, h, "app", b.Refresh).ok(t)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("without a window the second use is reuse", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t, func(c *grants.Config) { c.Grace = 0 })
		a, _ := w.first(t, h, allowance{})
		renew(t, h, "app", a.Refresh).ok(t)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		if len(w.revocations()) != 1 {
			t.Errorf("revoked: %v", w.revocations())
		}
	})
	t.Run("expires on inactivity", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, _ := w.first(t, h, allowance{offline: true})
		w.clock.Advance(14*24*time.Hour - time.Millisecond)
		b := renew(t, h, "app", a.Refresh).ok(t)
		w.clock.Advance(14 * 24 * time.Hour)
		renew(t, h, "app", b.Refresh).refused(t, oauth.InvalidGrant, 400)
	})
	t.Run("expires for good", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, _ := w.first(t, h, allowance{offline: true})
		for range 29 {
			w.clock.Advance(24 * time.Hour)
			a = renew(t, h, "app", a.Refresh).ok(t)
		}
		w.clock.Advance(24 * time.Hour)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
	})
	t.Run("a password change ends it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, _ := w.first(t, h, allowance{offline: true})
		w.clock.Advance(time.Second)
		check(t, w.db.Update(t.Context(), func(tx storage.Tx) error { return w.store.RevokeSubject(tx, "usr_1") }))
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
		w.clock.Advance(400 * 24 * time.Hour) // longer than any family lives
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
	})
	t.Run("revoking the client ends it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, nil)
		h := w.node(t)
		a, _ := w.first(t, h, allowance{offline: true})
		w.clock.Advance(time.Second)
		_, err := w.store.Revoke(t.Context(), authz.KindClient, "app")
		check(t, err)
		renew(t, h, "app", a.Refresh).refused(t, oauth.InvalidGrant, 400)
	})
}

func TestOfflineAccessOutlivesTheSession(t *testing.T) { // OpenID Connect Core 11
	t.Parallel()
	for _, offline := range []bool{false, true} {
		w := newWorld(t, nil)
		h := w.node(t)
		a, grant := w.first(t, h, allowance{offline: offline})
		w.clock.Advance(time.Second)
		_, err := w.store.EndSession(t.Context(), grant.SessionID)
		check(t, err)
		b := renew(t, h, "app", a.Refresh)
		if !offline {
			b.refused(t, oauth.InvalidGrant, 400)
			continue
		}
		b.ok(t)
		if w.claims(t, b.Access)["sid"] != nil {
			t.Error("a token that outlives the session names it")
		}
	}
}

// TestParallelRefresh lets a client refresh many times at once with one token, on two nodes and on a store whose closures
// may run twice: all get tokens, and all the same successor.
func TestParallelRefresh(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := newWorld(t, func(db storage.DB) storage.DB { return storagetest.Twice(db, seed) })
		nodes := []http.Handler{w.node(t), w.node(t)}
		a, _ := w.first(t, nodes[0], allowance{})
		var group sync.WaitGroup
		var mu sync.Mutex
		successors := map[string]int{}
		for i := range 16 {
			group.Go(func() {
				b := renew(t, nodes[i%2], "app", a.Refresh)
				mu.Lock()
				defer mu.Unlock()
				successors[b.Refresh]++
			})
		}
		group.Wait()
		if len(successors) != 1 || successors[""] > 0 || len(w.revocations()) != 0 {
			t.Fatalf("successors %v, revoked %v", successors, w.revocations())
		}
		for token := range successors {
			renew(t, nodes[1], "app", token).ok(t)
		}
	}
}

// TestParallelReuse lets an old token and the current one race: whoever is first, the family ends, and nobody keeps a token
// that still works.
func TestParallelReuse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := newWorld(t, func(db storage.DB) storage.DB { return storagetest.Twice(db, seed) })
		nodes := []http.Handler{w.node(t), w.node(t)}
		a, grant := w.first(t, nodes[0], allowance{})
		b := renew(t, nodes[0], "app", a.Refresh).ok(t)
		w.clock.Advance(grace)
		var group sync.WaitGroup
		tokens := make([]string, 2)
		for i, token := range []string{a.Refresh, b.Refresh} {
			group.Go(func() { tokens[i] = renew(t, nodes[i], "app", token).Refresh })
		}
		group.Wait()
		if tokens[0] != "" {
			t.Fatal("a token that was used before was taken")
		}
		if diff := cmp.Diff([]string{"grant " + grant.ID}, w.revocations()); diff != "" {
			t.Fatal(diff)
		}
		if tokens[1] != "" {
			renew(t, nodes[0], "app", tokens[1]).refused(t, oauth.InvalidGrant, 400)
		}
	}
}

func TestALostAnswerIsRecovered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	a, _ := w.first(t, h, allowance{})
	w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1}) // committed, and nobody learns it
	renew(t, h, "app", a.Refresh).refused(t, oauth.TemporarilyUnavailable, 503)
	b := renew(t, h, "app", a.Refresh).ok(t)
	renew(t, h, "app", b.Refresh).ok(t)
}

func TestNarrowedClientGetsNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	h := w.node(t)
	a, _ := w.first(t, h, allowance{scopes: oauth.Scopes{"openid", "withdrawn", "accounts:read"}})
	b := renew(t, h, "app", a.Refresh).ok(t)
	if b.Scope != "openid accounts:read" {
		t.Errorf("%s", b.raw)
	}
	renew(t, h, "app", b.Refresh, "scope", "withdrawn").refused(t, oauth.InvalidScope, 400)
}
