// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const (
	alice = "usr_alice"
	bob   = "usr_bob"
)

var start = storagetest.NewClock().Now()

// collect and verify are guests made of one function.
type (
	collect func(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error)
	verify  func(context.Context, realm.Credentials) (realm.Result, error)
)

func (f collect) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return f(ctx, in)
}

func (f verify) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return f(ctx, c)
}

// takesAll collects the fields as they are.
func takesAll(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{Values: in.Fields, ClientIP: in.ClientIP, Subject: in.Subject}, nil, nil
}

// accepts is a login module that accepts everybody as one identity.
func accepts(identity realm.Identity) verify {
	return func(context.Context, realm.Credentials) (realm.Result, error) {
		return realm.Result{Status: realm.Accepted, Identity: identity}, nil
	}
}

// define returns a realm that accepts everybody as alice.
func define(name string, age time.Duration, change ...func(*realm.Realm)) *realm.Realm {
	r := &realm.Realm{
		Name: name, MaxAge: age, Authenticator: collect(takesAll), LoginModule: accepts(realm.Identity{Subject: alice, AMR: []string{name}}),
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// standard is a security model with two identity realms, password and card, and two others.
func standard() realm.Config {
	return realm.Config{
		Realms: []*realm.Realm{
			define("password", 8*time.Hour), define("card", time.Hour), define("phone", 5*time.Minute), define("app", time.Hour),
		},
		Scopes: map[string][]string{
			"read": {"password"}, "write": {"phone", "password"}, "device": {"app"}, "either": {"card"}, "free": nil,
		},
		Levels: []realm.Level{
			{Name: "bronze", Realms: []string{"password"}},
			{Name: "silver", Realms: []string{"password", "phone"}},
			{Name: "gold", Realms: []string{"password", "phone", "app"}},
		},
		Identity: []string{"password", "card"},
	}
}

func newEngine(t testing.TB, config realm.Config) *realm.Engine {
	t.Helper()
	engine, err := realm.New(config)
	if err != nil {
		t.Fatalf("building the engine: %v", err)
	}
	return engine
}

// proven returns proofs of alice by realm, each of the given age at start.
func proven(ages ...any) realm.Proofs {
	proofs := realm.Proofs{}
	for i := 0; i < len(ages); i += 2 {
		name, age := ages[i].(string), ages[i+1].(time.Duration)
		proofs[name] = realm.Proof{Realm: name, Subject: alice, Time: start.Add(-age)}
	}
	return proofs
}

// names returns the realms of requirements.
func names(requirements []realm.Requirement) (all []string) {
	for _, r := range requirements {
		all = append(all, r.Realm)
	}
	return all
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
