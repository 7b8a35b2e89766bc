// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// picky is a login module that accepts one app, and whose proofs stand for as long as the version is not the one it dislikes.
type picky struct{ dislikes string }

func (p picky) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	app := &realm.Application{ID: "bank", Platform: "ios", Version: c.Values["version"]}
	if app.Version == p.dislikes {
		return realm.Result{Status: realm.Refused, Reason: "disliked", Blameless: true, Notice: &realm.Notice{Text: "No"}}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Application: app}}, nil
}

func (p picky) Stands(proof realm.Proof) bool {
	return proof.Application != nil && proof.Application.Version != p.dislikes
}

func TestApplicationsThroughTheEngine(t *testing.T) {
	t.Parallel()
	config := standard()
	config.Realms[3].LoginModule = picky{dislikes: "1"}
	engine := newEngine(t, config)
	attempt, err := engine.Try(t.Context(), "app", realm.Input{Fields: map[string]string{"version": "2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &realm.Application{ID: "bank", Platform: "ios", Version: "2"}
	app, _ := engine.Realm("app")
	proof := app.NewProof(attempt.Result.Identity, start)
	if diff := cmp.Diff(want, proof.Application); diff != "" || attempt.Result.Status != realm.Accepted {
		t.Errorf("the app is (-want +got):\n%s", diff)
	}
	attempt, err = engine.Try(t.Context(), "app", realm.Input{Fields: map[string]string{"version": "1"}})
	if err != nil || attempt.Result.Status != realm.Refused || !attempt.Result.Blameless || attempt.Result.Notice == nil {
		t.Errorf("the refusal is %+v, %v", attempt.Result, err)
	}
	refusing := config
	refusing.Realms[3].Authenticator = collect(func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
		return realm.Credentials{Refusal: &realm.Refusal{Reason: "old", Blameless: true}}, nil, nil
	})
	attempt, err = newEngine(t, refusing).Try(t.Context(), "app", realm.Input{})
	if diff := cmp.Diff(realm.Result{Status: realm.Refused, Reason: "old", Blameless: true}, attempt.Result); diff != "" || err != nil {
		t.Errorf("the authenticator's refusal, %v:\n%s", err, diff)
	}
}

func TestProofsThatNoLongerStand(t *testing.T) {
	t.Parallel()
	config := standard()
	config.Realms[3].LoginModule = picky{dislikes: "1"}
	engine := newEngine(t, config)
	app := func(version string) realm.Proof {
		return realm.Proof{Realm: "app", Time: start, Application: &realm.Application{ID: "bank", Platform: "ios", Version: version}}
	}
	password := realm.Proof{Realm: "password", Subject: alice, Time: start}
	for _, tt := range []struct {
		name  string
		proof realm.Proof
		want  bool
	}{
		{"its module does not mind", app("2"), true},
		{"its module has changed its mind", app("1"), false},
		{"of no app at all", realm.Proof{Realm: "app", Time: start}, false},
		{"its module never does", password, true},
		{"its realm is gone", realm.Proof{Realm: "gone", Time: start}, false},
	} {
		equal(t, tt.name, engine.Stands(tt.proof), tt.want)
	}
	proofs := realm.Proofs{"app": app("1"), "password": password, "gone": {Realm: "gone"}}
	if diff := cmp.Diff(realm.Proofs{"password": password}, engine.Standing(proofs)); diff != "" {
		t.Errorf("what stands (-want +got):\n%s", diff)
	}
	equal(t, "proofs afterwards", len(proofs), 3)
	need := engine.ForScopes([]string{"device"})
	if _, missing := realm.Missing(need, engine.Standing(proofs), start.Add(time.Minute)); !missing {
		t.Error("an app that is switched off meets a requirement")
	}
}

// off are the versions that are switched off.
type off map[string]bool

func (o off) Disabled(id, platform, version string) bool { return o[id+" "+platform+" "+version] }

func TestBarred(t *testing.T) {
	t.Parallel()
	app := &realm.Application{ID: "bank", Platform: "ios", Version: "1.0"}
	for _, tt := range []struct {
		name string
		app  *realm.Application
		by   realm.Applications
		want bool
	}{
		{"switched off", app, off{"bank ios 1.0": true}, true},
		{"another version", app, off{"bank ios 1.1": true}, false},
		{"no app", nil, off{"  ": true}, false},
		{"where nobody knows any", app, nil, false},
	} {
		equal(t, tt.name, tt.app.Barred(tt.by), tt.want)
	}
}

func TestProofsOfOneApp(t *testing.T) {
	t.Parallel()
	app := func(version string, age time.Duration) realm.Proof {
		return realm.Proof{Time: start.Add(-age), Application: &realm.Application{ID: "bank", Version: version}}
	}
	for _, tt := range []struct {
		name   string
		proofs realm.Proofs
		want   string
		left   int
	}{
		{"none", realm.Proofs{"password": {}}, "", 1},
		{"one", realm.Proofs{"password": {}, "a": app("1", 0)}, "1", 2},
		{"the same twice", realm.Proofs{"a": app("1", 0), "b": app("1", time.Hour)}, "1", 2},
		{"the newer of two", realm.Proofs{"password": {}, "a": app("1", time.Hour), "b": app("2", 0), "c": app("3", time.Minute)}, "2", 2},
	} {
		got := tt.proofs.Application()
		if got == nil {
			got = &realm.Application{}
		}
		equal(t, tt.name, got.Version, tt.want)
		equal(t, tt.name+": proofs", len(tt.proofs), tt.left)
	}
}
