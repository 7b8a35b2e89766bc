// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func (h *house) throttled(login, ip string, reason identity.Reason) time.Duration {
	h.t.Helper()
	out := h.expect(login, password, ip, identity.Throttled, reason)
	if out.RetryAfter <= 0 || out.User.ID != "" {
		h.t.Fatalf("outcome %+v", out)
	}
	return out.RetryAfter
}

// address returns one of many IPv4 addresses.
func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255) }

// TestScheduleOfOneAddress is the table of the package comment.
func TestScheduleOfOneAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	for _, pause := range []time.Duration{
		0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900,
	} {
		h.wrong("alice", home)
		if pause *= time.Second; pause == 0 {
			continue
		}
		if got := h.throttled("alice", home, identity.ReasonThrottledClient); got != pause {
			t.Errorf("told to wait %v, want %v", got, pause)
		}
		h.clock.Advance(pause - time.Millisecond)
		if got := h.throttled("alice", home, identity.ReasonThrottledClient); got != time.Millisecond {
			t.Errorf("a millisecond before the end: told to wait %v", got)
		}
		h.clock.Advance(time.Millisecond)
	}
	h.accepted("alice", password, home)
}

// TestScheduleOfOneLogin comes from a new address every time.
func TestScheduleOfOneLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	n := 0
	next := func() string { n++; return address(n) }
	for range identity.DefaultPerLogin.Free - 1 {
		h.wrong("alice", next())
	}
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60} {
		h.wrong("alice", next())
		pause *= time.Second
		if got := h.throttled("alice", next(), identity.ReasonThrottledLogin); got != pause {
			t.Errorf("told to wait %v, want %v", got, pause)
		}
		h.clock.Advance(pause - time.Millisecond)
		h.throttled("alice", next(), identity.ReasonThrottledLogin)
		h.clock.Advance(time.Millisecond)
	}
	h.accepted("alice", password, next())
}

// TestAttackerIsSlowedBeforeTheVictim: whatever one address does to a login, its owner elsewhere gets in at once.
func TestAttackerIsSlowedBeforeTheVictim(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	guesses := 0
	for range 2 * 3600 {
		if h.try("alice", "a wrong guess", abroad).Result == identity.Refused {
			guesses++
		}
		h.clock.Advance(time.Second)
	}
	if guesses > 25 {
		t.Errorf("%d guesses in two hours", guesses)
	}
	h.accepted("alice", password, home)
}

// TestFamiliarAddressIsExempt: an attack from everywhere does not reach where the person usually is.
func TestFamiliarAddressIsExempt(t *testing.T) {
	t.Parallel()
	attack := func(h *house) {
		for n := range 60 {
			h.try("alice", "a wrong guess", address(n))
		}
	}
	for _, tc := range []struct {
		name   string
		config time.Duration
		since  time.Duration
		exempt bool
	}{
		{"just now", 0, 0, true},
		{"a month ago, nearly", 0, 30*24*time.Hour - time.Second, true},
		{"a month ago", 0, 30 * 24 * time.Hour, false},
		{"configured", time.Hour, time.Hour - time.Second, true},
		{"configured, over", time.Hour, time.Hour, false},
		{"switched off", -1, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *identity.Config) { c.Throttle.Familiar = tc.config })
			h.add("alice")
			h.accepted("alice", password, home)
			h.clock.Advance(tc.since)
			attack(h)
			h.throttled("alice", abroad, identity.ReasonThrottledLogin)
			if !tc.exempt {
				h.throttled("alice", home, identity.ReasonThrottledLogin)
				return
			}
			h.accepted("alice", password, home)
			h.accepted("alice", password, home)
			// Familiar is not trusted: the strict limit holds there as everywhere.
			for range identity.DefaultPerClient.Free {
				h.wrong("alice", home)
			}
			h.throttled("alice", home, identity.ReasonThrottledClient)
			h.clock.Advance(time.Second)
			h.accepted("alice", password, home)
		})
	}
}

// TestFamiliarOutlivesFailures: failing and waiting does not make an address a stranger.
func TestFamiliarOutlivesFailures(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	h.accepted("alice", password, home)
	h.wrong("alice", home)
	h.clock.Advance(2 * time.Hour)
	for n := range 60 {
		h.try("alice", "a wrong guess", address(n))
	}
	h.throttled("alice", abroad, identity.ReasonThrottledLogin)
	for range identity.DefaultPerClient.Free - 1 {
		h.wrong("alice", home)
	}
	h.accepted("alice", password, home)
}

// TestFailureMakesNothingFamiliar: only a right password does.
func TestFailureMakesNothingFamiliar(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.crowd()
	for _, login := range []string{"active", "locked", "unknown"} {
		h.expect(login, map[string]string{"locked": password}[login]+"x", home, identity.Refused,
			map[string]identity.Reason{
				"active": identity.ReasonWrongPassword, "locked": identity.ReasonLocked, "unknown": identity.ReasonUnknownLogin,
			}[login])
		for n := range 60 {
			h.try(login, "a wrong guess", address(n))
		}
		h.throttled(login, home, identity.ReasonThrottledLogin)
	}
}

// TestSuccessClearsItsOwnCounterOnly: an attacker who can log in as himself gains nothing by it, and neither does one whose
// victim logs in elsewhere.
func TestSuccessClearsItsOwnCounterOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	h.add("mallory")
	for range identity.DefaultPerClient.Free - 1 {
		h.wrong("alice", home)
	}
	h.accepted("alice", password, home)
	for range identity.DefaultPerClient.Free {
		h.wrong("alice", home)
		h.wrong("alice", abroad)
	}
	h.accepted("mallory", password, home)
	h.throttled("alice", home, identity.ReasonThrottledClient)
	h.accepted("alice", password, "203.0.113.3")
	h.throttled("alice", home, identity.ReasonThrottledClient)
	h.throttled("alice", abroad, identity.ReasonThrottledClient)
}

// TestSuccessDoesNotEraseTheAttack: the counter over all addresses goes down by the one attempt that was right.
func TestSuccessDoesNotEraseTheAttack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	for n := range identity.DefaultPerLogin.Free - 1 {
		h.wrong("alice", address(n))
	}
	h.accepted("alice", password, home) // the fiftieth, taken back
	h.clock.Advance(time.Second)
	h.wrong("alice", abroad) // the fiftieth again
	h.throttled("alice", "203.0.113.3", identity.ReasonThrottledLogin)
}

// TestRightPasswordsNeverThrottle: a person who logs in all day from everywhere is no attacker.
func TestRightPasswordsNeverThrottle(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	for n := range 300 {
		h.accepted("alice", password, home)
		h.accepted("alice", password, address(n))
	}
}

// TestHammeringDoesNotProlong: an attempt that was not let through does not count.
func TestHammeringDoesNotProlong(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	for range identity.DefaultPerClient.Free {
		h.wrong("alice", home)
	}
	before, runs := h.items(""), h.hasher.Stats().Runs
	for range 1000 {
		h.throttled("alice", home, identity.ReasonThrottledClient)
	}
	if diff := cmp.Diff(before, h.items("")); diff != "" {
		t.Errorf("throttled attempts wrote:\n%s", diff)
	}
	if got := h.hasher.Stats().Runs; got != runs {
		t.Errorf("throttled attempts cost %d hashes", got-runs)
	}
	h.clock.Advance(time.Second)
	h.accepted("alice", password, home)
}

// TestCountersAreForgotten after an hour without an attempt, and leave nothing behind.
func TestCountersAreForgotten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		after time.Duration
		fresh bool
	}{{"a moment before", time.Hour - time.Millisecond, false}, {"an hour", time.Hour, true}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.add("alice")
			for range identity.DefaultPerClient.Free {
				h.wrong("alice", home)
			}
			h.clock.Advance(tc.after)
			if got := len(h.items("login_counter/")) == 0; got != tc.fresh {
				t.Errorf("nothing left: %v", got)
			}
			h.wrong("alice", home)
			out := h.try("alice", password, home)
			if fresh := out.Result == identity.Accepted; fresh != tc.fresh {
				t.Errorf("outcome %+v", out)
			}
		})
	}
}

// TestSuccessLeavesOneCounter: what stays of a login is that its address is familiar, and of logins that make none familiar
// nothing stays.
func TestSuccessLeavesOneCounter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		familiar time.Duration
		want     int
	}{{0, 1}, {-1, 0}} {
		h := newHouse(t, func(c *identity.Config) { c.Throttle.Familiar = tc.familiar })
		h.add("alice")
		for range 3 {
			h.accepted("alice", password, home)
		}
		h.clock.Advance(-time.Hour) // an expired item that was left would show again
		if got := h.items("login_counter/"); len(got) != tc.want {
			t.Errorf("with familiar %v: %d counters %v", tc.familiar, len(got), got)
		}
	}
}

// TestThrottledAttemptsAreNoFailures: what was not let through does not count towards a lock either.
func TestThrottledAttemptsAreNoFailures(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *identity.Config) { c.LockAfter = 10 })
	u := h.add("alice")
	for range identity.DefaultPerClient.Free {
		h.wrong("alice", home)
	}
	for range 100 {
		h.throttled("alice", home, identity.ReasonThrottledClient)
	}
	h.clock.Advance(time.Second)
	h.accepted("alice", password, home)
	if got := h.get(u.ID); got.Status != identity.Active {
		t.Errorf("%+v", got)
	}
}

// TestSpellingsShareOneCounter (Authelia CVE-2026-47203: a ban that case got around).
func TestSpellingsShareOneCounter(t *testing.T) {
	t.Parallel()
	for _, login := range []string{"alice", "nobody"} {
		h := newHouse(t)
		h.add("alice")
		wide := strings.Map(func(r rune) rune { return r - 'a' + 'Ａ' }, login)
		for i := range identity.DefaultPerClient.Free {
			spelling := []string{login, strings.ToUpper(login), wide, " " + login}[i%4]
			if out := h.try(spelling, "a wrong guess", home); out.Result != identity.Refused {
				t.Fatalf("attempt %d as %q: %+v", i+1, spelling, out)
			}
		}
		for _, spelling := range []string{login, strings.ToUpper(login), wide, login + "\u3000"} {
			h.throttled(spelling, home, identity.ReasonThrottledClient)
		}
	}
}

func TestClientAddresses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, first, second string
		same                bool
	}{
		{"same", "192.0.2.1", "192.0.2.1", true},
		{"neighbour", "192.0.2.1", "192.0.2.2", false},
		{"port", "192.0.2.1:1234", "192.0.2.1:999", true},
		{"mapped", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"mapped neighbour", "::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"same /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"same /64, other spelling", "2001:DB8:1:2::1", "2001:0db8:0001:0002:0::9", true},
		{"same /64, port", "[2001:db8:1:2::1]:443", "2001:db8:1:2::2", true},
		{"other /64", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"zone", "fe80::1%eth0", "fe80::2%eth1", true},
		{"nothing and garbage", "", "not an address", true},
		{"garbage is one bucket", "x1", "x2", true},
		{"garbage and an address", "192.0.2.1", "192.0.2.1x", false},
		{"loopback of either kind", "127.0.0.1", "::1", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			for range identity.DefaultPerClient.Free {
				h.expect("nobody", password, tc.first, identity.Refused, identity.ReasonUnknownLogin)
			}
			out := h.try("nobody", password, tc.second)
			if same := out.Result == identity.Throttled; same != tc.same {
				t.Errorf("%q and %q: %+v", tc.first, tc.second, out)
			}
		})
	}
}

// TestCountersNameNobody: what was typed, which may be a password, and where from cannot be read in the store.
func TestCountersNameNobody(t *testing.T) {
	t.Parallel()
	keys := make(map[string]string)
	for _, secret := range []string{"", "one", "two"} {
		h := newHouse(t, func(c *identity.Config) {
			c.CounterKey = func() ([]byte, error) { return []byte(secret), nil }
		})
		h.expect("hunter2hunter2", "a wrong guess", home, identity.Refused, identity.ReasonUnknownLogin)
		items := h.items("login_counter/")
		if len(items) != 2 {
			t.Fatalf("%d counters, want 2", len(items))
		}
		for _, item := range items {
			if other, ok := keys[item.Key]; ok {
				t.Errorf("a counter has the same key under %q and %q", secret, other)
			}
			keys[item.Key] = secret
			if item.ExpiresAt.IsZero() {
				t.Errorf("%s never expires", item.Key)
			}
		}
		for _, text := range []string{"hunter2", home} {
			if h.holds(text) {
				t.Errorf("%q is in the store", text)
			}
		}
	}
}

// TestWithoutTheKeyOfCounters nothing is decided and nothing is written: a counter under another name would not count.
func TestWithoutTheKeyOfCounters(t *testing.T) {
	t.Parallel()
	gone := errors.New("the key is gone")
	var missing error
	h := newHouse(t, func(c *identity.Config) {
		c.CounterKey = func() ([]byte, error) { return []byte("key"), missing }
	})
	user := h.add("alice")
	missing = gone
	out, err := h.Store.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: password, ClientIP: home})
	if !errors.Is(err, gone) || out.Result != "" {
		t.Errorf("the attempt is %+v, %v", out, err)
	}
	if _, err := h.Store.Unlock(t.Context(), user.ID); !errors.Is(err, gone) {
		t.Errorf("unlocking says %v", err)
	}
	if items := h.items("login_counter/"); len(items) != 0 {
		t.Errorf("there are counters: %v", items)
	}
	missing = nil
	h.expect("alice", password, home, identity.Accepted, "")
}

// TestParallelGuesses: a hundred at once get no further than one after the other.
func TestParallelGuesses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		login string
		from  func(int) string
		limit int
	}{
		{"one address", "alice", func(int) string { return home }, identity.DefaultPerClient.Free},
		{"one address, nobody's login", "nobody", func(int) string { return home }, identity.DefaultPerClient.Free},
		{"many addresses", "alice", address, identity.DefaultPerLogin.Free},
		{"one /64", "alice", func(n int) string { return fmt.Sprintf("2001:db8::%x", n+1) }, identity.DefaultPerClient.Free},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.add("alice")
			before := h.hasher.Stats().Runs
			var refused, turned atomic.Int64
			var group sync.WaitGroup
			for n := range 100 {
				group.Go(func() {
					out, err := h.Authenticate(t.Context(), identity.Attempt{
						Login: tc.login, Password: fmt.Sprint("guess number ", n), ClientIP: tc.from(n),
					})
					switch {
					case err != nil || out.Result == identity.Accepted:
						t.Errorf("%+v, %v", out, err)
					case out.Result == identity.Refused:
						refused.Add(1)
					default:
						turned.Add(1)
					}
				})
			}
			group.Wait()
			if got := int(h.hasher.Stats().Runs - before); got > tc.limit || got != int(refused.Load()) {
				t.Errorf("%d hashes, %d refused, at most %d allowed", got, refused.Load(), tc.limit)
			}
			if refused.Load()+turned.Load() != 100 || refused.Load() == 0 {
				t.Errorf("%d refused, %d turned away", refused.Load(), turned.Load())
			}
		})
	}
}

// TestThrottleModel plays random histories of one address and compares each answer with what the comment of Limit says.
func TestThrottleModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limit := identity.Limit{
			Free: rapid.IntRange(1, 4).Draw(rt, "free"),
			Base: time.Duration(rapid.IntRange(1, 3).Draw(rt, "base")) * time.Second,
			Max:  10 * time.Second, Window: 20 * time.Second,
		}
		loose := limit
		loose.Free = 1 << 20
		h := newHouse(t, func(c *identity.Config) { c.Throttle = identity.Throttle{PerClient: limit, PerLogin: loose} })
		h.add("alice")
		count, last, pause := 0, h.clock.Now(), time.Duration(0)
		for range rapid.IntRange(1, 40).Draw(rt, "attempts") {
			now := h.clock.Advance(time.Duration(rapid.IntRange(0, 25).Draw(rt, "seconds")) * time.Second)
			if !now.Before(last.Add(limit.Window)) {
				count, pause = 0, 0
			}
			right := rapid.Bool().Draw(rt, "right")
			out := h.try("alice", map[bool]string{true: password, false: "a wrong guess"}[right], home)
			switch wait := last.Add(pause).Sub(now); {
			case wait > 0:
				if out.Result != identity.Throttled || out.RetryAfter != wait {
					rt.Fatalf("%+v, want throttled for %v", out, wait)
				}
				continue
			case right:
				if out.Result != identity.Accepted {
					rt.Fatalf("%+v, want accepted", out)
				}
				count, pause = 0, 0
				continue
			case out.Result != identity.Refused:
				rt.Fatalf("%+v, want refused", out)
			}
			if count, last = count+1, now; count >= limit.Free {
				pause = min(limit.Max, limit.Base<<(count-limit.Free))
			}
		}
	})
}

func TestLockAfter(t *testing.T) {
	t.Parallel()
	h := newHouse(t, revocations, func(c *identity.Config) { c.LockAfter = 3 })
	u := h.add("alice", "al")
	for range 3 { // a right password ends the row
		h.wrong("alice", home)
		h.wrong("al", abroad)
		h.accepted("alice", password, home)
	}
	h.wrong("alice", home)
	h.wrong("al", abroad)
	h.wrong("alice", "203.0.113.3")
	if got := h.get(u.ID); got.Status != identity.Active {
		t.Errorf("locked before the last chance was used up: %+v", got)
	}
	now := h.clock.Now()
	h.expect("al", password, "203.0.113.4", identity.Refused, identity.ReasonLocked)
	got := h.get(u.ID)
	if got.Status != identity.Locked || got.StatusReason != identity.ReasonTooManyFailures ||
		!got.SessionsNotBefore.Equal(now) || h.revoked(u.ID) != got.Version {
		t.Errorf("after one attempt too many: %+v, revoked %d", got, h.revoked(u.ID))
	}
	h.clock.Advance(1000 * time.Hour)
	h.expect("alice", password, home, identity.Refused, identity.ReasonLocked)
	if _, err := h.Unlock(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	h.wrong("alice", home)
	h.wrong("alice", home)
	h.accepted("alice", password, home)
}

// TestLockAfterIsOffByDefault: nobody can lock another person out by guessing.
func TestLockAfterIsOffByDefault(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice")
	for n := range 500 {
		h.try("alice", "a wrong guess", address(n))
		h.clock.Advance(time.Minute)
	}
	if got := h.get(u.ID); got.Status != identity.Active {
		t.Errorf("%+v", got)
	}
	h.accepted("alice", password, home)
	if left := h.items("login_failures/"); len(left) != 0 {
		t.Errorf("failures are counted: %v", left)
	}
}

// TestLockAfterUnderContention: no more passwords are tried than allowed, and the lock is whole.
func TestLockAfterUnderContention(t *testing.T) {
	t.Parallel()
	h := newHouse(t, revocations, func(c *identity.Config) { c.LockAfter = 7 })
	u := h.add("alice")
	before := h.hasher.Stats().Runs
	var wrong atomic.Int64
	var group sync.WaitGroup
	for n := range 40 {
		group.Go(func() {
			out, err := h.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: "a wrong guess", ClientIP: address(n)})
			if err != nil {
				t.Error(err)
			}
			if out.Reason == identity.ReasonWrongPassword {
				wrong.Add(1)
			}
		})
	}
	group.Wait()
	if got := h.get(u.ID); got.Status != identity.Locked || h.revoked(u.ID) != got.Version || got.Version != 2 {
		t.Errorf("%+v, revoked %d", got, h.revoked(u.ID))
	}
	if wrong.Load() != 7 || h.hasher.Stats().Runs-before > 40 {
		t.Errorf("%d passwords were tried", wrong.Load())
	}
}

// TestLockAfterNeedsItsHooks: when what is open cannot be revoked, the attempt fails rather than half a lock stands.
func TestLockAfterNeedsItsHooks(t *testing.T) {
	t.Parallel()
	mark := errors.New("no room for the revocation")
	h := newHouse(t, func(c *identity.Config) {
		c.LockAfter = 1
		c.OnRevoke = append(c.OnRevoke, func(storage.Tx, identity.User) error { return mark })
	})
	u := h.add("alice")
	h.wrong("alice", home)
	out, err := h.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: password, ClientIP: home})
	if !errors.Is(err, mark) || out.Result != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if got := h.get(u.ID); got.Status != identity.Active {
		t.Errorf("%+v", got)
	}
}

// TestUnlockForgivesTheLogin: after an operator's word the person need not wait behind the attacker's attempts.
func TestUnlockForgivesTheLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	u := h.add("alice", "al")
	for _, login := range []string{"alice", "al"} {
		for n := range identity.DefaultPerLogin.Free {
			h.wrong(login, address(n))
		}
		h.throttled(login, home, identity.ReasonThrottledLogin)
	}
	if _, err := h.Unlock(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	h.accepted("alice", password, home)
	h.accepted("al", password, home)
}

// TestBrokenCounterDenies: a counter that cannot be read is not a counter at zero.
func TestBrokenCounterDenies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	h.wrong("alice", home)
	for _, item := range h.items("login_counter/") {
		item.Value = []byte("?")
		if err := h.db.Update(t.Context(), func(tx storage.Tx) error { return tx.Put(item) }); err != nil {
			t.Fatal(err)
		}
	}
	before := h.hasher.Stats().Runs
	out, err := h.Authenticate(t.Context(), identity.Attempt{Login: "alice", Password: password, ClientIP: home})
	if err == nil || out.Result != "" || h.hasher.Stats().Runs != before {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestTwoStoresShareTheCounters: two nodes over one database are one house.
func TestTwoStoresShareTheCounters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.add("alice")
	second, err := identity.New(identity.Config{DB: storagetest.Twice(h.db, 1), Hasher: h.hasher, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	first := h.Store
	for i := range identity.DefaultPerClient.Free {
		h.Store = []*identity.Store{first, second}[i%2]
		h.wrong("alice", home)
	}
	for _, s := range []*identity.Store{first, second} {
		h.Store = s
		h.throttled("alice", home, identity.ReasonThrottledClient)
	}
}
