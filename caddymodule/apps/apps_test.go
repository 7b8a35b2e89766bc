// SPDX-License-Identifier: Apache-2.0

package apps_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func parse(text string) ([]apps.Config, error) {
	var configs []apps.Config
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := apps.Parse(&configs)(d)
	return configs, err
}

const bank = `application bank {
	ios com.example.bank
	platform tvos com.example.tv
	version 2.* active
	version 1.* disabled {
		platform ios
		message en "Please update"
		message nl "Werk de app bij"
		message_id gone
		url https://example.com/get
	}
}`

func TestParse(t *testing.T) {
	t.Parallel()
	configs, err := parse(bank)
	if err != nil {
		t.Fatal(err)
	}
	want := []apps.Config{{
		ID: "bank", Platforms: map[string]string{"ios": "com.example.bank", "tvos": "com.example.tv"},
		Versions: []apps.Version{
			{Version: "2.*", Status: "active"},
			{Version: "1.*", Status: "disabled", Platform: "ios", MessageID: "gone", URL: "https://example.com/get",
				Messages: map[string]string{"en": "Please update", "nl": "Werk de app bij"}},
		},
	}}
	if diff := cmp.Diff(want, configs); diff != "" {
		t.Error(diff)
	}
}

// TestRegistry: the registry says what the options do.
func TestRegistry(t *testing.T) {
	t.Parallel()
	configs, err := parse(bank)
	if err != nil {
		t.Fatal(err)
	}
	db, err := memstore.Open(memstore.Config{Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	registry, err := apps.Registry(configs, db, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		platform, version string
		want              mobileauth.Status
	}{
		{"ios", "2.0", mobileauth.Active}, {"tvos", "2.0", mobileauth.Active}, {"ios", "1.0", mobileauth.Disabled},
		{"tvos", "1.0", mobileauth.Disabled}, {"android", "2.0", mobileauth.Unknown},
	} {
		if got, _ := registry.Status("bank", test.platform, test.version); got != test.want {
			t.Errorf("%s on %s is %s, want %s", test.version, test.platform, got, test.want)
		}
	}
	_, notice := registry.Status("bank", "ios", "1.0")
	if notice.ID != "gone" || notice.URL != "https://example.com/get" || notice.Text("nl") != "Werk de app bij" {
		t.Errorf("the notice is %+v, %q", notice, notice.Text("nl"))
	}
	if _, err := apps.Registry(append(configs, configs...), db, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("an app stands twice")
	}
}

func TestCheckRealm(t *testing.T) {
	t.Parallel()
	configs := []apps.Config{{ID: "bank"}}
	for _, test := range []struct {
		name, authenticator, want string
		configs                   []apps.Config
		identity                  bool
	}{
		{"the app", `{"type":"application","id":"bank"}`, "", configs, false},
		{"any app", `{"type":"application"}`, "", configs, false},
		{"another app", `{"type":"application","id":"wallet"}`, `"wallet", which is not defined`, configs, false},
		{"no app", `{"type":"application"}`, "define one", nil, false},
		{"as the user", `{"type":"application"}`, "cannot be the realm of user_identity", configs, true},
		{"another kind", `{"type":"form","id":"wallet"}`, "", nil, true},
		{"nothing", ``, "", nil, true},
	} {
		err := apps.CheckRealm([]byte(test.authenticator), test.configs, test.identity)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := apps.AsksVersion([]byte(test.authenticator)); got != strings.Contains(test.authenticator, "application") {
			t.Errorf("%s: names nobody is %v", test.name, got)
		}
	}
}

// FuzzParse: whatever stands in the block, it is refused with a place, or it makes an app that can be checked.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{bank, "application", "application a {\n ios\n}", "application a {\n version 1 active {\n message en\n }\n}", "application a {\n}\n}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		configs, err := parse(text)
		if err != nil {
			if !strings.Contains(err.Error(), "Testfile:") && !strings.Contains(err.Error(), "at ") {
				t.Errorf("the error has no place: %v", err)
			}
			return
		}
		if err := apps.Check(configs); err == nil && len(configs[0].Platforms) == 0 {
			t.Errorf("an app for no platform: %+v", configs)
		}
	})
}

func TestEnrollment(t *testing.T) {
	t.Parallel()
	configs, err := parse(`application bank {
	ios com.example.bank
	enrollment {
		push off
		push_mode single
		unique_keys on
		confirmation none
		attestation preferred
		quarantine first
		transfer off
		recovery on
		biometric off
		custom voice
	}
	pin {
		required off
		min_length 8
		max_attempts 3
	}
}`)
	if err != nil {
		t.Fatal(err)
	}
	got, registers, err := configs[0].Policy()
	if err != nil || !registers {
		t.Fatal(registers, err)
	}
	want := enrolment.Policy{
		Keys: true, PushMode: enrolment.Single, UniqueKeys: true, Confirmation: enrolment.ConfirmNone, Encryption: enrolment.JOSE,
		Attestation: enrolment.AttestationPreferred, Quarantine: true, QuarantineFirst: true, Recovery: true,
		Custom: []string{"voice"}, PIN: enrolment.PIN{MinLength: 8, MaxAttempts: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestEnrollmentDefaults: who writes no more than that phones are registered gets the defaults, and who does not, none.
func TestEnrollmentDefaults(t *testing.T) {
	t.Parallel()
	configs, err := parse("application bank {\n ios com.example.bank\n enrollment\n}")
	if err != nil {
		t.Fatal(err)
	}
	got, registers, err := configs[0].Policy()
	if err != nil || !registers {
		t.Fatal(registers, err)
	}
	if diff := cmp.Diff(enrolment.DefaultPolicy(), got); diff != "" {
		t.Error(diff)
	}
	if _, registers, err := (&apps.Config{ID: "bank"}).Policy(); registers || err != nil {
		t.Errorf("an app that says nothing registers phones: %v, %v", registers, err)
	}
}

func TestEnrollmentMistakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"enrollment {\n push_mode many\n}", "single, override or multiple"},
		{"enrollment {\n quarantine maybe\n}", "on, first or off"},
		{"enrollment {\n confirmation voice\n}", "digits or none"},
		{"enrollment {\n encryption rot13\n}", "jose or openpgp"},
		{"enrollment {\n attestation never\n}", "required, preferred or record"},
		{"enrollment {\n custom Voice\n}", "lower case"},
		{"enrollment\npin {\n min_length 3\n}", "4 to 32"},
		{"enrollment\npin {\n max_attempts 11\n}", "1 to 10"},
		{"pin {\n min_length 6\n}", "no enrollment"},
		{"enrollment {\n push maybe\n}", "on or off"},
		{"enrollment {\n colour red\n}", "colour"},
	} {
		configs, err := parse("application bank {\n ios com.example.bank\n" + test.text + "\n}")
		if err == nil {
			err = apps.Check(configs)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.text, err, test.want)
		}
	}
}
