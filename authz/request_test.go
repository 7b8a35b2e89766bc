// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// ask begins a request of the app in a browser.
func (w *world) ask(browser string) authz.Request {
	w.Helper()
	r := authz.NewRequest(w.store.Now())
	r.Browser, r.ClientID, r.RedirectURI, r.ResponseMode = browser, app, redirect, "query"
	r.Scopes, r.State, r.Nonce, r.Challenge = scopes, "s", "n", oauth.Challenge(verifier)
	r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour}}
	w.ok(w.store.InsertRequest(w.Context(), r))
	return r
}

func TestRequestComesBackAsItWasAccepted(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := authz.NewRequest(w.store.Now())
		r.Browser, r.ClientID, r.RedirectURI, r.ResponseMode = "b", app, redirect, "form_post"
		r.Scopes, r.State, r.Nonce, r.Challenge, r.ACRValues = scopes, "ä\x00", "n", "c", []string{"gold"}
		prompt, err := oauth.ParsePrompt("login consent")
		w.ok(err)
		r.Prompt = prompt
		r.LoginHint, r.UILocales, r.Subject = "alice", "nl", alice
		r.Requirements = []realm.Requirement{{Realm: "password", MaxAge: time.Hour, NotBefore: w.store.Now()}}
		w.ok(w.store.InsertRequest(w.Context(), r))
		got, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		if diff := cmp.Diff(r, got, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("request changed in the store (-put +got):\n%s", diff)
		}
		w.wantError("inserting it again", w.store.InsertRequest(w.Context(), r), storage.ErrExists)
	})
}

func TestRequestEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(w *world, r authz.Request) (id string)
	}{
		{"never was", func(*world, authz.Request) string { return "req_unknown" }},
		{"no id", func(*world, authz.Request) string { return "" }},
		{"an absurd id", func(*world, authz.Request) string { return strings.Repeat("x/\x00", 4000) }},
		{"closed", func(w *world, r authz.Request) string {
			w.ok(w.store.CloseRequest(w.Context(), r.ID))
			return r.ID
		}},
		{"expired", func(w *world, r authz.Request) string {
			w.after(authz.RequestTTL)
			return r.ID
		}},
		{"completed", func(w *world, r authz.Request) string {
			session, _ := w.sign(alice)
			w.authorize(session, func(c *authz.Completion) { c.RequestID = r.ID })
			return r.ID
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(w *world) {
				id := tt.end(w, w.ask("browser"))
				_, err := w.store.Request(w.Context(), id)
				w.wantError("reading", err, authz.ErrRequestEnded)
				w.wantError("reading", err, storage.ErrNotFound)
				session, _ := w.sign(alice)
				visit, err := w.store.Visit(w.Context(), id, session.ID)
				w.ok(err)
				equal(w, "request of a visit", visit.Request.ID, "")
				equal(w, "session of a visit", visit.Session.ID, session.ID)
				_, err = w.store.BindRequest(w.Context(), id, "browser")
				w.wantError("binding", err, authz.ErrRequestEnded)
				w.wantError("closing", w.store.CloseRequest(w.Context(), id), authz.ErrRequestEnded)
				w.wantError("keeping state", w.store.KeepRealmState(w.Context(), id, "password", nil), authz.ErrRequestEnded)
				_, err = w.store.SpendRealmState(w.Context(), id, "password", nil)
				w.wantError("spending state", err, authz.ErrRequestEnded)
				code, c := w.completion(session, func(c *authz.Completion) { c.RequestID = id })
				if id != "" { // a completion without a request is one that was answered at once
					w.wantError("completing", second(w.store.Complete(w.Context(), c)), authz.ErrRequestEnded)
					w.redeem(w.redemption(code), authz.RedeemUnknown)
				}
			})
		})
	}
}

func TestRequestIsOpenToTheLastMoment(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("browser")
		w.after(authz.RequestTTL - time.Millisecond)
		_, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		w.after(time.Millisecond)
		_, err = w.store.Request(w.Context(), r.ID)
		w.wantError("reading an expired request", err, authz.ErrRequestEnded)
	})
}

func TestRequestsAreDrawnApart(t *testing.T) {
	t.Parallel()
	w := solo(t)
	a, b := authz.NewRequest(w.store.Now()), authz.NewRequest(w.store.Now())
	if a.ID == b.ID || !strings.HasPrefix(a.ID, "req_") {
		t.Errorf("requests are %q and %q", a.ID, b.ID)
	}
	equal(t, "lifetime", a.ExpiresAt.Sub(a.CreatedAt), authz.RequestTTL)
}

func TestBindRequestBindsOnce(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("")
		first, err := w.store.BindRequest(w.Context(), r.ID, "first")
		w.ok(err)
		equal(w, "browser", first.Browser, "first")
		second, err := w.store.BindRequest(w.Context(), r.ID, "second")
		w.ok(err)
		equal(w, "browser after a second binding", second.Browser, "first")
		if second.BelongsTo("second") {
			w.Error("the request belongs to a browser that came second")
		}
		stored, err := w.store.Request(w.Context(), r.ID)
		w.ok(err)
		if diff := cmp.Diff(first, stored, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("the stored request differs (-returned +stored):\n%s", diff)
		}
	})
}

func TestOneOfManyBrowsersBindsARequest(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		r := w.ask("")
		won := race(w, func(i int) (string, error) {
			browser := fmt.Sprint("browser ", i)
			bound, err := w.store.BindRequest(w.Context(), r.ID, browser)
			if !bound.BelongsTo(browser) {
				return "", err
			}
			return browser, err
		})
		equal(w, "browsers that the request belongs to", len(won), 1)
	})
}

func TestBelongsTo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, bound, browser string
		want                 bool
	}{
		{"the same", "b", "b", true},
		{"another", "b", "c", false},
		{"a longer one", "b", "bb", false},
		{"a shorter one", "bb", "b", false},
		{"no cookie", "b", "", false},
		{"not bound", "", "b", false},
		{"not bound and no cookie", "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := authz.Request{Browser: tt.bound}
			equal(t, "BelongsTo", r.BelongsTo(tt.browser), tt.want)
		})
	}
}

func TestRequestCountsProofs(t *testing.T) {
	t.Parallel()
	start := storagetest.NewClock().Now()
	proofs := realm.Proofs{
		"password": {Realm: "password", Subject: alice, Time: start.Add(-time.Minute)},
		"phone":    {Realm: "phone", Subject: alice, Time: start},
	}
	need := func(notBefore time.Time, realms ...string) (all []realm.Requirement) {
		for _, name := range realms {
			all = append(all, realm.Requirement{Realm: name, MaxAge: time.Hour, NotBefore: notBefore})
		}
		return all
	}
	tests := []struct {
		name    string
		request authz.Request
		proofs  realm.Proofs
		missing string
	}{
		{"nothing required", authz.Request{}, proofs, ""},
		{"all there", authz.Request{Requirements: need(time.Time{}, "password", "phone")}, proofs, ""},
		{"one never proven", authz.Request{Requirements: need(time.Time{}, "password", "card")}, proofs, "card"},
		{"one from before the request", authz.Request{Requirements: need(start, "password", "phone")}, realm.Proofs{"phone": proofs["phone"]}, "password"},
		{"the user it asks about", authz.Request{Subject: alice, Requirements: need(time.Time{}, "password")}, proofs, ""},
		{"another user than it asks about", authz.Request{Subject: bob, Requirements: need(time.Time{}, "password")}, nil, "password"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			session := authz.Session{Subject: alice, Proofs: proofs}
			if diff := cmp.Diff(tt.proofs, tt.request.Proofs(session), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("proofs that count (-want +got):\n%s", diff)
			}
			missing, ok := tt.request.Missing(newEngine(t), session, start)
			equal(t, "missing realm", missing.Realm, tt.missing)
			equal(t, "something is missing", ok, tt.missing != "")
		})
	}
}

func TestMissingJudgesAgeAtTheGivenTime(t *testing.T) {
	t.Parallel()
	start := storagetest.NewClock().Now()
	r := authz.Request{Requirements: []realm.Requirement{{Realm: "password", MaxAge: time.Hour}}}
	session := authz.Session{Subject: alice, Proofs: realm.Proofs{"password": {Realm: "password", Subject: alice, Time: start}}}
	for _, tt := range []struct {
		age  time.Duration
		want bool
	}{{-time.Millisecond, true}, {0, false}, {time.Hour, false}, {time.Hour + 1, true}} {
		_, missing := r.Missing(newEngine(t), session, start.Add(tt.age))
		equal(t, fmt.Sprintf("missing at the age of %s", tt.age), missing, tt.want)
	}
}

func TestProveRequest(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		request := w.ask("browser")
		proof := realm.Proof{Realm: "app", Time: w.store.Now(), Attributes: map[string]string{"version": "2"}}
		got, err := w.store.ProveRequest(w.Context(), request.ID, proof, nil)
		w.ok(err)
		if diff := cmp.Diff(realm.Proofs{"app": proof}, got.Proofs(authz.Session{})); diff != "" {
			w.Errorf("proofs of nobody (-want +got):\n%s", diff)
		}
		stored, err := w.store.Request(w.Context(), request.ID)
		w.ok(err)
		if diff := cmp.Diff(got, stored, cmpopts.EquateEmpty()); diff != "" {
			w.Errorf("request changed in the store (-put +got):\n%s", diff)
		}
		named := proof
		named.Subject = alice
		w.wantError("a proof of somebody", second(w.store.ProveRequest(w.Context(), request.ID, named, nil)), authz.ErrNotAnonymous)
		w.ok(w.store.CloseRequest(w.Context(), request.ID))
		w.wantError("after the end", second(w.store.ProveRequest(w.Context(), request.ID, proof, nil)), authz.ErrRequestEnded)
	})
}

// Of a proof from before and one of the session the newer counts, and neither if it is older than what the request wants.
func TestProofsOfARequest(t *testing.T) {
	t.Parallel()
	at := storagetest.NewClock().Now()
	proof := func(subject string, age time.Duration) realm.Proof {
		return realm.Proof{Realm: "app", Subject: subject, Time: at.Add(-age)}
	}
	for _, tt := range []struct {
		name           string
		early, session realm.Proof
		about          string
		notBefore      time.Time
		want           realm.Proof
	}{
		{"the early one", proof("", time.Minute), realm.Proof{}, "", time.Time{}, proof("", time.Minute)},
		{"the session's", realm.Proof{}, proof(alice, time.Minute), "", time.Time{}, proof(alice, time.Minute)},
		{"the early one is newer", proof("", time.Minute), proof(alice, time.Hour), "", time.Time{}, proof("", time.Minute)},
		{"the session's is newer", proof("", time.Hour), proof(alice, time.Minute), "", time.Time{}, proof(alice, time.Minute)},
		{"the session is not whom it asks about", proof("", time.Hour), proof(alice, time.Minute), bob, time.Time{}, proof("", time.Hour)},
		{"both are too old", proof("", time.Minute), proof(alice, time.Hour), "", at, realm.Proof{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := authz.Request{Subject: tt.about, Requirements: []realm.Requirement{{Realm: "app", NotBefore: tt.notBefore}}}
			session := authz.Session{Subject: alice}
			if tt.early.Realm != "" {
				r.Proven = realm.Proofs{"app": tt.early}
			}
			if tt.session.Realm != "" {
				session.Proofs = realm.Proofs{"app": tt.session}
			}
			if diff := cmp.Diff(tt.want, r.Proofs(session)["app"]); diff != "" {
				t.Errorf("proof (-want +got):\n%s", diff)
			}
		})
	}
}
