// SPDX-License-Identifier: Apache-2.0

package appauth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/appauth"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

const issuer = "https://auth.example.com"

var errDown = errors.New("nobody can judge")

var grades = []string{"unknown", "software", "tee", "hardware"}

func atLeast(grade, least string) bool {
	return slices.Index(grades, grade) >= slices.Index(grades, least)
}

// genuine asks for a grade, of evidence that is the hash it was made for, and says its grade.
func genuine(t *testing.T, least string) *appauth.Guest {
	t.Helper()
	g, err := appauth.New(appauth.Config{
		Application: "bank", Versions: registry(t), Attestation: least, Audience: issuer, AtLeast: atLeast,
		Genuine: func(_ context.Context, e appauth.Evidence, least string) (string, string, error) {
			grade, made := string(e.Raw[sha256.Size:]), e.Raw[:sha256.Size]
			switch {
			case grade == "down":
				return "", "", errDown
			case e.Application != "bank" || e.Platform != "ios" || string(made) != string(e.Bound):
				return "unknown", "attestation_challenge", nil
			case !atLeast(grade, least):
				return grade, "attestation_grade", nil
			}
			return grade, "", nil
		},
	})
	must(t, err)
	return g
}

// shows answers a challenge as a platform that says a grade.
func shows(c *realm.Challenge, version, grade string) realm.Input {
	bound := appauth.Bound(c.Data["audience"], c.Data["challenge"])
	in := says("platform", "ios", "version", version, "evidence", string(bound[:])+grade)
	in.State = c.State
	return in
}

// TestGenuine: an app is let in that shows, for the challenge that it was set, at least what is asked for.
func TestGenuine(t *testing.T) {
	t.Parallel()
	app := func(version string) realm.Identity {
		return realm.Identity{Application: &realm.Application{ID: "bank", Platform: "ios", Version: version}, Attestation: "tee"}
	}
	refused := func(reason string) realm.Result {
		return realm.Result{Status: realm.Refused, Reason: reason, Blameless: true}
	}
	for _, tt := range []struct {
		name   string
		answer func(asked, other *realm.Challenge) realm.Input
		want   realm.Result
	}{
		{"what is asked for", func(asked, _ *realm.Challenge) realm.Input { return shows(asked, "3.1", "tee") }, realm.Result{Status: realm.Accepted, Identity: app("3.1")}},
		{"less", func(asked, _ *realm.Challenge) realm.Input { return shows(asked, "3.1", "software") }, refused("attestation_grade")},
		{"nothing", func(asked, _ *realm.Challenge) realm.Input { return shows(asked, "3.1", "unknown") }, refused("attestation_grade")},
		{"of a version that is switched off", func(asked, _ *realm.Challenge) realm.Input { return shows(asked, "9", "tee") }, refused("version_disabled")},
		{"made for another challenge", func(asked, other *realm.Challenge) realm.Input {
			in := shows(other, "3.1", "hardware")
			in.State = asked.State
			return in
		}, refused("attestation_challenge")},
		{"sent twice", func(asked, _ *realm.Challenge) realm.Input {
			in := shows(asked, "3.1", "tee")
			in.Spent = true
			return in
		}, realm.Result{Status: realm.Refused, Reason: "replayed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := genuine(t, "tee")
			asked, other := try(t, g, says()).Challenge, try(t, g, says()).Challenge
			if asked == nil || other == nil || asked.Data["challenge"] == other.Data["challenge"] || asked.Fields[len(asked.Fields)-1].Name != "evidence" {
				t.Fatalf("the challenges are %+v and %+v", asked, other)
			}
			attempt := try(t, g, tt.answer(asked, other))
			if diff := cmp.Diff(tt.want, attempt.Result, cmpopts.EquateEmpty()); diff != "" || attempt.Challenge != nil {
				t.Error(diff)
			}
		})
	}
}

// TestEvidenceIsAsked of whoever has sent none, and of whoever was set no challenge.
func TestEvidenceIsAsked(t *testing.T) {
	t.Parallel()
	g := genuine(t, "tee")
	asked := try(t, g, says()).Challenge
	unasked := shows(asked, "3.1", "tee")
	unasked.State = nil
	none := says("platform", "ios", "version", "3.1")
	none.State = asked.State
	for name, in := range map[string]realm.Input{"no evidence": none, "no challenge": unasked} {
		if attempt := try(t, g, in); attempt.Challenge == nil || attempt.Challenge.Data["challenge"] == asked.Data["challenge"] {
			t.Errorf("%s: %+v", name, attempt.Result)
		}
	}
	told := try(t, g, shows(asked, "2.1", "tee")).Challenge
	if told == nil || told.Notice == nil || told.Data["challenge"] == "" || told.Data["challenge"] == asked.Data["challenge"] {
		t.Fatalf("with a notice it asks %+v", told)
	}
	in := shows(told, "2.1", "tee")
	in.Fields["message_id"] = told.Notice.ID
	if attempt := try(t, g, in); attempt.Result.Status != realm.Accepted {
		t.Errorf("after the notice: %+v", attempt)
	}
}

// TestNobodyJudges: an app is not let in while nobody knows whether it is genuine.
func TestNobodyJudges(t *testing.T) {
	t.Parallel()
	g := genuine(t, "tee")
	asked := try(t, g, says()).Challenge
	credentials, _, err := g.Collect(t.Context(), shows(asked, "3.1", "down"))
	must(t, err)
	if got, err := g.Verify(t.Context(), credentials); !errors.Is(err, errDown) || got.Status == realm.Accepted {
		t.Errorf("it is %+v, %v", got, err)
	}
}

// TestWhatWasShownStands as long as no more is asked for.
func TestWhatWasShownStands(t *testing.T) {
	t.Parallel()
	proof := realm.Proof{Realm: "app", Time: time.Now(), Application: &realm.Application{ID: "bank", Platform: "ios", Version: "3.1"}, Attestation: "tee"}
	for least, want := range map[string]bool{"software": true, "tee": true, "hardware": false} {
		if got := genuine(t, least).Stands(proof); got != want {
			t.Errorf("%s is asked for: stands is %v", least, got)
		}
	}
	proof.Attestation = ""
	if genuine(t, "software").Stands(proof) {
		t.Error("a proof of before evidence was asked for stands")
	}
}

func TestNewGenuine(t *testing.T) {
	t.Parallel()
	good := appauth.Config{
		Versions: new(mobileauth.Registry), Attestation: "tee", Audience: issuer, AtLeast: atLeast,
		Genuine: func(context.Context, appauth.Evidence, string) (string, string, error) { return "", "", nil },
	}
	for name, change := range map[string]func(*appauth.Config){
		"no audience": func(c *appauth.Config) { c.Audience = "" }, "no judge": func(c *appauth.Config) { c.Genuine = nil },
		"no order of grades": func(c *appauth.Config) { c.AtLeast = nil },
	} {
		c := good
		change(&c)
		if _, err := appauth.New(c); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}
