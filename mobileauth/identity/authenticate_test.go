// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// crowd adds one user of every kind that cannot be told from outside, and returns a login name of each. The first is the
// one whose password is the usual one and who may log in; the last does not exist.
func (h *house) crowd() []string {
	h.t.Helper()
	h.add("active")
	h.addUser(identity.NewUser{Profile: logins("locked"), Password: password, Status: identity.Locked})
	h.addUser(identity.NewUser{Profile: logins("deactivated"), Password: password, Status: identity.Deactivated})
	h.addUser(identity.NewUser{Profile: logins("passwordless")})
	return []string{"active", "locked", "deactivated", "passwordless", "unknown"}
}

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, login, password string
		result                identity.Result
		reason                identity.Reason
		hashes                uint64
	}{
		{"right", "active", password, identity.Accepted, "", 1},
		{"right, in another spelling", " ＡCTIVE", password, identity.Accepted, "", 1},
		{"wrong", "active", "correct hors", identity.Refused, identity.ReasonWrongPassword, 1},
		{"wrong in case", "active", "Correct horse", identity.Refused, identity.ReasonWrongPassword, 1},
		{"space added", "active", password + " ", identity.Refused, identity.ReasonWrongPassword, 1},
		{"longest", "active", strings.Repeat("p", identity.MaxPassword), identity.Refused, identity.ReasonWrongPassword, 1},
		{"locked, right", "locked", password, identity.Refused, identity.ReasonLocked, 1},
		{"locked, wrong", "locked", "wrong", identity.Refused, identity.ReasonLocked, 1},
		{"deactivated, right", "deactivated", password, identity.Refused, identity.ReasonDeactivated, 1},
		{"deactivated, wrong", "deactivated", "wrong", identity.Refused, identity.ReasonDeactivated, 1},
		{"passwordless", "passwordless", password, identity.Refused, identity.ReasonNoPassword, 1},
		{"unknown", "unknown", password, identity.Refused, identity.ReasonUnknownLogin, 1},
		{"no password given", "active", "", identity.Refused, identity.ReasonMalformed, 0},
		{"no password given, passwordless", "passwordless", "", identity.Refused, identity.ReasonMalformed, 0},
		{"endless password", "active", strings.Repeat("p", identity.MaxPassword+1), identity.Refused, identity.ReasonMalformed, 0},
		{"no login", "", password, identity.Refused, identity.ReasonMalformed, 0},
		{"impossible login", "act\x00ive", password, identity.Refused, identity.ReasonMalformed, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.crowd()
			before := h.hasher.Stats().Runs
			out := h.expect(tc.login, tc.password, home, tc.result, tc.reason)
			if got := h.hasher.Stats().Runs - before; got != tc.hashes {
				t.Errorf("%d hashes were computed, want %d", got, tc.hashes)
			}
			if accepted := out.Result == identity.Accepted; accepted != (out.User.ID != "") || out.RetryAfter != 0 {
				t.Errorf("outcome %+v", out)
			}
			known := tc.reason != identity.ReasonUnknownLogin && tc.reason != identity.ReasonMalformed
			if known != (out.UserID != "") {
				t.Errorf("audited user %q", out.UserID)
			}
		})
	}
}

// TestStrangersLearnNothing plays the same attempts against every kind of user and compares all that a caller may show,
// and the work done.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	type seen struct {
		Result identity.Result
		Wait   time.Duration
		Hashes uint64
	}
	var want []seen
	for i, kind := range []string{"active", "locked", "deactivated", "passwordless", "unknown"} {
		h := newHouse(t)
		if got := h.crowd()[i]; got != kind {
			t.Fatalf("%q is not %q", got, kind)
		}
		var got []seen
		for n := range 80 {
			before := h.hasher.Stats().Runs
			ip := fmt.Sprintf("192.0.2.%d", n%9)
			out := h.try(kind, "a wrong guess", ip)
			got = append(got, seen{out.Result, out.RetryAfter, h.hasher.Stats().Runs - before})
			h.clock.Advance(time.Duration(n%3) * time.Second)
		}
		if i == 0 {
			want = got
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("a user who is %s can be told from an active one:\n%s", kind, diff)
		}
	}
}

func TestLoginsOfOneUserAllWork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice", "alice@example.com")
	for _, login := range []string{"alice", "Alice@Example.com"} {
		out := h.accepted(login, password, home)
		if diff := cmp.Diff(u, out.User); diff != "" {
			t.Errorf("as %q (-want +got):\n%s", login, diff)
		}
	}
}

// TestLoginReplacesForeignHash: a password imported with another hash gets ours at its first login, and nothing that a
// reader of the record can see changes.
func TestLoginReplacesForeignHash(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, hash, password string
	}{
		{"bcrypt", bcryptUstarU, "U*U"},
		{"argon2id with other parameters", argonParallel, "password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, revocations)
			u := h.addUser(identity.NewUser{Profile: logins("alice"), PasswordHash: tc.hash})
			h.expect("alice", "not that", home, identity.Refused, identity.ReasonWrongPassword)
			if !h.holds(tc.hash) {
				t.Fatal("a wrong password replaced the hash")
			}
			h.accepted("alice", tc.password, home)
			if h.holds(tc.hash) || !h.holds("$argon2id$v=19$m=8,t=1,p=1$") {
				t.Error("the old hash is still there")
			}
			h.accepted("alice", tc.password, home)
			if diff := cmp.Diff(u, h.get(u.ID)); diff != "" || h.revoked(u.ID) != 0 {
				t.Errorf("the record changed, or sessions ended:\n%s", diff)
			}
		})
	}
}

// TestParallelFirstLogins: one of them replaces the hash under the others, which are right all the same.
func TestParallelFirstLogins(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addUser(identity.NewUser{Profile: logins("alice"), PasswordHash: argonParallel})
	var group sync.WaitGroup
	for range identity.DefaultPerClient.Free {
		group.Go(func() {
			out, err := h.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: "password", ClientIP: home})
			if err != nil || out.Result != identity.Accepted {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
	group.Wait()
}

// TestChangeDuringTheHash: the hash takes long enough for the world to change; what is accepted is what holds at the end.
func TestChangeDuringTheHash(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		act    act
		reason identity.Reason
	}{
		{"locked", lock, identity.ReasonLocked},
		{"deactivated", deactivate, identity.ReasonDeactivated},
		{"password replaced", newPassword, identity.ReasonChanged},
		{"password set again", func(s *identity.Store, ctx context.Context, id string) (identity.User, error) {
			return s.SetPassword(ctx, id, password)
		}, identity.ReasonChanged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.add("alice")
			var acted atomic.Bool // some of the acts hash
			h.hasher.During(func() {
				if acted.Swap(true) {
					return
				}
				if _, err := tc.act(h.Store, t.Context(), u.ID); err != nil {
					t.Error(err)
				}
			})
			out := h.expect("alice", password, home, identity.Refused, tc.reason)
			if out.User.ID != "" || out.UserID != u.ID {
				t.Errorf("outcome %+v", out)
			}
		})
	}
}

// TestFaultsNeverAccept breaks every step of an attempt in turn, with a right password and a wrong one.
func TestFaultsNeverAccept(t *testing.T) {
	t.Parallel()
	mark := errors.New("disk on fire")
	for _, tc := range []struct {
		name   string
		op     storagetest.Op
		nth    int // 1 counts, 2 settles
		err    error
		want   error
		result identity.Result
	}{
		{"counting", storagetest.OnUpdate, 1, mark, mark, ""},
		{"counting, at the commit", storagetest.OnCommit, 1, mark, mark, ""},
		{"counting, outcome unknown", storagetest.OnReply, 1, nil, storage.ErrUnknown, ""},
		{"counting, store closed", storagetest.OnUpdate, 1, storage.ErrClosed, storage.ErrClosed, ""},
		{"counting, contention", storagetest.OnUpdate, 1, storage.ErrConflict, nil, identity.Busy},
		{"settling", storagetest.OnUpdate, 2, mark, mark, ""},
		{"settling, at the commit", storagetest.OnCommit, 2, mark, mark, ""},
		{"settling, outcome unknown", storagetest.OnReply, 2, nil, storage.ErrUnknown, ""},
		{"settling, disk full", storagetest.OnCommit, 2, storage.ErrFull, storage.ErrFull, ""},
		{"settling, contention", storagetest.OnCommit, 2, storage.ErrConflict, nil, identity.Busy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.add("alice")
			h.db.Inject(storagetest.Fault{Op: tc.op, Nth: tc.nth, Err: tc.err})
			attempt := identity.Attempt{Login: "alice", Password: password, ClientIP: home}
			out, err := h.Authenticate(t.Context(), attempt)
			if !errors.Is(err, tc.want) || out.Result != tc.result || out.User.ID != "" {
				t.Errorf("%+v, %v; want %q, %v", out, err, tc.result, tc.want)
			}
			if tc.result == identity.Busy && (out.RetryAfter <= 0 || out.Reason != identity.ReasonStoreBusy) {
				t.Errorf("outcome %+v", out)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the error repeats the password: %v", err)
			}
			h.accepted("alice", password, home)
			if got := h.hasher.Stats(); got.Queued != 0 || got.InFlight != 0 {
				t.Errorf("a place was not given back: %+v", got)
			}
		})
	}
}

// TestOnlyARightPasswordIsSettled: for everybody who cannot log in, an attempt ends with the hash, even where the password
// is right. A second transaction, or a renewed hash, would tell a right guess from a wrong one by its time.
func TestOnlyARightPasswordIsSettled(t *testing.T) {
	t.Parallel()
	for i := 1; i < 5; i++ {
		h := newHouse(t)
		login := h.crowd()[i]
		h.hasher.MatchAll()
		before := h.hasher.Stats().Runs
		h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 2, Err: errors.New("the store was touched again")})
		if out := h.try(login, password, home); out.Result != identity.Refused {
			t.Errorf("%s: %+v", login, out)
		}
		if got := h.hasher.Stats().Runs - before; got != 1 {
			t.Errorf("%s: %d hashes", login, got)
		}
	}
}

// TestDamagedRecordNeverAccepts: a record that somebody broke is no user without password.
func TestDamagedRecordNeverAccepts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, from, to string
	}{
		{"hash", "$argon2id$", "$argon2xx$"},
		{"generation", `"generation":1`, `"generation":"1"`},
		{"status", `"status":"active"`, `"status":"Active"`},
		{"no status", `"status":"active"`, `"status":""`},
		{"no hash", `"hash":"`, `"hash":"","was":"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			u := h.add("alice")
			for _, item := range h.items("user/" + u.ID) {
				broken := strings.Replace(string(item.Value), tc.from, tc.to, 1)
				if broken == string(item.Value) {
					t.Fatalf("%q is not in the record", tc.from)
				}
				item.Value = []byte(broken)
				if err := h.db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(item) }); err != nil {
					t.Fatal(err)
				}
			}
			out, err := h.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: password, ClientIP: home})
			if out.Result == identity.Accepted || out.User.ID != "" || (err == nil) != (out.Result == identity.Refused) {
				t.Errorf("%+v, %v", out, err)
			}
		})
	}
}

func TestCancelledAttempt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	attempt := identity.Attempt{Login: "alice", Password: password, ClientIP: home}
	ctx, cancel := context.WithCancel(t.Context())
	h.hasher.During(cancel) // the client leaves while the password is being checked
	if out, err := h.Authenticate(ctx, attempt); !errors.Is(err, context.Canceled) || out.Result != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := h.Authenticate(ctx, attempt); !errors.Is(err, context.Canceled) || out.Result != "" {
		t.Errorf("with a context that is over: %+v, %v", out, err)
	}
}

// TestBusyLeavesNoTrace: an attempt that cannot be served is not counted against anybody, and does not touch the store.
func TestBusyLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) {
		c.Hasher = newHasher(t, identity.HasherConfig{Concurrent: 1, Queue: 1})
	})
	logins := h.crowd()
	running, waiting := h.hasher.Occupy(true), h.hasher.Occupy(false)
	h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: errors.New("the store was touched")})
	for _, login := range logins {
		for range 10 {
			out := h.expect(login, password, home, identity.Busy, identity.ReasonHasherBusy)
			if out.RetryAfter <= 0 {
				t.Errorf("outcome %+v", out)
			}
		}
	}
	h.db.Clear()
	waiting()
	running()
	for range identity.DefaultPerClient.Free - 1 {
		h.wrong("active", home)
	}
	h.accepted("active", password, home)
}

func TestAttemptHidesItself(t *testing.T) {
	t.Parallel()
	a := identity.Attempt{Login: "hunter2-login", Password: "hunter2", ClientIP: home}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("test", "attempt", a)
	text := log.String() + fmt.Sprintf("%v %+v %#v %s", a, a, a, a)
	if strings.Contains(text, "hunter2") {
		t.Errorf("the password shows in %s", text)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	for _, bc := range []struct {
		name, login, password string
		result                identity.Result
	}{
		{"accepted", "active", password, identity.Accepted},
		{"refused", "active", "a wrong guess", identity.Refused},
		{"unknown", "unknown", "a wrong guess", identity.Refused},
	} {
		b.Run(bc.name, func(b *testing.B) {
			h := newHouse(b, func(c *identity.Config) {
				limit := identity.Limit{Free: 1 << 40, Base: time.Second, Max: time.Second, Window: time.Hour}
				c.Throttle = identity.Throttle{PerClient: limit, PerLogin: limit}
			})
			h.hasher.Instant()
			h.crowd()
			b.ReportAllocs()
			for b.Loop() {
				out, err := h.Authenticate(b.Context(), identity.Attempt{Login: bc.login, Password: bc.password, ClientIP: home})
				if err != nil || out.Result != bc.result {
					b.Fatal(out, err)
				}
			}
		})
	}
	b.Run("throttled", func(b *testing.B) {
		h := newHouse(b)
		h.hasher.Instant()
		h.crowd()
		for range identity.DefaultPerClient.Free {
			h.try("active", "a wrong guess", home)
		}
		b.ReportAllocs()
		for b.Loop() {
			if out := h.try("active", password, home); out.Result != identity.Throttled {
				b.Fatal(out)
			}
		}
	})
}
