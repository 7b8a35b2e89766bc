// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"errors"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/people"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text string
		want       people.Config
		refused    bool
	}{
		{"a name", "user alice", people.Config{Login: "alice"}, false},
		{"everything", "user alice {\n password {env.P}\n attribute name \"Alice A\"\n attribute email a@example.com\n}",
			people.Config{Login: "alice", Password: "{env.P}", Attributes: map[string]string{"name": "Alice A", "email": "a@example.com"}}, false},
		{"nobody", "user", people.Config{}, true},
		{"half an attribute", "user alice {\n attribute name\n}", people.Config{}, true},
		{"an attribute twice", "user alice {\n attribute name A\n attribute name B\n}", people.Config{}, true},
		{"something else", "user alice {\n colour red\n}", people.Config{}, true},
	} {
		d := caddyfile.NewTestDispenser(test.text)
		d.Next()
		var got []people.Config
		err := people.Parse(&got)(d)
		if (err != nil) != test.refused {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			if diff := cmp.Diff([]people.Config{test.want}, got); diff != "" {
				t.Errorf("%s: %s", test.name, diff)
			}
		}
	}
}

// TestSeed: who is not there is created, and who is stays as he is, and his password is not even looked up.
func TestSeed(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 8, Time: 1, Threads: 1}})
	must(t, err)
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: clock.Now})
	must(t, err)
	asked := 0
	secret := func(text, of string) (string, error) {
		asked++
		if text != "{env.P}" || of != "user alice" {
			t.Errorf("asked for %q of %q", text, of)
		}
		return "correct horse battery", nil
	}
	configured := []people.Config{{Login: "alice", Password: "{env.P}", Attributes: map[string]string{"name": "Alice"}}}
	must(t, people.Seed(t.Context(), users, configured, secret))
	alice, err := users.ByLogin(t.Context(), "alice")
	must(t, err)
	configured[0].Attributes["name"] = "Mallory"
	must(t, people.Seed(t.Context(), users, configured, secret))
	again, err := users.ByLogin(t.Context(), "alice")
	must(t, err)
	if diff := cmp.Diff(alice, again); diff != "" || asked != 1 || alice.Attributes["name"] != "Alice" {
		t.Errorf("asked %d times; the second start changed her: %s", asked, diff)
	}
	out, err := users.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: "correct horse battery", ClientIP: "192.0.2.1"})
	if err != nil || out.Result != identity.Accepted {
		t.Errorf("her password is %s, %v", out.Result, err)
	}
}

func TestSeedSaysWhose(t *testing.T) {
	t.Parallel()
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	must(t, err)
	hasher, err := identity.NewHasher(identity.HasherConfig{Params: identity.Params{Memory: 8, Time: 1, Threads: 1}})
	must(t, err)
	users, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: storagetest.NewClock().Now})
	must(t, err)
	missing := errors.New("it is not set")
	err = people.Seed(t.Context(), users, []people.Config{{Login: "alice", Password: "{env.P}"}},
		func(string, string) (string, error) { return "", missing })
	if !errors.Is(err, missing) || err.Error() != `creating the user "alice": it is not set` {
		t.Errorf("a password that is not set: %v", err)
	}
}
