// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

func TestNewNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	with := func(change func(*realm.Realm)) func(*realm.Config) {
		return func(c *realm.Config) { c.Realms = append(c.Realms, define("extra", time.Hour, change)) }
	}
	tests := []struct {
		name   string
		change func(*realm.Config)
		want   []string // parts of the error; none is no error
	}{
		{"all is well", func(*realm.Config) {}, nil},
		{"no scopes and levels", func(c *realm.Config) { c.Scopes, c.Levels = nil, nil }, nil},
		{"a realm named with every kind of character", with(func(r *realm.Realm) { r.Name = "!urn:example:loa/2#a_b-c.d~e~" }), nil},

		{"nothing at all", func(c *realm.Config) { *c = realm.Config{} }, []string{"user identity"}},
		{"no realm", func(c *realm.Config) { c.Realms = nil }, []string{"user_identity", `"password"`}},
		{"a realm that is none", func(c *realm.Config) { c.Realms = append(c.Realms, nil) }, []string{"no name"}},
		{"a realm without a name", with(func(r *realm.Realm) { r.Name = "" }), []string{"no name"}},
		{"a realm with a name of two words", with(func(r *realm.Realm) { r.Name = "two words" }), []string{`"two words"`, "one word"}},
		{"a realm with a line break in its name", with(func(r *realm.Realm) { r.Name = "a\nb" }), []string{"one word"}},
		{"a realm with a quote in its name", with(func(r *realm.Realm) { r.Name = `a"b` }), []string{"one word"}},
		{"a realm with a name that is not ASCII", with(func(r *realm.Realm) { r.Name = "ä" }), []string{"one word"}},
		{"a realm twice", with(func(r *realm.Realm) { r.Name = "phone" }), []string{`"phone"`, "twice"}},
		{"no authenticator", with(func(r *realm.Realm) { r.Authenticator = nil }), []string{`"extra"`, "authenticator"}},
		{"no login module", with(func(r *realm.Realm) { r.LoginModule = nil }), []string{`"extra"`, "login module"}},
		{"no max_age", with(func(r *realm.Realm) { r.MaxAge = 0 }), []string{`"extra"`, "max_age"}},
		{"negative max_age", with(func(r *realm.Realm) { r.MaxAge = -1 }), []string{`"extra"`, "max_age"}},
		{"a realm with a negative time-out", with(func(r *realm.Realm) { r.Timeout = -1 }), []string{`"extra"`, "time_out"}},
		{"a realm with a time-out beyond patience", with(func(r *realm.Realm) { r.Timeout = realm.MaxTimeout + 1 }), []string{`"extra"`, "time_out", "1m0s"}},

		{"a negative time-out", func(c *realm.Config) { c.Timeout = -1 }, []string{"time-out", "negative"}},
		{"no identity realm", func(c *realm.Config) { c.Identity = nil }, []string{"user identity"}},
		{"an identity realm that is not defined", func(c *realm.Config) { c.Identity = []string{"password", "sms"} }, []string{"user_identity", `"sms"`}},
		{"a scope of a realm that is not defined", func(c *realm.Config) { c.Scopes["read"] = []string{"password", "sms"} }, []string{`"read"`, `"sms"`}},
		{"a level without a name", func(c *realm.Config) { c.Levels[0].Name = "" }, []string{"acr", "one word"}},
		{"a level with a name of two words", func(c *realm.Config) { c.Levels[0].Name = "very good" }, []string{`"very good"`, "one word"}},
		{"a level with the name of a realm", func(c *realm.Config) { c.Levels[0].Name = "phone" }, []string{`"phone"`, "name of a realm"}},
		{"a level twice", func(c *realm.Config) { c.Levels[0].Name = "gold" }, []string{`"gold"`, "twice"}},
		{"a level of nothing", func(c *realm.Config) { c.Levels[0].Realms = nil }, []string{`"bronze"`, "no realm"}},
		{"a level of a realm that is not defined", func(c *realm.Config) { c.Levels[2].Realms = []string{"sms"} }, []string{`"gold"`, `"sms"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := standard()
			tt.change(&config)
			engine, err := realm.New(config)
			if len(tt.want) == 0 {
				if err != nil || engine == nil {
					t.Errorf("the engine is %v, %v", engine, err)
				}
				return
			}
			if err == nil {
				t.Fatal("the configuration passes")
			}
			if engine != nil {
				t.Error("the error came with an engine")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error %q does not name %s", err, part)
				}
			}
		})
	}
}

func TestTheEngineDoesNotChangeWithItsConfiguration(t *testing.T) {
	t.Parallel()
	config := standard()
	engine := newEngine(t, config)
	config.Scopes["write"][0], config.Scopes["free"] = "sms", []string{"sms"}
	delete(config.Scopes, "read")
	config.Levels[2].Realms[2], config.Levels[0].Name = "sms", "sms"
	config.Identity[0] = "app"
	if diff := cmp.Diff([]string{"password", "phone"}, names(engine.ForScopes([]string{"free", "write", "read"}))); diff != "" {
		t.Errorf("realms of scopes (-want +got):\n%s", diff)
	}
	gold, _ := engine.ForACR("gold")
	if diff := cmp.Diff([]string{"password", "phone", "app"}, names(gold)); diff != "" {
		t.Errorf("realms of a level (-want +got):\n%s", diff)
	}
	equal(t, "app determines the user", engine.DeterminesUser("app"), false)
	equal(t, "strongest level and the weakest", strings.Join(engine.ACRValues()[:3], " "), "gold silver bronze")
}

func TestRealm(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	if r, ok := engine.Realm("phone"); !ok || r.Name != "phone" || r.MaxAge != 5*time.Minute {
		t.Errorf("the realm is %+v, %v", r, ok)
	}
	for _, name := range []string{"", "sms", "gold", "PHONE"} {
		if r, ok := engine.Realm(name); ok || r != nil {
			t.Errorf("there is a realm %q: %+v", name, r)
		}
	}
}

func TestACRValues(t *testing.T) {
	t.Parallel()
	want := []string{"gold", "silver", "bronze", "app", "card", "password", "phone"}
	engine := newEngine(t, standard())
	if diff := cmp.Diff(want, engine.ACRValues()); diff != "" {
		t.Errorf("acr values (-want +got):\n%s", diff)
	}
	for _, acr := range want {
		if _, ok := engine.ForACR(acr); !ok {
			t.Errorf("%q can be asked for and is not known", acr)
		}
	}
}

func TestForACR(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	tests := []struct {
		acr  string
		want []realm.Requirement
	}{
		{"gold", []realm.Requirement{
			{Realm: "password", MaxAge: 8 * time.Hour}, {Realm: "phone", Step: 1, MaxAge: 5 * time.Minute},
			{Realm: "app", Step: 1, MaxAge: time.Hour},
		}},
		{"phone", []realm.Requirement{{Realm: "phone", MaxAge: 5 * time.Minute}}},
		{"", nil},
		{"platinum", nil},
		{"Gold", nil},
		{"gold ", nil},
	}
	for _, tt := range tests {
		t.Run(tt.acr, func(t *testing.T) {
			t.Parallel()
			got, ok := engine.ForACR(tt.acr)
			equal(t, "known", ok, tt.want != nil)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requirements (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		demand realm.Demand
		want   []string
		err    error
	}{
		{"nothing", realm.Demand{}, []string{"password"}, nil},
		{"a scope that nobody knows", realm.Demand{Scopes: []string{"openid"}}, []string{"password"}, nil},
		{"a scope that needs nothing of its own", realm.Demand{Scopes: []string{"free"}}, []string{"password"}, nil},
		{"one scope", realm.Demand{Scopes: []string{"read"}}, []string{"password"}, nil},
		{"who it is comes first", realm.Demand{Scopes: []string{"write"}}, []string{"password", "phone"}, nil},
		{"who it is comes first, unasked", realm.Demand{Scopes: []string{"device"}}, []string{"password", "app"}, nil},
		{"the identity realm that the scope names", realm.Demand{Scopes: []string{"device", "either"}}, []string{"card", "app"}, nil},
		{"two identity realms", realm.Demand{Scopes: []string{"device", "either", "read"}}, []string{"card", "password", "app"}, nil},
		{"the union of scopes", realm.Demand{Scopes: []string{"device", "write", "read", "device"}}, []string{"password", "app", "phone"}, nil},
		{"a level", realm.Demand{ACRValues: []string{"gold"}}, []string{"password", "phone", "app"}, nil},
		{"a realm's name", realm.Demand{ACRValues: []string{"phone"}}, []string{"password", "phone"}, nil},
		{"an identity realm's name", realm.Demand{ACRValues: []string{"card"}}, []string{"card"}, nil},
		{"the first level that is known", realm.Demand{ACRValues: []string{"platinum", "silver", "gold"}}, []string{"password", "phone"}, nil},
		{"the union of scopes and level", realm.Demand{Scopes: []string{"device"}, ACRValues: []string{"silver"}}, []string{"password", "app", "phone"}, nil},
		{"no level that is known", realm.Demand{ACRValues: []string{"platinum", ""}}, []string{"password"}, realm.ErrUnknownACR},
		{"no level that is known beside scopes", realm.Demand{Scopes: []string{"write"}, ACRValues: []string{"platinum"}}, []string{"password", "phone"}, realm.ErrUnknownACR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			engine := newEngine(t, standard())
			for _, notBefore := range []time.Time{{}, start} {
				tt.demand.NotBefore = notBefore
				got, err := engine.Require(tt.demand)
				if !errors.Is(err, tt.err) {
					t.Errorf("error is %v, want %v", err, tt.err)
				}
				if diff := cmp.Diff(tt.want, names(got)); diff != "" {
					t.Errorf("required realms (-want +got):\n%s", diff)
				}
				for _, r := range got {
					defined, _ := engine.Realm(r.Realm)
					equal(t, "maximum age of "+r.Realm, r.MaxAge, defined.MaxAge)
					equal(t, "earliest proof of "+r.Realm, r.NotBefore, notBefore)
				}
			}
		})
	}
}

func TestDemandsDoNotTouchOneAnother(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	first, err := engine.Require(realm.Demand{Scopes: []string{"write"}, NotBefore: start})
	if err != nil {
		t.Fatal(err)
	}
	second, err := engine.Require(realm.Demand{Scopes: []string{"write"}})
	if err != nil {
		t.Fatal(err)
	}
	if first[0].NotBefore != start || !second[0].NotBefore.IsZero() {
		t.Errorf("the requirements are %+v and %+v", first, second)
	}
}

func TestMetBy(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		requirement realm.Requirement
		proofs      realm.Proofs
		want        bool
	}{
		{"proven now", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, proven("phone", 0*time.Second), true},
		{"as old as it may be", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, proven("phone", time.Minute), true},
		{"too old", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, proven("phone", time.Minute+1), false},
		{"from the future", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, proven("phone", -time.Nanosecond), false},
		{"no age at all, proven now", realm.Requirement{Realm: "phone"}, proven("phone", 0*time.Second), true},
		{"no age at all, proven before", realm.Requirement{Realm: "phone"}, proven("phone", time.Nanosecond), false},
		{"another realm", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, proven("app", 0*time.Second), false},
		{"nothing", realm.Requirement{Realm: "phone", MaxAge: time.Minute}, nil, false},
		{"from the moment of the request", realm.Requirement{Realm: "phone", MaxAge: time.Hour, NotBefore: start.Add(-time.Minute)}, proven("phone", time.Minute), true},
		{"from before the request", realm.Requirement{Realm: "phone", MaxAge: time.Hour, NotBefore: start.Add(-time.Minute)}, proven("phone", time.Minute+1), false},
		{"a proof without a time", realm.Requirement{Realm: "phone", MaxAge: time.Hour}, realm.Proofs{"phone": {Realm: "phone"}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal(t, "met", tt.requirement.MetBy(tt.proofs, start), tt.want)
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	gold, _ := engine.ForACR("gold")
	tests := []struct {
		name   string
		proofs realm.Proofs
		want   string
	}{
		{"everything", nil, "password"},
		{"the second", proven("password", time.Hour, "app", time.Minute), "phone"},
		{"the first, since it is stale", proven("password", 9*time.Hour, "app", 2*time.Hour), "password"},
		{"the last", proven("password", time.Hour, "phone", time.Minute), "app"},
		{"nothing", proven("password", time.Hour, "phone", time.Minute, "app", time.Minute), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, missing := realm.Missing(gold, tt.proofs, start)
			equal(t, "missing realm", got.Realm, tt.want)
			equal(t, "something is missing", missing, tt.want != "")
		})
	}
	if r, missing := realm.Missing(nil, nil, start); missing {
		t.Errorf("of nothing, %+v is missing", r)
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	of := func(name, subject string) realm.Proof { return realm.Proof{Realm: name, Subject: subject, Time: start} }
	tests := []struct {
		name   string
		proofs []realm.Proof
		want   string
	}{
		{"nobody", nil, ""},
		{"one", []realm.Proof{of("password", alice)}, alice},
		{"the first in the configuration", []realm.Proof{of("card", bob), of("password", alice)}, alice},
		{"the second, alone", []realm.Proof{of("card", bob)}, bob},
		{"the second, when the first names nobody", []realm.Proof{of("password", ""), of("card", bob)}, bob},
		{"a realm that determines nobody", []realm.Proof{of("phone", alice)}, ""},
		{"a realm that is not defined", []realm.Proof{of("sms", alice)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proofs := realm.Proofs{}
			for _, p := range tt.proofs {
				proofs[p.Realm] = p
			}
			got, ok := newEngine(t, standard()).Identity(proofs)
			equal(t, "subject", got.Subject, tt.want)
			equal(t, "somebody", ok, tt.want != "")
		})
	}
}

func TestDeterminesUser(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, standard())
	for _, tt := range []struct {
		name string
		want bool
	}{{"password", true}, {"card", true}, {"phone", false}, {"app", false}, {"sms", false}, {"", false}, {"bronze", false}} {
		equal(t, tt.name+" determines the user", engine.DeterminesUser(tt.name), tt.want)
	}
}

func TestNewProof(t *testing.T) {
	t.Parallel()
	identity := realm.Identity{
		Subject: alice, Name: "Alice", AMR: []string{"pwd"}, Device: "dev_1", Attributes: map[string]string{"branch": "Utrecht"},
	}
	local := start.Add(1234567 * time.Nanosecond).In(time.FixedZone("CET", 3600))
	want := realm.Proof{
		Realm: "password", Subject: alice, Name: "Alice", AMR: []string{"pwd"}, Time: start.Add(time.Millisecond), Device: "dev_1",
		Attributes: map[string]string{"branch": "Utrecht"},
	}
	got := define("password", time.Hour).NewProof(identity, local)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	equal(t, "time zone of the proof", got.Time.Location(), time.UTC)
}

func BenchmarkAchieved(b *testing.B) {
	b.ReportAllocs()
	engine := newEngine(b, standard())
	proofs := proven("password", time.Hour, "phone", time.Minute)
	for b.Loop() {
		if acr, _ := engine.Achieved(nil, proofs, start); acr != "silver" {
			b.Fatal(acr)
		}
	}
}
