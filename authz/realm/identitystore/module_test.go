// SPDX-License-Identifier: Apache-2.0

package identitystore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// users is an identity store that answers what it is told and records what it was asked.
type users struct {
	outcome  identity.Outcome
	user     identity.User
	err      error
	attempts []identity.Attempt
}

func (u *users) Authenticate(_ context.Context, a identity.Attempt) (identity.Outcome, error) {
	u.attempts = append(u.attempts, a)
	return u.outcome, u.err
}

func (u *users) Get(_ context.Context, id string) (identity.User, error) {
	if id != u.user.ID {
		return identity.User{}, storage.ErrNotFound
	}
	return u.user, u.err
}

func alice() identity.User {
	return identity.User{
		ID: "usr_alice", Status: identity.Active,
		Profile: identity.Profile{Logins: []string{"alice", "alice@example.com"}, Attributes: map[string]string{"name": "Alice Liddell"}},
	}
}

func answers(username, password string) realm.Credentials {
	return realm.Credentials{ClientIP: "192.0.2.7", Values: map[string]string{"username": username, "password": password}}
}

func TestOutcomesBecomeResults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		outcome identity.Outcome
		want    realm.Result
	}{
		{"accepted", identity.Outcome{Result: identity.Accepted, User: alice(), UserID: "usr_alice"}, realm.Result{
			Status: realm.Accepted, Account: "usr_alice",
			Identity: realm.Identity{
				Subject: "usr_alice", Name: "Alice Liddell", AMR: []string{"pwd"}, Attributes: map[string]string{"login": "alice"},
			},
		}},
		{"refused", identity.Outcome{Result: identity.Refused, Reason: identity.ReasonWrongPassword, UserID: "usr_alice"},
			realm.Result{Status: realm.Refused, Reason: "wrong_password", Account: "usr_alice"}},
		{"locked", identity.Outcome{Result: identity.Refused, Reason: identity.ReasonLocked},
			realm.Result{Status: realm.Refused, Reason: "locked"}},
		{"throttled", identity.Outcome{Result: identity.Throttled, Reason: identity.ReasonThrottledClient, RetryAfter: time.Minute},
			realm.Result{Status: realm.Throttled, Reason: "throttled_client", RetryAfter: time.Minute}},
		{"busy", identity.Outcome{Result: identity.Busy, Reason: identity.ReasonHasherBusy, RetryAfter: time.Second},
			realm.Result{Status: realm.Busy, Reason: "hasher_busy", RetryAfter: time.Second}},
		{"nothing", identity.Outcome{}, realm.Result{Status: realm.Refused}},
		{"something new", identity.Outcome{Result: "maybe", User: alice()}, realm.Result{Status: realm.Refused}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &users{outcome: tt.outcome}
			got, err := (&identitystore.Module{Users: u}).Verify(t.Context(), answers("Alice", "secret"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected result (-want +got):\n%s", diff)
			}
			want := []identity.Attempt{{Login: "Alice", Password: "secret", ClientIP: "192.0.2.7"}}
			if diff := cmp.Diff(want, u.attempts); diff != "" {
				t.Errorf("unexpected attempt (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKnownUserIsVerifiedWithoutTypingTheName(t *testing.T) {
	t.Parallel()
	accepted := identity.Outcome{Result: identity.Accepted, User: alice()}
	for _, tt := range []struct {
		name        string
		credentials realm.Credentials
		want        realm.Status
		reason      string
		login       string
	}{
		{"the same user", realm.Credentials{Subject: "usr_alice", Values: map[string]string{"password": "x"}}, realm.Accepted, "", "alice"},
		{"another user by name", realm.Credentials{Subject: "usr_bob", Values: map[string]string{"username": "alice"}},
			realm.Refused, "another_user", "alice"},
		{"a user who is gone", realm.Credentials{Subject: "usr_gone", Values: map[string]string{"password": "x"}},
			realm.Refused, "unknown_user", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &users{outcome: accepted, user: alice()}
			got, err := (&identitystore.Module{Users: u}).Verify(t.Context(), tt.credentials)
			if err != nil || got.Status != tt.want || got.Reason != tt.reason {
				t.Fatalf("Verify = %+v, %v, want %s %s", got, err, tt.want, tt.reason)
			}
			login := ""
			if len(u.attempts) > 0 {
				login = u.attempts[0].Login
			}
			if login != tt.login {
				t.Errorf("tried login %q, want %q", login, tt.login)
			}
		})
	}
}

func TestOwnFieldNames(t *testing.T) {
	t.Parallel()
	u := &users{outcome: identity.Outcome{Result: identity.Refused}}
	m := &identitystore.Module{Users: u, UserField: "email", PasswordField: "code"}
	if _, err := m.Verify(t.Context(), realm.Credentials{Values: map[string]string{"email": "a@b", "code": "c"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]identity.Attempt{{Login: "a@b", Password: "c"}}, u.attempts); diff != "" {
		t.Errorf("unexpected attempt (-want +got):\n%s", diff)
	}
}

func TestABrokenStoreIsAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store broke")
	for _, tt := range []struct {
		name        string
		credentials realm.Credentials
	}{
		{"authenticating", answers("alice", "x")},
		{"reading the user", realm.Credentials{Subject: "usr_alice"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := &users{err: broken, user: alice(), outcome: identity.Outcome{Result: identity.Accepted, User: alice()}}
			got, err := (&identitystore.Module{Users: u}).Verify(t.Context(), tt.credentials)
			if !errors.Is(err, broken) || got.Status != "" {
				t.Errorf("Verify = %+v, %v, want the store's error alone", got, err)
			}
		})
	}
}

// The real store behind the module: what the port promises is what the store does.
func TestAgainstTheIdentityStore(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := identity.New(identity.Config{DB: db, Hasher: hasher, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	user, err := store.Add(t.Context(), identity.NewUser{
		Profile: identity.Profile{Logins: []string{"alice"}}, Password: "correct horse battery",
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &identitystore.Module{Users: store}
	for _, tt := range []struct {
		name        string
		credentials realm.Credentials
		want        realm.Status
	}{
		{"right", answers("ＡLICE", "correct horse battery"), realm.Accepted},
		{"wrong", answers("alice", "wrong"), realm.Refused},
		{"unknown", answers("nobody", "correct horse battery"), realm.Refused},
		{"without a name", realm.Credentials{Subject: user.ID, Values: map[string]string{"password": "correct horse battery"}}, realm.Accepted},
		{"without anything", realm.Credentials{}, realm.Refused},
	} {
		got, err := m.Verify(t.Context(), tt.credentials)
		if err != nil || got.Status != tt.want {
			t.Errorf("%s: Verify = %+v, %v, want %s", tt.name, got, err, tt.want)
		}
		if (got.Identity.Subject == user.ID) != (tt.want == realm.Accepted) {
			t.Errorf("%s: subject %q", tt.name, got.Identity.Subject)
		}
	}
}
