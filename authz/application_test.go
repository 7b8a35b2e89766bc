// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// off are the versions that are switched off.
type off map[string]bool

func (o off) Disabled(id, platform, version string) bool { return o[id+" "+platform+" "+version] }

// apps is a guest whose proofs stand for as long as their version is not switched off.
type apps struct {
	guest
	off off
}

func (a apps) Stands(p realm.Proof) bool {
	return p.Application != nil && !a.off.Disabled(p.Application.ID, p.Application.Platform, p.Application.Version)
}

// withApps has the realms password, which determines the user, app and other, which are about apps, and phone.
func withApps(t testing.TB, off off) *realm.Engine {
	t.Helper()
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: guest{}, LoginModule: guest{}, MaxAge: time.Hour},
			{Name: "phone", Authenticator: guest{}, LoginModule: guest{}, MaxAge: time.Hour},
			{Name: "app", Authenticator: guest{}, LoginModule: apps{off: off}, MaxAge: time.Hour},
			{Name: "other", Authenticator: guest{}, LoginModule: apps{off: off}, MaxAge: time.Hour},
		},
		Levels:   []realm.Level{{Name: "gold", Realms: []string{"password", "app"}}},
		Identity: []string{"password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

func appProof(name, id, version string, at time.Time) realm.Proof {
	return realm.Proof{Realm: name, Time: at, Client: "app", Application: &realm.Application{ID: id, Platform: "ios", Version: version}}
}

func TestAuthenticationNamesTheApp(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	password := realm.Proof{Realm: "password", Subject: alice, Time: now}
	early := now.Add(-time.Minute)
	switched := off{"bank ios 1.0": true}
	for _, tt := range []struct {
		name   string
		proofs []realm.Proof
		want   *realm.Application
		realms []string
		acr    string
	}{
		{"no app", nil, nil, []string{"password"}, "password"},
		{"an app", []realm.Proof{appProof("app", "bank", "2.0", early)}, &realm.Application{ID: "bank", Platform: "ios", Version: "2.0"},
			[]string{"app", "password"}, "gold"},
		{"one that is switched off", []realm.Proof{appProof("app", "bank", "1.0", early)}, nil, []string{"password"}, "password"},
		{"two of the same", []realm.Proof{appProof("app", "bank", "2.0", early), appProof("other", "bank", "2.0", now)},
			&realm.Application{ID: "bank", Platform: "ios", Version: "2.0"}, []string{"app", "other", "password"}, "gold"},
		{"two that differ: the newer", []realm.Proof{appProof("app", "bank", "2.0", early), appProof("other", "atm", "7", now)},
			&realm.Application{ID: "atm", Platform: "ios", Version: "7"}, []string{"other", "password"}, "password"},
		{"two that differ, of one moment", []realm.Proof{appProof("app", "bank", "2.0", now), appProof("other", "bank", "2.1", now)},
			&realm.Application{ID: "bank", Platform: "ios", Version: "2.0"}, []string{"app", "password"}, "gold"},
		{"two that differ, the newer switched off", []realm.Proof{appProof("app", "bank", "2.0", early), appProof("other", "bank", "1.0", now)},
			&realm.Application{ID: "bank", Platform: "ios", Version: "2.0"}, []string{"app", "password"}, "gold"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proofs := realm.Proofs{"password": password}
			for _, p := range tt.proofs {
				proofs[p.Realm] = p
			}
			auth, ok := withApps(t, switched).Authenticate(nil, proofs, now)
			equal(t, "ok", ok, true)
			if diff := cmp.Diff(tt.want, auth.Application); diff != "" {
				t.Errorf("the app (-want +got):\n%s", diff)
			}
			realms := map[string]bool{}
			for _, name := range tt.realms {
				realms[name] = true
			}
			for _, name := range []string{"password", "app", "other"} {
				_, proven := auth.Realms[name]
				equal(t, name+" is proven", proven, realms[name])
			}
			equal(t, "acr", auth.ACR, tt.acr)
			equal(t, "barred", auth.Application.Barred(switched), false)
		})
	}
}

// TestAnAppsProofIsItsClients: the proof of one app does not count for another, also where they share a session.
func TestAnAppsProofIsItsClients(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	engine := withApps(t, off{})
	proof := appProof("app", "bank", "2.0", now)
	known := authz.Session{ID: "ses_1", Subject: alice, Proofs: realm.Proofs{
		"password": {Realm: "password", Subject: alice, Time: now}, "app": proof,
	}}
	need := []realm.Requirement{{Realm: "password", MaxAge: time.Hour}, {Realm: "app", MaxAge: time.Hour}}
	for _, tt := range []struct {
		name, client string
		early        bool
		want         bool
	}{
		{"its client", "app", false, true},
		{"another client", "other", false, false},
		{"no client", "", false, false},
		{"its client, early", "app", true, true},
		{"another client, early", "other", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := authz.Request{ClientID: tt.client, Requirements: need}
			s := known
			if tt.early {
				s.Proofs = realm.Proofs{"password": known.Proofs["password"]}
				r.Proven = realm.Proofs{"app": proof}
			}
			_, counts := r.Proofs(s)["app"]
			equal(t, "it counts", counts, tt.want)
			_, missing := r.Missing(engine, s, now)
			equal(t, "something is missing", missing, !tt.want)
			equal(t, "remaining", len(r.Remaining(engine, s, now)) == 0, tt.want)
			_, c, ok := session.NewCompletion(engine, &r, &authz.Client{ID: tt.client}, &s, now)
			equal(t, "it completes", ok, tt.want)
			equal(t, "its app is named", c.Grant.Authn.Application != nil, tt.want)
		})
	}
}

// TestNothingRestsOnAnAppThatIsSwitchedOff: its proof has to be given anew, and nothing is completed with it.
func TestNothingRestsOnAnAppThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	r := authz.Request{ClientID: "app", Requirements: []realm.Requirement{
		{Realm: "app", MaxAge: time.Hour}, {Realm: "password", Step: 1, MaxAge: time.Hour}, {Realm: "phone", Step: 1, MaxAge: time.Hour},
	}}
	known := authz.Session{ID: "ses_1", Subject: alice, Proofs: realm.Proofs{
		"password": {Realm: "password", Subject: alice, Time: now}, "phone": {Realm: "phone", Time: now},
		"app": appProof("app", "bank", "1.0", now),
	}}
	for _, switched := range []bool{false, true} {
		engine := withApps(t, off{"bank ios 1.0": switched})
		missing, isMissing := r.Missing(engine, known, now)
		equal(t, "something is missing", isMissing, switched)
		if switched {
			equal(t, "what is missing", missing.Realm, "app")
			equal(t, "what is asked", len(r.Remaining(engine, known, now)), 1)
		}
		_, _, ok := session.NewCompletion(engine, &r, &authz.Client{ID: "app"}, &known, now)
		equal(t, "it completes", ok, !switched)
	}
	equal(t, "whom it expects", r.Expects(known, now), alice)
}

// The app is kept with what it proved: nothing else could tell later whether it was switched off.
func TestTheAppIsKept(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		request := w.ask("browser")
		proof := appProof("app", "bank", "2.0", w.store.Now())
		_, err := w.store.ProveRequest(w.Context(), request.ID, proof, nil)
		w.ok(err)
		stored, err := w.store.Request(w.Context(), request.ID)
		w.ok(err)
		if diff := cmp.Diff(proof, stored.Proven["app"]); diff != "" {
			w.Errorf("the proof (-given +kept):\n%s", diff)
		}
	})
}

// with has a grant made with a version of an app.
func with(version string) func(*authz.Completion) {
	return func(c *authz.Completion) {
		c.Grant.Authn.Application = &realm.Application{ID: "bank", Platform: "ios", Version: version}
	}
}

func asked(apps realm.Applications) func(*authz.Renewal) {
	return func(r *authz.Renewal) { r.Applications = apps }
}

// TestRefreshOfAVersionThatIsSwitchedOff: it gets nothing and loses nothing.
func TestRefreshOfAVersionThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		_, token := w.line(session, with("1.0"))
		_, other := w.line(session, with("2.0"))
		_, none := w.line(session)
		switched := off{"bank ios 1.0": true}
		result := w.refresh(token, authz.RefreshBarred, asked(switched))
		if result.Family.ID != "" || len(result.Revocations) != 0 {
			w.Errorf("the refusal comes with %+v", result)
		}
		w.refresh(token, authz.RefreshBarred, asked(switched), asking("nobody:has"))
		w.refresh(other, authz.Rotated, asked(switched))
		w.refresh(none, authz.Rotated, asked(switched))
		w.after(familyIdle - 1)
		renewed := w.refresh(token, authz.Rotated, asked(off{}))
		next := renewed.Family.Token()
		w.refresh(next, authz.RefreshBarred, asked(switched))
		w.refresh(token, authz.RefreshReused, asked(switched), withGrace(0)) // theft is theft
		w.refresh(next, authz.RefreshRevoked, asked(off{}))
	})
}

// TestCodeOfAVersionThatIsSwitchedOff: the code is spent, and nothing was issued for it.
func TestCodeOfAVersionThatIsSwitchedOff(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		session, _ := w.sign(alice)
		code, grant := w.authorize(session, with("1.0"))
		in := w.redemption(code)
		in.Applications = off{"bank ios 1.0": true}
		result := w.redeem(in, authz.RedeemBarred)
		equal(w, "grant", result.Grant.ID, "")
		_, _, ok, err := w.store.FamilyByToken(w.Context(), in.Family.Token())
		w.ok(err)
		equal(w, "a family was begun", ok, false)
		w.wantActive(grant, true)
		in.Applications = off{}
		w.redeem(in, authz.RedeemReplayed)
		code, _ = w.authorize(session, with("1.0"))
		in = w.redemption(code)
		in.Applications = off{"bank ios 1.1": true}
		w.redeem(in, authz.Redeemed)
	})
}
