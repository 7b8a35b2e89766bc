// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestDeleteLeavesATombstone(t *testing.T) {
	t.Parallel()
	var revoked []string
	h := newHouse(t, searchable("phone"), func(c *identity.Config) {
		c.OnRevoke = append(c.OnRevoke, func(_ storage.Tx, u identity.User) error {
			revoked = append(revoked, u.ID)
			return nil
		})
	})
	alice := h.addUser(identity.NewUser{
		Profile: identity.Profile{
			Logins: []string{"alice", "alice@example.com"}, ExternalRef: "crm-1", Attributes: map[string]string{"phone": "0612345678"},
		},
		Password: password,
	})
	if _, err := h.Delete(t.Context(), alice.ID, alice.Version+1); !errors.Is(err, identity.ErrVersion) {
		t.Fatalf("another version: %v", err)
	}
	got, err := h.Delete(t.Context(), alice.ID, alice.Version)
	if err != nil {
		t.Fatal(err)
	}
	now := h.clock.Now()
	want := identity.User{
		ID: alice.ID, Profile: identity.Profile{Logins: []string{}}, Status: identity.Deactivated, Version: 2,
		CreatedAt: alice.CreatedAt, UpdatedAt: now, DeletedAt: now, SessionsNotBefore: now,
	}
	if diff := cmp.Diff(want, got); diff != "" || cmp.Diff(want, h.get(alice.ID)) != "" {
		t.Error(diff)
	}
	if len(revoked) == 0 || revoked[0] != alice.ID {
		t.Error("what was open is not revoked")
	}
	for _, text := range []string{"alice", "crm-1", "0612345678", "$argon2id$"} {
		if h.holds(text) {
			t.Errorf("the store still says %q", text)
		}
	}
	h.expect("alice", password, home, identity.Refused, identity.ReasonUnknownLogin)
}

func TestNothingIsDoneToTheDeleted(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	u, err := h.Delete(t.Context(), u.ID, u.Version)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"update": func() error {
			_, err := h.Update(t.Context(), u.ID, u.Version, logins("eve"))
			return err
		},
		"password":   func() error { _, err := h.SetPassword(t.Context(), u.ID, password); return err },
		"lock":       func() error { _, err := h.Lock(t.Context(), u.ID, ""); return err },
		"unlock":     func() error { _, err := h.Unlock(t.Context(), u.ID); return err },
		"deactivate": func() error { _, err := h.Deactivate(t.Context(), u.ID, ""); return err },
		"delete":     func() error { _, err := h.Delete(t.Context(), u.ID, u.Version); return err },
	} {
		if err := do(); !errors.Is(err, identity.ErrDeleted) || !errors.Is(err, identity.ErrTransition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNamesOfTheDeletedStayTaken on every way by which a user comes in, until somebody says that they are free.
func TestNamesOfTheDeletedStayTaken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	alice := h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{"alice"}, ExternalRef: "crm-1"}})
	bob := h.add("bob")
	if _, err := h.ReleaseNames(t.Context(), alice.ID); !errors.Is(err, identity.ErrTransition) {
		t.Fatalf("releasing the names of who is there: %v", err)
	}
	if _, err := h.Delete(t.Context(), alice.ID, alice.Version); err != nil {
		t.Fatal(err)
	}
	byRef := identity.NewUser{Profile: identity.Profile{Logins: []string{"eve"}, ExternalRef: "crm-1"}}
	for name, take := range map[string]struct {
		field string
		do    func() error
	}{
		"add by login": {"logins[1]", func() error {
			_, err := h.Add(t.Context(), identity.NewUser{Profile: logins("eve", "ALICE")})
			return err
		}},
		"add by reference": {"external_ref", func() error { _, err := h.Add(t.Context(), byRef); return err }},
		"update": {"logins[0]", func() error {
			_, err := h.Update(t.Context(), bob.ID, bob.Version, logins("alice"))
			return err
		}},
		"link": {"external_ref", func() error { _, err := h.Link(t.Context(), "crm-1", nil); return err }},
	} {
		if err := take.do(); !errors.Is(err, storage.ErrExists) || fieldOf(err) != take.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	candidate, err := h.Candidate(identity.NewUser{Profile: logins("alice")})
	if err != nil {
		t.Fatal(err)
	}
	fates, _, err := h.AddAll(t.Context(), []identity.Candidate{candidate})
	if err != nil || fates[0] != (identity.Fate{UserID: alice.ID}) {
		t.Errorf("an import: %+v, %v", fates, err)
	}
	if _, err := h.ReleaseNames(t.Context(), alice.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Add(t.Context(), identity.NewUser{Profile: identity.Profile{Logins: []string{"alice"}, ExternalRef: "crm-1"}}); err != nil {
		t.Errorf("after the release: %v", err)
	}
}

// TestDeleteFitsATransaction: the largest user, and all that OnRevoke may write.
func TestDeleteFitsATransaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t, searchable("1", "2", "3", "4", "5", "6", "7", "8"), func(c *identity.Config) {
		c.Audit = &trail{}
		c.OnRevoke = append(c.OnRevoke, func(tx storage.Tx, _ identity.User) error {
			for i := range 30 {
				if err := tx.Put(storage.Item{Key: fmt.Sprint("revoked/", i), Value: []byte("x")}); err != nil {
					return err
				}
			}
			return nil
		})
	})
	n := identity.NewUser{Profile: identity.Profile{ExternalRef: "ref", Attributes: map[string]string{}}}
	for i := range identity.MaxLogins {
		n.Logins = append(n.Logins, fmt.Sprint("login", i))
		n.Attributes[fmt.Sprint(i+1)] = "value"
	}
	u := h.addUser(n)
	if _, err := h.Delete(t.Context(), u.ID, u.Version); err != nil {
		t.Fatal(err)
	}
}

// trail is an audit trail in the store itself, so that what is rolled back is not told.
type trail struct{ drawn int }

func (a *trail) Prepare(e audit.Event) audit.Event {
	a.drawn++
	e.ID = fmt.Sprintf("%06d", a.drawn)
	return e
}

func (*trail) Append(tx storage.Tx, e audit.Event) error {
	table := trailTable()
	return table.Put(tx, e)
}

func trailTable() storage.Table[audit.Event] {
	return storage.Table[audit.Event]{Name: "test_trail", Version: 1, ID: func(e *audit.Event) string { return e.ID }}
}

func (h *house) told() []audit.Event {
	h.t.Helper()
	var events []audit.Event
	err := h.db.View(h.t.Context(), func(tx storage.Tx) error {
		events = nil
		table := trailTable()
		for e, err := range table.All(tx, "", 0) {
			if err != nil {
				return err
			}
			e.ID = ""
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return events
}

func TestEveryChangeIsAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) { c.Audit, c.LockAfter = &trail{}, 1 })
	actor := audit.Actor{By: "client:portal", ClientID: "portal", ClientIP: home, RequestID: "rq_1"}
	ctx := audit.WithActor(t.Context(), actor)
	u, err := h.Add(ctx, identity.NewUser{Profile: logins("alice"), Password: password})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"user.add"}
	for _, step := range []struct {
		event string
		do    func() error
	}{
		{"user.update", func() error { _, err := h.Update(ctx, u.ID, 1, logins("alice", "al")); return err }},
		{"user.password", func() error { _, err := h.SetPassword(ctx, u.ID, password); return err }},
		{"user.lock lost", func() error { _, err := h.Lock(ctx, u.ID, "lost"); return err }},
		{"user.unlock", func() error { _, err := h.Unlock(ctx, u.ID); return err }},
		{"user.deactivate left", func() error { _, err := h.Deactivate(ctx, u.ID, "left"); return err }},
		{"user.delete", func() error { _, err := h.Delete(ctx, u.ID, 6); return err }},
		{"user.release_names", func() error { _, err := h.ReleaseNames(ctx, u.ID); return err }},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.event, err)
		}
		want = append(want, step.event)
	}
	if _, err := h.Link(ctx, "ref", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Link(ctx, "ref", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	linked := h.told()[len(want)].Subject
	var got []string
	for i, e := range h.told() {
		name := e.Name
		if e.Reason != "" {
			name += " " + e.Reason
		}
		subject := u.ID
		if i >= len(want) {
			subject = linked
		}
		if e.By != actor.By || e.ClientID != actor.ClientID || e.ClientIP != actor.ClientIP || e.RequestID != actor.RequestID ||
			e.Subject != subject || e.Outcome != audit.Accepted {
			t.Errorf("event %+v", e)
		}
		got = append(got, name)
	}
	if diff := cmp.Diff(append(want, "user.add", "user.update"), got); diff != "" {
		t.Error(diff)
	}
}

func TestLockingByFailuresIsAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) { c.Audit, c.LockAfter = &trail{}, 1 })
	u := h.add("alice")
	h.wrong("alice", home)
	h.expect("alice", "a wrong guess", home, identity.Refused, identity.ReasonLocked)
	events := h.told()
	if len(events) != 2 || events[1].Name != "user.lock" || events[1].Subject != u.ID || events[1].Reason != identity.ReasonTooManyFailures {
		t.Errorf("%+v", events)
	}
}

// TestWhatIsRolledBackIsNotAudited, and what cannot be audited does not happen.
func TestWhatIsRolledBackIsNotAudited(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) { c.Audit = &trail{} })
	u := h.add("alice")
	h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: errors.New("cable pulled")})
	if _, err := h.Lock(t.Context(), u.ID, "x"); err == nil {
		t.Fatal("locked")
	}
	h.db.Clear()
	if got := h.told(); len(got) != 1 || h.get(u.ID).Status != identity.Active {
		t.Errorf("%+v", got)
	}
}
