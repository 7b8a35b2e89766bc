// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice", "al")
	now := h.clock.Advance(time.Hour)
	got, err := h.Update(t.Context(), u.ID, 1, identity.Profile{
		ExternalRef: "ref", Logins: []string{"ALICE", "Liddell"}, Attributes: map[string]string{"k": "v"},
	})
	want := u
	want.Profile = identity.Profile{
		ExternalRef: "ref", Logins: []string{"alice", "liddell"}, Attributes: map[string]string{"k": "v"},
	}
	want.Version, want.UpdatedAt = 2, now
	if err != nil || cmp.Diff(want, got) != "" || cmp.Diff(want, h.get(u.ID)) != "" {
		t.Fatalf("Update: %v (-want +got):\n%s%s", err, cmp.Diff(want, got), cmp.Diff(want, h.get(u.ID)))
	}
	h.accepted("liddell", password, home)
	h.accepted("alice", password, home)
	h.expect("al", password, home, identity.Refused, identity.ReasonUnknownLogin)
	h.add("al") // free again
	if _, err := h.ByExternalRef(t.Context(), "ref"); err != nil {
		t.Errorf("by the new reference: %v", err)
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		id      string // empty: alice
		version int64
		profile identity.Profile
		kind    error
		field   string
	}{
		{"older version", "", 1, logins("alice"), identity.ErrVersion, ""},
		{"newer version", "", 3, logins("alice"), identity.ErrVersion, ""},
		{"no version", "", 0, logins("alice"), identity.ErrVersion, ""},
		{"absent user", "usr_x", 1, logins("alice"), storage.ErrNotFound, ""},
		{"no login left", "", 2, identity.Profile{}, identity.ErrInvalid, "logins"},
		{"another's login", "", 2, logins("alice", "Bob"), storage.ErrExists, "logins[1]"},
		{"another's reference", "", 2, identity.Profile{Logins: []string{"alice"}, ExternalRef: "bob"}, storage.ErrExists, "external_ref"},
		{"bad attribute", "", 2, identity.Profile{Logins: []string{"alice"}, Attributes: map[string]string{"": ""}},
			identity.ErrInvalid, `attributes[""]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{"bob"}, ExternalRef: "bob"}})
			u := h.add("alice")
			if _, err := h.Update(t.Context(), u.ID, 1, logins("alice", "first")); err != nil {
				t.Fatal(err)
			}
			before := h.items("")
			if tc.id == "" {
				tc.id = u.ID
			}
			_, err := h.Update(t.Context(), tc.id, tc.version, tc.profile)
			if !errors.Is(err, tc.kind) || fieldOf(err) != tc.field {
				t.Errorf("Update: %v (field %q), want %v in %q", err, fieldOf(err), tc.kind, tc.field)
			}
			if diff := cmp.Diff(before, h.items("")); diff != "" {
				t.Errorf("the store changed:\n%s", diff)
			}
		})
	}
}

func TestOneWinnerForOneVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			_, err := h.Update(t.Context(), u.ID, 1, logins("alice", fmt.Sprint("own", i)))
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, identity.ErrVersion):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := h.get(u.ID); won.Load() != 1 || got.Version != 2 || len(got.Logins) != 2 {
		t.Errorf("%d won, stored %+v", won.Load(), got)
	}
}

// act is one of the transitions, so that a table can name it.
type act func(*identity.Store, context.Context, string) (identity.User, error)

func lock(s *identity.Store, ctx context.Context, id string) (identity.User, error) {
	return s.Lock(ctx, id, "reported stolen")
}

func deactivate(s *identity.Store, ctx context.Context, id string) (identity.User, error) {
	return s.Deactivate(ctx, id, "left")
}

func unlock(s *identity.Store, ctx context.Context, id string) (identity.User, error) {
	return s.Unlock(ctx, id)
}

func newPassword(s *identity.Store, ctx context.Context, id string) (identity.User, error) {
	return s.SetPassword(ctx, id, "another password")
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		before  []act
		act     act
		status  identity.Status
		reason  string
		err     error
		revokes bool
	}{
		{"lock active", nil, lock, identity.Locked, "reported stolen", nil, true},
		{"lock locked", []act{lock}, lock, identity.Locked, "reported stolen", nil, true},
		{"lock deactivated", []act{deactivate}, lock, identity.Deactivated, "left", identity.ErrTransition, false},
		{"unlock active", nil, unlock, identity.Active, "", nil, false},
		{"unlock locked", []act{lock}, unlock, identity.Active, "", nil, false},
		{"unlock deactivated", []act{deactivate}, unlock, identity.Deactivated, "left", identity.ErrTransition, false},
		{"deactivate active", nil, deactivate, identity.Deactivated, "left", nil, true},
		{"deactivate locked", []act{lock}, deactivate, identity.Deactivated, "left", nil, true},
		{"deactivate deactivated", []act{deactivate}, deactivate, identity.Deactivated, "left", nil, true},
		{"password of active", nil, newPassword, identity.Active, "", nil, true},
		{"password of locked", []act{lock}, newPassword, identity.Locked, "reported stolen", nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, revocations)
			u := h.add("alice")
			for _, fn := range tc.before {
				if _, err := fn(h.Store, t.Context(), u.ID); err != nil {
					t.Fatal(err)
				}
			}
			before := h.get(u.ID)
			now := h.clock.Advance(time.Minute)
			got, err := tc.act(h.Store, t.Context(), u.ID)
			if !errors.Is(err, tc.err) {
				t.Fatalf("%v, want %v", err, tc.err)
			}
			stored := h.get(u.ID)
			if err == nil && cmp.Diff(stored, got) != "" {
				t.Errorf("returned and stored differ:\n%s", cmp.Diff(stored, got))
			}
			if stored.Status != tc.status || stored.StatusReason != tc.reason {
				t.Errorf("status %s (%s), want %s (%s)", stored.Status, stored.StatusReason, tc.status, tc.reason)
			}
			if got := stored.SessionsNotBefore.Equal(now) && h.revoked(u.ID) == stored.Version; got != tc.revokes {
				t.Errorf("revoked: %v, want %v (%+v)", got, tc.revokes, stored)
			}
			if changed := stored.Version == before.Version+1 && stored.UpdatedAt.Equal(now); changed != (tc.err == nil) {
				t.Errorf("version %d after %d", stored.Version, before.Version)
			}
		})
	}
}

// revocations records, in the same transaction, the version at which a user's sessions were ended.
func revocations(c *identity.Config) {
	c.OnRevoke = append(c.OnRevoke, func(tx storage.Tx, u identity.User) error {
		return tx.Put(storage.Item{Key: "revoked/" + u.ID, Value: []byte{byte(u.Version)}})
	})
}

func (h *house) revoked(id string) int64 {
	h.t.Helper()
	for _, item := range h.items("revoked/" + id) {
		return int64(item.Value[0])
	}
	return 0
}

func TestTransitionsRefuse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	for _, tc := range []struct {
		name string
		do   func() (identity.User, error)
		want error
	}{
		{"lock nobody", func() (identity.User, error) { return h.Lock(t.Context(), "usr_x", "") }, storage.ErrNotFound},
		{"unlock nobody", func() (identity.User, error) { return h.Unlock(t.Context(), "usr_x") }, storage.ErrNotFound},
		{"deactivate nobody", func() (identity.User, error) { return h.Deactivate(t.Context(), "usr_x", "") }, storage.ErrNotFound},
		{"password of nobody", func() (identity.User, error) { return h.SetPassword(t.Context(), "usr_x", password) }, storage.ErrNotFound},
		{"reason of two lines", func() (identity.User, error) { return h.Lock(t.Context(), u.ID, "a\nb") }, identity.ErrInvalid},
		{"long reason", func() (identity.User, error) {
			return h.Deactivate(t.Context(), u.ID, strings.Repeat("r", 257))
		}, identity.ErrInvalid},
		{"empty password", func() (identity.User, error) { return h.SetPassword(t.Context(), u.ID, "") }, identity.ErrInvalid},
		{"short password", func() (identity.User, error) { return h.SetPassword(t.Context(), u.ID, "1234567") }, identity.ErrInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := tc.do(); !errors.Is(err, tc.want) || got.ID != "" {
				t.Errorf("%+v, %v; want %v", got, err, tc.want)
			}
		})
	}
	if diff := cmp.Diff(u, h.get(u.ID)); diff != "" {
		t.Errorf("the user changed:\n%s", diff)
	}
}

// TestRevocationCommitsWithItsCause: neither is ever there without the other.
func TestRevocationCommitsWithItsCause(t *testing.T) {
	t.Parallel()
	mark := errors.New("no room for the revocation")
	for _, tc := range []struct {
		name string
		act  act
	}{{"lock", lock}, {"deactivate", deactivate}, {"password", newPassword}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			broken := true
			h := newHouse(t, revocations, func(c *identity.Config) {
				c.OnRevoke = append(c.OnRevoke, func(storage.Tx, identity.User) error {
					if broken {
						return mark
					}
					return nil
				})
			})
			u := h.add("alice")
			before := h.items("")
			if _, err := tc.act(h.Store, t.Context(), u.ID); !errors.Is(err, mark) {
				t.Fatalf("with a broken hook: %v", err)
			}
			if diff := cmp.Diff(before, h.items("")); diff != "" {
				t.Errorf("the store changed although the hook failed:\n%s", diff)
			}
			h.accepted("alice", password, home)
			broken = false
			h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: mark})
			if _, err := tc.act(h.Store, t.Context(), u.ID); !errors.Is(err, mark) || h.revoked(u.ID) != 0 {
				t.Errorf("with a broken commit: %v, revoked %d", err, h.revoked(u.ID))
			}
			if _, err := tc.act(h.Store, t.Context(), u.ID); err != nil || h.revoked(u.ID) != h.get(u.ID).Version {
				t.Errorf("with nothing broken: %v, revoked %d", err, h.revoked(u.ID))
			}
		})
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.addUser(identity.NewUser{Profile: logins("alice")})
	if u.HasPassword() {
		t.Error("a user without password has one")
	}
	h.expect("alice", password, home, identity.Refused, identity.ReasonNoPassword)
	now := h.clock.Advance(time.Hour)
	for i, pw := range []string{"first password", "second password"} {
		got, err := h.SetPassword(t.Context(), u.ID, pw)
		if err != nil || !got.HasPassword() || !got.PasswordSetAt.Equal(now) || got.Version != int64(i+2) {
			t.Errorf("SetPassword: %+v, %v", got, err)
		}
		h.accepted("alice", pw, home)
	}
	h.expect("alice", "first password", home, identity.Refused, identity.ReasonWrongPassword)
	if h.holds("second password") {
		t.Error("the password is in the store")
	}
}

func TestMinPassword(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) { c.MinPassword = 15 })
	u := h.addUser(identity.NewUser{Profile: logins("alice")})
	if _, err := h.SetPassword(t.Context(), u.ID, strings.Repeat("é", 14)); fieldOf(err) != "password" {
		t.Errorf("14 characters: %v", err)
	}
	if _, err := h.SetPassword(t.Context(), u.ID, strings.Repeat("é", 15)); err != nil {
		t.Errorf("15 characters: %v", err)
	}
}

// TestPasswordsWaitForTheHasher: setting a password takes its place in the same queue as logins.
func TestPasswordsWaitForTheHasher(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) {
		c.Hasher = newHasher(t, identity.HasherConfig{Concurrent: 1, Queue: -1})
	})
	u := h.add("alice")
	defer h.hasher.Occupy(true)()
	if _, err := h.SetPassword(t.Context(), u.ID, "another password"); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("SetPassword: %v, want ErrBusy", err)
	}
	if _, err := h.Add(t.Context(), identity.NewUser{Profile: logins("bob"), Password: password}); !errors.Is(err, identity.ErrBusy) {
		t.Errorf("Add: %v, want ErrBusy", err)
	}
	h.addUser(identity.NewUser{Profile: logins("bob")}) // needs no hash
}
