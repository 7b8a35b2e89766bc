// SPDX-License-Identifier: Apache-2.0

package appauth_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/appauth"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const get = "https://example.com/get"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// registry knows the app "bank": 3 is active, 2 notifies, 1 registers no device, 0 is switched off with a message and everything
// else without.
func registry(t testing.TB) *mobileauth.Registry {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	t.Cleanup(func() { _ = db.Close() }) // the test is over
	update := map[string]string{"en": "Please update", "nl": "Werk de app bij"}
	r, err := mobileauth.New(mobileauth.Config{
		DB: db, Now: clock.Now, Logger: slog.New(slog.DiscardHandler),
		Applications: []mobileauth.Application{
			{ID: "bank", Platforms: map[string]string{"ios": "com.example.bank"}, Rules: []mobileauth.Rule{
				{Pattern: "3.*", Status: mobileauth.Active},
				{Pattern: "2.*", Status: mobileauth.Notify, Messages: update, MessageID: "spring"},
				{Pattern: "1.*", Status: mobileauth.NoRegistration},
				{Pattern: "0.*", Status: mobileauth.Disabled, Messages: update, MessageID: "gone", URL: get},
			}},
			{ID: "atm", Platforms: map[string]string{"windows": "Atm"}},
		},
	})
	must(t, err)
	must(t, r.Refresh(t.Context()))
	return r
}

func newGuest(t testing.TB, app string, versions appauth.Versions) *appauth.Guest {
	t.Helper()
	g, err := appauth.New(appauth.Config{Application: app, Versions: versions})
	must(t, err)
	return g
}

// try has an engine try the realm.
func try(t testing.TB, g *appauth.Guest, in realm.Input) realm.Attempt {
	t.Helper()
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "app", Authenticator: g, LoginModule: g, MaxAge: time.Hour},
			{Name: "user", Authenticator: g, LoginModule: g, MaxAge: time.Hour},
		},
		Identity: []string{"user"},
	})
	must(t, err)
	attempt, err := engine.Try(t.Context(), "app", in)
	must(t, err)
	return attempt
}

func says(pairs ...string) realm.Input {
	in := realm.Input{Native: true, Fields: map[string]string{}, Headers: map[string][]string{}, Locale: "en"}
	for i := 0; i < len(pairs); i += 2 {
		in.Fields[pairs[i]] = pairs[i+1]
	}
	return in
}

func TestVersions(t *testing.T) {
	t.Parallel()
	versions := registry(t)
	accepted := func(version string, attributes map[string]string) realm.Result {
		app := &realm.Application{ID: "bank", Platform: "ios", Version: version}
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Application: app, Attributes: attributes}}
	}
	refused := func(reason string, notice *realm.Notice) realm.Result {
		return realm.Result{Status: realm.Refused, Reason: reason, Notice: notice, Blameless: reason != appauth.ReasonMalformed}
	}
	for _, test := range []struct {
		name, app string
		in        realm.Input
		want      realm.Result
	}{
		{"active", "bank", says("platform", "ios", "version", "3.1"), accepted("3.1", nil)},
		{"active, of any app", "", says("application", "bank", "platform", "ios", "version", "3.1"), accepted("3.1", nil)},
		{"notified already", "bank", says("platform", "ios", "version", "2.1", "message_id", "spring"), accepted("2.1", nil)},
		{"no registration", "bank", says("platform", "ios", "version", "1.1"),
			accepted("1.1", map[string]string{"registration": "refused"})},
		{"disabled", "bank", says("platform", "ios", "version", "0.1"),
			refused("version_disabled", &realm.Notice{ID: "gone", Text: "Please update", URL: get})},
		{"disabled, whatever was shown", "bank", says("platform", "ios", "version", "0.1", "message_id", "gone"),
			refused("version_disabled", &realm.Notice{ID: "gone", Text: "Please update", URL: get})},
		{"of which nobody spoke", "bank", says("platform", "ios", "version", "9"), refused("version_disabled", nil)},
		{"unknown app", "", says("application", "blank", "platform", "ios", "version", "3.1"), refused("unknown_application", nil)},
		{"unknown platform", "bank", says("platform", "android", "version", "3.1"), refused("unknown_application", nil)},
		{"another app than the realm's", "bank", says("application", "atm", "platform", "windows", "version", "3.1"),
			refused("unknown_application", nil)},
		{"malformed app", "", says("application", "a b", "platform", "ios", "version", "3.1"), refused("malformed_answer", nil)},
		{"malformed platform", "bank", says("platform", "iOS", "version", "3.1"), refused("malformed_answer", nil)},
		{"malformed version", "bank", says("platform", "ios", "version", "3.1\n"), refused("malformed_answer", nil)},
		{"pattern for a version", "bank", says("platform", "ios", "version", "3.*"), refused("malformed_answer", nil)},
		{"endless version", "bank", says("platform", "ios", "version", strings.Repeat("3.", 100)+"1"), refused("malformed_answer", nil)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			attempt := try(t, newGuest(t, test.app, versions), test.in)
			if attempt.Challenge != nil {
				t.Fatalf("it asks again: %+v", attempt.Challenge)
			}
			if diff := cmp.Diff(test.want, attempt.Result, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	versions := registry(t)
	names := func(c *realm.Challenge) string {
		var all []string
		for _, f := range c.Fields {
			all = append(all, f.Name)
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct {
		name, app, fields string
		in                realm.Input
		notice            *realm.Notice
	}{
		{"at first", "bank", "platform version message_id", realm.Input{Native: true}, nil},
		{"at first, of any app", "", "application platform version message_id", realm.Input{Native: true}, nil},
		{"nothing answered", "bank", "platform version message_id", says(), nil},
		{"no platform", "bank", "platform version message_id", says("version", "3.1"), nil},
		{"no version", "bank", "platform version message_id", says("platform", "ios"), nil},
		{"no app", "", "application platform version message_id", says("platform", "ios", "version", "3.1"), nil},
		{"to be notified", "bank", "platform version message_id", says("platform", "ios", "version", "2.1"),
			&realm.Notice{ID: "spring", Text: "Please update"}},
		{"to be notified of something new", "bank", "platform version message_id", says("platform", "ios", "version", "2.1", "message_id", "winter"),
			&realm.Notice{ID: "spring", Text: "Please update"}},
		{"in a browser", "bank", "", realm.Input{Fields: map[string]string{"platform": "ios", "version": "3.1"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			attempt := try(t, newGuest(t, test.app, versions), test.in)
			c := attempt.Challenge
			if c == nil || attempt.Result.Status != "" {
				t.Fatalf("it is judged: %+v", attempt.Result)
			}
			if names(c) != test.fields {
				t.Errorf("it asks for %q", names(c))
			}
			if diff := cmp.Diff(test.notice, c.Notice); diff != "" {
				t.Error(diff)
			}
			if c.Further != (test.notice != nil) || (c.Data["application"] == "bank") != (test.app == "bank" && test.in.Native) {
				t.Errorf("the challenge is %+v", c)
			}
			if (c.Message == "login.application") == test.in.Native || c.Stuck == test.in.Native {
				t.Errorf("the message is %q", c.Message)
			}
			last := len(c.Fields) - 1
			if test.notice != nil && c.Fields[last].Value != test.notice.ID {
				t.Errorf("what is to come back is %q", c.Fields[last].Value)
			}
		})
	}
}

// TestNoticesInTheLanguageOfTheCaller: by what the app's requests accept, also where pages have no such language.
func TestNoticesInTheLanguageOfTheCaller(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "bank", registry(t))
	for _, test := range []struct {
		accept []string
		locale string
		want   string
	}{
		{nil, "nl", "Werk de app bij"},
		{nil, "", "Please update"},
		{[]string{"nl-BE, en;q=0.5"}, "en", "Werk de app bij"},
		{[]string{"fr", "nl"}, "en", "Werk de app bij"},
		{[]string{"ja"}, "nl", "Werk de app bij"},
		{[]string{"\x00;;"}, "nl", "Werk de app bij"},
	} {
		for _, version := range []string{"2.0", "0.9"} {
			in := says("platform", "ios", "version", version)
			in.Headers["Accept-Language"], in.Locale = test.accept, test.locale
			attempt := try(t, g, in)
			notice := attempt.Result.Notice
			if attempt.Challenge != nil {
				notice = attempt.Challenge.Notice
			}
			if notice == nil || notice.Text != test.want {
				t.Errorf("%v, %q: the notice of %s is %+v", test.accept, test.locale, version, notice)
			}
		}
	}
}

func TestStands(t *testing.T) {
	t.Parallel()
	versions := registry(t)
	of := func(id, platform, version string) realm.Proof {
		return realm.Proof{Realm: "app", Application: &realm.Application{ID: id, Platform: platform, Version: version}}
	}
	for _, test := range []struct {
		name, app string
		proof     realm.Proof
		want      bool
	}{
		{"active", "bank", of("bank", "ios", "3.1"), true},
		{"notify", "bank", of("bank", "ios", "2.1"), true},
		{"no registration", "bank", of("bank", "ios", "1.1"), true},
		{"disabled", "bank", of("bank", "ios", "0.1"), false},
		{"unknown", "bank", of("bank", "android", "3.1"), false},
		{"another app than the realm's", "bank", of("atm", "windows", "1"), false},
		{"any app", "", of("atm", "windows", "1"), true},
		{"of no app", "", realm.Proof{Realm: "app"}, false},
	} {
		if got := newGuest(t, test.app, versions).Stands(test.proof); got != test.want {
			t.Errorf("%s: stands is %v", test.name, got)
		}
	}
	g := newGuest(t, "bank", versions)
	_, err := versions.Set(t.Context(), "bank", mobileauth.Rule{Pattern: "3.1", Status: mobileauth.Disabled})
	must(t, err)
	if g.Stands(of("bank", "ios", "3.1")) {
		t.Error("a proof stands although its version was switched off")
	}
	_, err = versions.Unset(t.Context(), "bank", "3.1", "")
	must(t, err)
	if !g.Stands(of("bank", "ios", "3.1")) {
		t.Error("a proof does not stand although its version is back")
	}
}

// TestNothingSaidGetsInThatIsSwitchedOff: whatever an app answers, what is let in is a version that stands.
func TestNothingSaidGetsInThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	g := newGuest(t, "", registry(t))
	word := rapid.OneOf(rapid.SampledFrom([]string{"bank", "atm", "ios", "windows", "3.1", "0.1", "1", "spring", "gone", "*", ""}), rapid.String())
	rapid.Check(t, func(rt *rapid.T) {
		in := says("application", word.Draw(rt, "app"), "platform", word.Draw(rt, "platform"), "version", word.Draw(rt, "version"),
			"message_id", word.Draw(rt, "message"))
		attempt := try(t, g, in)
		if attempt.Result.Status != realm.Accepted {
			return
		}
		app := attempt.Result.Identity.Application
		if app == nil || attempt.Result.Identity.Subject != "" || !g.Stands(realm.Proof{Application: app}) || app.ID == "bank" && strings.HasPrefix(app.Version, "0.") {
			rt.Fatalf("%+v is let in", attempt.Result.Identity)
		}
	})
}

// TestTrap1WhatAnAppSaysIsNoIdentity: neither a user nor a device nor a method comes of it, whatever else it sends.
func TestTrap1WhatAnAppSaysIsNoIdentity(t *testing.T) {
	t.Parallel()
	in := says("application", "bank", "platform", "ios", "version", "3.1", "device", "dev_1", "username", "alice", "subject", "usr_alice")
	in.Subject, in.Hint = "usr_bob", "alice"
	attempt := try(t, newGuest(t, "", registry(t)), in)
	want := realm.Identity{Application: &realm.Application{ID: "bank", Platform: "ios", Version: "3.1"}}
	if diff := cmp.Diff(want, attempt.Result.Identity); diff != "" {
		t.Error(diff)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []appauth.Config{{}, {Application: "bank"}, {Application: "a b", Versions: registry(t)}} {
		if _, err := appauth.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
