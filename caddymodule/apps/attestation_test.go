// SPDX-License-Identifier: Apache-2.0

package apps_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

var asked = "attestation android required {\n minimum hardware\n android_key {\n digest " + strings.Repeat("0a", 32) + "\n revoked none\n}\n}\n"

func TestAttestation(t *testing.T) {
	t.Parallel()
	configs, err := parse("application bank {\n ios com.example.bank\n android com.example.bank\n enrollment {\n attestation record\n}\n" + asked + "}")
	if err != nil {
		t.Fatal(err)
	}
	if err := apps.Check(configs); err != nil {
		t.Fatal(err)
	}
	policy, _, err := configs[0].Policy()
	want := map[string]enrolment.AttestationRule{"android": {Mode: enrolment.AttestationRequired, Minimum: attestation.Hardware}}
	if diff := cmp.Diff(want, policy.AttestationOn); diff != "" || err != nil {
		t.Error(diff, err)
	}
	g, err := apps.Grader(configs, attest.Parts{Now: time.Now})
	if err != nil || len(g) != 1 || g[grading.Place{Application: "bank", Platform: "android"}].AndroidKey == nil {
		t.Errorf("the grader is %+v, %v", g, err)
	}
}

// TestAskedAttestation: what a realm asks for, somebody has to be able to show, and what is said has to be asked for by something.
func TestAskedAttestation(t *testing.T) {
	t.Parallel()
	const play = "attestation android record {\n play_integrity {\n digest DIGEST\n decryption_key {env.A}\n verification_key {env.B}\n}\n}\n"
	record := strings.Replace(asked, "required", "record", 1)
	for _, tt := range []struct {
		name, application, text, least, want string
	}{
		{"what can be shown", "bank", record, "hardware", ""},
		{"by any app", "", record, "tee", ""},
		{"a grade that is none", "bank", record, "gold", "want hardware, tee or software"},
		{"no grade", "bank", record, "unknown", "want hardware, tee or software"},
		{"more than can be shown", "bank", play, "hardware", "nothing that is configured shows that grade"},
		{"of an app that shows nothing", "other", record, "tee", "nothing that is configured shows that grade"},
		{"by keys that have leaked", "bank", strings.Replace(record, "revoked none", "", 1), "tee", `or "revoked none"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse("application bank {\n android com.example.bank\n" + strings.ReplaceAll(tt.text, "DIGEST", strings.Repeat("0a", 32)) + "}")
			if err != nil {
				t.Fatal(err)
			}
			if err := apps.Check(configs); err != nil {
				t.Fatal(err)
			}
			err = apps.CheckAsked(configs, tt.application, attestation.Grade(tt.least))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err := apps.CheckUnused(configs, true); err != nil {
				t.Errorf("where something asks: %v", err)
			}
			if err := apps.CheckUnused(configs, false); err == nil || !strings.Contains(err.Error(), "no enrollment") {
				t.Errorf("where nothing asks: %v", err)
			}
		})
	}
}

// TestAttestationMistakes: a configuration that could register nobody is refused.
func TestAttestationMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"a platform that is not there", "ios com.example.bank\n enrollment\n" + asked, `not there for "android"`},
		{"nobody to believe", "android com.example.bank\n enrollment\n attestation android record", "attestation android: nothing says"},
		{"required everywhere", "ios com.example.bank\n enrollment {\n attestation required\n}", "attestation is required on ios"},
		{
			"required on a platform of two", "ios com.example.bank\n android com.example.bank\n enrollment {\n attestation required\n}\n" + asked,
			"attestation is required on ios",
		},
		{ // whoever has an activation code and no phone that could show anything says ios
			"required on one of two, and nothing asked on the other", "ios com.example.bank\n android com.example.bank\n enrollment\n" + asked,
			"attestation is required on android and not asked for on ios",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse("application bank {\n" + tt.text + "\n}")
			if err == nil {
				err = apps.Check(configs)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	configs, err := parse("application bank {\n android com.example.bank\n enrollment\n" + strings.Replace(asked, "android_key {", "android_key {\n root /nowhere.pem", 1) + "}")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := apps.Grader(configs, attest.Parts{Now: time.Now}); err == nil || !strings.Contains(err.Error(), `application "bank": attestation android: android_key: root`) {
		t.Errorf("a root that is not there: %v", err)
	}
}
