// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

// TestTrips: how often a request waits for PostgreSQL. docs/cluster.md has these numbers. A login takes the most: the attempt is counted
// before the password is looked at and taken back after it, then a session begins with its entry in the audit trail, and the browser
// comes back with it for its code.
func TestTrips(t *testing.T) {
	t.Parallel()
	var trips atomic.Int64
	clock := storagetest.NewClock()
	db, err := pgstore.Open(t.Context(), pgstore.Config{
		DSN: databases.DSN(t), Schema: postgres.Schema(t.TempDir()), Now: clock.Now, MaxConns: 6, SweepEvery: -1, AcquireTimeout: time.Minute,
		Observe: func(op string, _ time.Duration, _ error) {
			if op == "trip" {
				trips.Add(1)
			}
		},
	})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	w := newWorld(t, clock, db)
	b := w.browser(t)
	count := func(what string, most int64, do func()) {
		t.Helper()
		w.settle(t)
		before := trips.Load()
		do()
		got := trips.Load() - before
		t.Logf("%-55s %d", what, got)
		if got > most {
			t.Errorf("%s: %d round trips, at most %d are allowed", what, got, most)
		}
	}
	var start, finish, again page
	count("start of a login (GET /authorize, GET /login)", 2, func() { start = b.get(authorize("app")) })
	count("finish of a login (POST /login, then its redirect)", 10, func() { finish = b.login(start) })
	var tokens, fresh answer
	count("code exchange", 3, func() { tokens = w.redeem(t, "app", finish) })
	want(t, "code exchange", tokens.status, http.StatusOK)
	count("refresh", 3, func() { fresh = w.refresh(t, "app", tokens.text("refresh_token")) })
	want(t, "refresh", fresh.status, http.StatusOK)
	access := fresh.text("access_token")
	count("a protected request", 0, func() { want(t, "the API", w.call(t, api+"/", access).status, http.StatusOK) })
	count("introspection of a JWT", 0, func() {
		if a := w.form(t, "/introspect", "machine", "token", access); a.body["active"] != true {
			t.Errorf("introspection says %v", a.body)
		}
	})
	count("single sign-on of another application", 4, func() { again = b.get(authorize("app", "prompt", "none")) })
	if again.url.Query().Get("code") == "" {
		t.Errorf("single sign-on came to %s", again.url)
	}
	count("revocation", 4, func() {
		want(t, "revoke", w.form(t, "/revoke", "app", "token", fresh.text("refresh_token")).status, http.StatusOK)
	})
	count("client credentials", 0, func() {
		want(t, "client credentials", w.form(t, "/token", "machine", "grant_type", "client_credentials", "scope", "read").status, http.StatusOK)
	})
}
