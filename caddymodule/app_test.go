// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/handlers"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/caddymodule/pool"
	"github.com/gatehouse-id/gatehouse/storage"
)

func TestMergeBlocks(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, first, second, want, problem string
	}{
		{name: "one and nothing", first: `{"issuer":"a"}`, second: `{}`, want: `{"issuer":"a"}`},
		{name: "different options", first: `{"issuer":"a"}`, second: `{"theme":"b"}`, want: `{"issuer":"a","theme":"b"}`},
		{name: "lists", first: `{"clients":[{"id":"a"}]}`, second: `{"clients":[{"id":"b"}]}`, want: `{"clients":[{"id":"a"},{"id":"b"}]}`},
		{name: "two issuers", first: `{"issuer":"a"}`, second: `{"issuer":"a"}`, problem: "issuer stands twice"},
		{name: "two sections", first: `{"keys":{}}`, second: `{"keys":{}}`, problem: "keys stands twice"},
		{name: "two orders", first: `{"user_identity":["a"]}`, second: `{"user_identity":["b"]}`, problem: "user_identity stands twice"},
	}
	for _, c := range cases {
		got, err := caddymodule.MergeBlocks(c.first, c.second)
		if c.problem != "" {
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

// TestFailedConfigurationGivesBackWhatItTook and no more than that, however often it is cleaned up.
func TestFailedConfigurationGivesBackWhatItTook(t *testing.T) {
	t.Parallel()
	key := "memory:" + t.Name()
	r := open(t, usual, "")
	if err := r.app.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := provision(t, usual+"\nseal_key {env.NOWHERE}", "", ""); err == nil {
			t.Fatal("a bad configuration is good")
		}
		if n := pool.Holders(key); n != 1 {
			t.Fatalf("%d hold the store", n)
		}
	}
	never := open(t, usual, "") // validated, and not run
	for range 2 {
		if err := never.app.Cleanup(); err != nil {
			t.Fatal(err)
		}
	}
	if n := pool.Holders(key); n != 1 {
		t.Errorf("%d hold the store", n)
	}
	if _, err := r.app.Store().Sessions(t.Context(), "", 1); err != nil {
		t.Errorf("the store of the one that runs: %v", err)
	}
	if err := errors.Join(r.app.Stop(), r.app.Cleanup()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.app.Store().Sessions(t.Context(), "", 1); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("after the last one the store is not closed: %v", err)
	}
}

// TestConfiguredUsers are created once, and never changed.
func TestConfiguredUsers(t *testing.T) {
	t.Parallel()
	const users = "\nuser alice {\n password wonderland-2026\n attribute name Alice\n}\nuser guest\n"
	first := open(t, usual+users, "")
	if err := first.app.Start(); err != nil {
		t.Fatal(err)
	}
	alice, err := first.app.Identity().ByLogin(t.Context(), "alice")
	if err != nil || alice.Attributes["name"] != "Alice" || !alice.HasPassword() {
		t.Fatalf("alice is %+v, %v", alice, err)
	}
	if guest, err := first.app.Identity().ByLogin(t.Context(), "guest"); err != nil || guest.HasPassword() {
		t.Errorf("the guest is %+v, %v", guest, err)
	}
	second := open(t, usual+strings.Replace(users, "name Alice", "name Mallory", 1), "")
	if err := second.app.Start(); err != nil {
		t.Fatal(err)
	}
	again, err := second.app.Identity().ByLogin(t.Context(), "alice")
	if err != nil || again.Version != alice.Version || again.Attributes["name"] != "Alice" {
		t.Errorf("alice is now %+v, %v", again, err)
	}
}

// TestDefaultScopeOfClients: the issuer's default stands in for clients that may have it.
func TestDefaultScopeOfClients(t *testing.T) {
	t.Parallel()
	r := open(t, usual+"\nclient poor {\n secret poor-secret-0123456789-0123456789\n grants client_credentials\n scopes write\n}\n", "")
	if err := r.app.Ready(); err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string]string{"machine": `"scope":"read"`, "poor": "invalid_scope"} {
		asked := httptest.NewRequest(http.MethodPost, issuer+"/token", strings.NewReader("grant_type=client_credentials"))
		asked.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		asked.SetBasicAuth(client, client+"-secret-0123456789-0123456789")
		w := httptest.NewRecorder()
		r.app.Server().ServeHTTP(w, asked)
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", client, w.Code, w.Body)
		}
	}
}

// TestCountersGoOn: a new configuration begins with new caches, and what is counted goes on.
func TestCountersGoOn(t *testing.T) { // not in parallel: the metrics are those of the process
	registry := prometheus.NewRegistry()
	for range 2 {
		if err := meter.Register(registry); err != nil {
			t.Fatal(err)
		}
	}
	hits := func() float64 {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "gatehouse_validation_cache_hits_total" {
				return f.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return -1
	}
	var last float64
	for range 3 {
		r := open(t, usual, "http://localhost:8082 {\n protect\n}\n")
		if err := r.app.Start(); err != nil {
			t.Fatal(err)
		}
		token := r.token("read")
		for range 5 {
			asked := request(http.MethodGet, "http://localhost:8082/", "Authorization", "Bearer "+token)
			if err := handler[*handlers.Protect](r).ServeHTTP(httptest.NewRecorder(), asked, new(reached)); err != nil {
				t.Fatal(err)
			}
		}
		now := hits()
		if now < last+4 {
			t.Errorf("hits went from %v to %v", last, now)
		}
		last = now
	}
}
