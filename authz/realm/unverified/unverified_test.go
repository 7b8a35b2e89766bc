// SPDX-License-Identifier: Apache-2.0

package unverified_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/unverified"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// try has an engine try a realm that consists of an authenticator and a login module.
func try(t testing.TB, a realm.Authenticator, m realm.LoginModule, in realm.Input, identity string) realm.Attempt {
	t.Helper()
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "tried", Authenticator: a, LoginModule: m, MaxAge: time.Hour},
			{Name: "other", Authenticator: a, LoginModule: unverified.RejectAll{}, MaxAge: time.Hour},
		},
		Identity: []string{identity}, Linker: links{},
	})
	if err != nil {
		t.Fatal(err)
	}
	attempt, err := engine.Try(t.Context(), "tried", in)
	if err != nil {
		t.Fatal(err)
	}
	return attempt
}

// links makes a subject of every id, as the identity store does.
type links struct{}

func (links) Link(_ context.Context, users string, who realm.Identity) (string, error) {
	if who.ExternalID == "" {
		return "", errors.New("nobody")
	}
	return "usr_" + users + "_" + who.ExternalID, nil
}

func newForm(t testing.TB) realm.Authenticator {
	t.Helper()
	form, err := formauth.New(formauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return form
}

func newAnonymous(t testing.TB) *unverified.Anonymous {
	t.Helper()
	a, err := unverified.NewAnonymous(randid.New)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnonymousIsNobody(t *testing.T) {
	t.Parallel()
	a := newAnonymous(t)
	seen := map[string]bool{}
	for range 100 {
		result := try(t, a, a, realm.Input{}, "tried").Result
		subject := result.Identity.Subject
		if result.Status != realm.Accepted || !realm.Anonymous(subject) || seen[subject] {
			t.Fatalf("the attempt ends as %+v", result)
		}
		seen[subject] = true
		if diff := cmp.Diff(realm.Identity{Subject: subject}, result.Identity); diff != "" {
			t.Fatalf("more is said than a subject: %s", diff)
		}
	}
	if realm.Anonymous(randid.New("usr")) || realm.Anonymous("anonymous") || realm.Anonymous("") {
		t.Error("a user is taken for nobody")
	}
}

// TestTrap11AnonymousIsNoUser: in the context of a user nothing says that it is him, and nobody becomes somebody else.
func TestTrap11AnonymousIsNoUser(t *testing.T) {
	t.Parallel()
	a := newAnonymous(t)
	for _, tt := range []struct {
		name, subject, identity string
		want                    realm.Status
		is                      string
	}{
		{"anonymous already", "anon_x", "tried", realm.Accepted, "anon_x"},
		{"a user, where it would determine who it is", "usr_a", "tried", realm.Refused, ""},
		{"a user, where it does not", "usr_a", "other", realm.Accepted, ""},
		{"anonymous already, where it does not determine who it is", "anon_x", "other", realm.Accepted, "anon_x"},
		{"nobody, where it does not determine who it is", "", "other", realm.Refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			result := try(t, a, a, realm.Input{Subject: tt.subject}, tt.identity).Result
			if result.Status != tt.want || result.Identity.Subject != tt.is {
				t.Errorf("the attempt ends as %+v, want %s as %q", result, tt.want, tt.is)
			}
		})
	}
}

func TestAnonymousNeedsASource(t *testing.T) {
	t.Parallel()
	if _, err := unverified.NewAnonymous(nil); err == nil {
		t.Error("it makes up subjects of nothing")
	}
}

func TestSingleIdentityIsOneUser(t *testing.T) {
	t.Parallel()
	m, err := unverified.NewSingleIdentity("demo", "Demo User", map[string]string{"team": "blue"})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"alice", "bob"} {
		attempt := try(t, newForm(t), m, realm.Input{Fields: map[string]string{"username": user, "password": "x"}}, "tried")
		want := realm.Identity{Subject: "usr_tried_demo", Name: "Demo User", Attributes: map[string]string{"team": "blue"}}
		if diff := cmp.Diff(want, attempt.Result.Identity); diff != "" || attempt.Result.Status != realm.Accepted {
			t.Errorf("%s is (-want +got):\n%s", user, diff)
		}
		attempt.Result.Identity.Attributes["team"] = "red" // it is the caller's
	}
	for _, bad := range []struct {
		name, user, display string
		attributes          map[string]string
	}{
		{name: "no user"},
		{name: "control character", user: "a\nb"},
		{name: "long", user: strings.Repeat("a", realm.MaxExternalID+1)},
		{name: "display name", user: "a", display: "a\nb"},
		{name: "attribute key", user: "a", attributes: map[string]string{"": "x"}},
		{name: "attribute value", user: "a", attributes: map[string]string{"x": "a\nb"}},
	} {
		if _, err := unverified.NewSingleIdentity(bad.user, bad.display, bad.attributes); err == nil {
			t.Errorf("%s: there can be no such user", bad.name)
		}
	}
}

func TestNonValidatingBelievesEverything(t *testing.T) {
	t.Parallel()
	m, err := unverified.NewNonValidating(realm.Mapping{Attributes: map[string]string{"secret": "password"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, user string
		subject    string
		want       realm.Status
		is         string
	}{
		{"alice", "alice", "", realm.Accepted, "usr_tried_alice"},
		{"alice again", "alice", "usr_tried_alice", realm.Accepted, "usr_tried_alice"},
		{"a name that is too long", strings.Repeat("a", realm.MaxExternalID+1), "", realm.Refused, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := realm.Input{Subject: tt.subject, Fields: map[string]string{"username": tt.user, "password": "x"}}
			result := try(t, newForm(t), m, in, "tried").Result
			if result.Status != tt.want || result.Identity.Subject != tt.is {
				t.Errorf("the attempt ends as %+v, want %s as %q", result, tt.want, tt.is)
			}
			if tt.want == realm.Accepted && result.Identity.Attributes["secret"] != "x" {
				t.Errorf("the attributes are %v", result.Identity.Attributes)
			}
		})
	}
	if result, err := m.Verify(t.Context(), realm.Credentials{}); err != nil || result.Status != realm.Refused {
		t.Errorf("without a name it ends as %v, %v", result, err)
	}
	if _, err := unverified.NewNonValidating(realm.Mapping{AMR: []string{"a b"}}); err == nil {
		t.Error("a method of two words is taken")
	}
}

func TestRejectAllLetsNobodyIn(t *testing.T) {
	t.Parallel()
	for _, c := range []realm.Credentials{
		{}, {Values: map[string]string{"username": "alice", "password": "x"}}, {Subject: "usr_a"}, {Identity: &realm.Identity{Subject: "usr_a"}},
	} {
		result, err := unverified.RejectAll{}.Verify(t.Context(), c)
		if diff := cmp.Diff(realm.Result{Status: realm.Refused, Reason: "reject_all"}, result); diff != "" || err != nil {
			t.Errorf("%+v ends as %+v, %v", c, result, err)
		}
	}
}
