// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// coded sends a code and takes it back, without looking at whose it was.
type coded struct{}

const sentCode = "12345678"

func (coded) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if in.State == nil || in.Spent || in.Fields == nil {
		return realm.Credentials{}, &realm.Challenge{State: []byte(sentCode)}, nil
	}
	return realm.Credentials{Values: map[string]string{"good": in.Fields["code"] + "=" + string(in.State)}}, nil, nil
}

func (coded) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["good"] == sentCode+"="+sentCode {
		return realm.Result{Status: realm.Accepted}, nil
	}
	return realm.Result{Status: realm.Refused}, nil
}

// kept keeps the state of one realm of one request.
type kept struct {
	nowhere

	request *authz.Request
}

func (k kept) KeepRealmState(_ context.Context, _, name string, state []byte) error {
	k.request.RealmState = map[string][]byte{name: state}
	k.request.RealmSpent = nil
	return nil
}

func (k kept) SpendRealmState(_ context.Context, _, name string, state []byte) (bool, error) {
	first := !k.request.RealmSpent[name] && bytes.Equal(k.request.RealmState[name], state)
	k.request.RealmSpent = map[string]bool{name: true}
	return first, nil
}

func TestAChallengeIsAnsweredByWhomItWasMadeFor(t *testing.T) {
	t.Parallel()
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: coded{}, LoginModule: coded{}, MaxAge: time.Hour},
			{Name: "code", Authenticator: coded{}, LoginModule: coded{}, MaxAge: time.Hour},
		},
		Identity: []string{"password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	of := func(subject string) authz.Session { return authz.Session{ID: "ses_" + subject, Subject: subject} }
	for _, tt := range []struct {
		name          string
		asked, answer authz.Session
		expected      string // of who answers
		accepted      bool
	}{
		{"the user himself", of("usr_a"), of("usr_a"), "usr_a", true},
		{"another user", of("usr_a"), of("usr_b"), "usr_b", false},
		{"nobody any more", of("usr_a"), authz.Session{}, "", false},
		{"a user whom the request is not about any more", of("usr_a"), of("usr_b"), "", false},
		{"nobody, as asked", authz.Session{}, authz.Session{}, "", true},
		{"a user who was nobody yet when asked", authz.Session{}, of("usr_a"), "usr_a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			request := authz.Request{ID: "req_1", ClientID: "app"}
			judge, err := attempt.New(attempt.Config{
				Engine: engine, Trail: nowhere{}, States: kept{request: &request}, Now: storagetest.NewClock().Now,
			})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			visit := &attempt.Visit{Request: request, Session: tt.asked, Realm: "code", Expected: tt.asked.Subject}
			outcome, err := judge.Try(r, visit, nil)
			if err != nil || outcome.Challenge == nil {
				t.Fatalf("nothing is asked: %+v, %v", outcome, err)
			}
			if err := judge.Keep(r, visit, outcome.Challenge); err != nil {
				t.Fatal(err)
			}
			visit = &attempt.Visit{Request: request, Session: tt.answer, Realm: "code", Expected: tt.expected}
			outcome, err = judge.Try(r, visit, map[string]string{"code": sentCode})
			if err != nil {
				t.Fatal(err)
			}
			if accepted := outcome.Result.Status == realm.Accepted; accepted != tt.accepted {
				t.Errorf("accepted: %v, want %v: %+v", accepted, tt.accepted, outcome)
			}
			if !tt.accepted && outcome.Challenge == nil {
				t.Error("who answers is not asked himself")
			}
		})
	}
}

func TestAStateIsKeptOnce(t *testing.T) {
	t.Parallel()
	engine, err := realm.New(realm.Config{
		Realms:   []*realm.Realm{{Name: "code", Authenticator: coded{}, LoginModule: coded{}, MaxAge: time.Hour}},
		Identity: []string{"code"},
	})
	if err != nil {
		t.Fatal(err)
	}
	request := authz.Request{ID: "req_1"}
	judge, err := attempt.New(attempt.Config{
		Engine: engine, Trail: nowhere{}, States: kept{request: &request}, Now: storagetest.NewClock().Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	asked := &realm.Challenge{State: []byte(sentCode)}
	if err := judge.Keep(r, &attempt.Visit{Request: request, Realm: "code"}, asked); err != nil {
		t.Fatal(err)
	}
	request.RealmSpent = map[string]bool{"code": true}
	if err := judge.Keep(r, &attempt.Visit{Request: request, Realm: "code"}, asked); err != nil {
		t.Fatal(err)
	}
	if !request.RealmSpent["code"] {
		t.Error("showing a challenge that was answered makes it one that was not")
	}
}
