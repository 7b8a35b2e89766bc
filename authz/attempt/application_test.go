// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// versions is an authenticator and a login module: version 1 is switched off, and every other word is a wrong one.
type versions struct{ native *bool }

func (v versions) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	*v.native = in.Native
	return realm.Credentials{Values: in.Fields}, nil, nil
}

func (v versions) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	switch c.Values["version"] {
	case "2":
		app := &realm.Application{ID: "bank", Platform: "ios", Version: "2"}
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Application: app}}, nil
	case "1":
		return realm.Result{Status: realm.Refused, Blameless: true}, nil
	}
	return realm.Result{Status: realm.Refused}, nil
}

type nowhere struct{}

func (nowhere) Record(context.Context, audit.Event) error { return nil }
func (nowhere) Log(context.Context, audit.Event)          {}
func (nowhere) Prepare(e audit.Event) audit.Event         { return e }
func (nowhere) Append(storage.Tx, audit.Event) error      { return nil }

func (nowhere) KeepRealmState(context.Context, string, string, []byte) error { return nil }
func (nowhere) SpendRealmState(context.Context, string, string, []byte) (bool, error) {
	return true, nil
}

func TestAppsAreJudged(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	guest := versions{new(bool)}
	engine, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "app", Authenticator: guest, LoginModule: guest, MaxAge: time.Hour},
			{Name: "password", Authenticator: guest, LoginModule: guest, MaxAge: time.Hour},
		},
		Identity: []string{"password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	limiter, err := limit.New(limit.Config{Burst: 3, Every: time.Minute, Keys: 10, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	judge, err := attempt.New(attempt.Config{Engine: engine, Trail: nowhere{}, States: nowhere{}, Now: clock.Now, Limiter: limiter})
	if err != nil {
		t.Fatal(err)
	}
	try := func(version string, native bool) attempt.Outcome {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/authorize-challenge", nil)
		r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1"}))
		visit := &attempt.Visit{Realm: "app", Native: native, Request: authz.Request{ID: "req_1", ClientID: "phone-app"}}
		outcome, err := judge.Try(r, visit, map[string]string{"version": version})
		if err != nil {
			t.Fatal(err)
		}
		if *guest.native != native {
			t.Errorf("the realm was told %v of who answers", *guest.native)
		}
		return outcome
	}
	want := realm.Proof{
		Realm: "app", Time: clock.Now(), Client: "phone-app", Application: &realm.Application{ID: "bank", Platform: "ios", Version: "2"},
	}
	if diff := cmp.Diff(want, try("2", true).Proof); diff != "" {
		t.Errorf("the proof (-want +got):\n%s", diff)
	}
	// However many people of one network have a version that is switched off, they keep nobody of it out.
	for range 10 {
		if status := try("1", false).Result.Status; status != realm.Refused {
			t.Fatalf("a version that is switched off is %s", status)
		}
	}
	for range 3 {
		try("guess", true)
	}
	if status := try("2", true).Result.Status; status != realm.Throttled {
		t.Errorf("after too many guesses an attempt is %s", status)
	}
}
