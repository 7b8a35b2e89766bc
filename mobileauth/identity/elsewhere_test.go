// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func guess(login, ip string) identity.Guess {
	return identity.Guess{People: "corporate", Login: login, ClientIP: ip}
}

// enter enters a guess and returns how long it has to wait.
func (h *house) enter(g identity.Guess) (identity.Entry, time.Duration) {
	h.t.Helper()
	entry, err := h.Enter(h.t.Context(), g)
	if err != nil {
		h.t.Fatal(err)
	}
	return entry, entry.RetryAfter
}

func (h *house) settle(e identity.Entry, right bool) {
	h.t.Helper()
	if err := h.Settle(h.t.Context(), e, right); err != nil {
		h.t.Fatal(err)
	}
}

func TestGuessesElsewhereAreSlowedDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for i := range identity.DefaultPerClient.Free {
		if _, wait := h.enter(guess("alice", home)); wait != 0 {
			t.Fatalf("guess %d waits %s", i+1, wait)
		}
	}
	entry, wait := h.enter(guess("alice", home))
	if wait <= 0 || entry.Reason != identity.ReasonThrottledClient {
		t.Errorf("the next one waits %s (%s)", wait, entry.Reason)
	}
	for _, other := range []identity.Guess{
		guess("bob", home), guess("alice", abroad), {People: "partners", Login: "alice", ClientIP: home},
	} {
		if _, wait := h.enter(other); wait != 0 {
			t.Errorf("%+v waits %s", other, wait)
		}
	}
	for _, spelling := range []string{" ALICE", "al  ice", "\u00e1lice", "a\u0301lic\u00ea", "a\u3000lice"} {
		if _, wait := h.enter(guess(spelling, home)); wait <= 0 {
			t.Errorf("%q has guesses of its own", spelling)
		}
	}
	h.clock.Advance(wait)
	if _, wait := h.enter(guess("alice", home)); wait != 0 {
		t.Errorf("after the pause it waits %s", wait)
	}
}

func TestSettledGuesses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		right  bool
		free   int  // guesses that pass afterwards
		patron bool // exempt from the limit over all addresses
	}{
		{"right", true, identity.DefaultPerClient.Free, true},
		{"not judged", false, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(c *identity.Config) { c.LockAfter = 3 })
			var last identity.Entry
			for range identity.DefaultPerClient.Free {
				last, _ = h.enter(guess("alice", home))
			}
			h.settle(last, tt.right)
			passed := 0
			for ; passed < 2*identity.DefaultPerClient.Free; passed++ {
				if _, wait := h.enter(guess("alice", home)); wait > 0 {
					break
				}
				if !tt.right {
					h.clock.Advance(time.Millisecond)
				}
			}
			if tt.right && passed != tt.free || !tt.right && passed > tt.free {
				t.Errorf("%d guesses pass, want %d", passed, tt.free)
			}
		})
	}
}

// Guesses at a name that no directory has are counted too, and share one count: there is nobody to keep out.
func TestGuessesAtNoName(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range identity.DefaultPerClient.Free {
		h.enter(guess("a\x00b", home))
	}
	if _, wait := h.enter(guess("", home)); wait <= 0 {
		t.Error("a name that is none is not counted")
	}
}

func TestGuessesWhileTheStoreIsDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	entry, _ := h.enter(guess("alice", home))
	h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
	if _, err := h.Enter(t.Context(), guess("alice", home)); err == nil {
		t.Error("a guess that could not be counted is let through")
	}
	h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
	if err := h.Settle(t.Context(), entry, true); err == nil {
		t.Error("a guess that could not be settled is settled")
	}
}
