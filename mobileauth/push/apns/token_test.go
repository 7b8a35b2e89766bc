// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	fake "github.com/gatehouse-id/gatehouse/tests/services/apns"
)

// tokens returns how many different tokens were sent, and the last of them.
func (w *world) tokens() (int, string) {
	seen, last := map[string]bool{}, ""
	for _, r := range w.Requests() {
		last = r.Fields["authorization"]
		seen[last] = true
	}
	return len(seen), last
}

func (w *world) forward(by time.Duration) {
	w.ours.forward(by)
	w.theirs.forward(by)
}

func TestATokenIsUsedForFiftyMinutes(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for i, tt := range []struct {
		later time.Duration
		want  int
	}{{0, 1}, {49*time.Minute + 59*time.Second, 1}, {time.Second, 2}, {49 * time.Minute, 2}, {time.Minute, 3}} {
		w.forward(tt.later)
		want(t, w.send(t), "", "", 0)
		if n, _ := w.tokens(); n != tt.want {
			t.Errorf("step %d: %d tokens were made, want %d", i, n, tt.want)
		}
	}
	if n := w.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestATokenThatIsTooOldIsMadeAnewOnce(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	// Their clock runs ahead: our token is 25 minutes old here and 61 there.
	w.ours.forward(25 * time.Minute)
	w.theirs.forward(61 * time.Minute)
	want(t, w.send(t), "", "", 0)
	if n, _ := w.tokens(); n != 2 || w.Stats().Requests != 3 {
		t.Errorf("%d tokens in %d requests, want 2 in 3", n, w.Stats().Requests)
	}
}

func TestAClockThatIsWrongIsNoReasonForMoreTokens(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.theirs.forward(2 * time.Hour)
	for range 5 {
		want(t, w.send(t), push.Config, "ExpiredProviderToken", 403)
	}
	if n, _ := w.tokens(); n != 1 || w.Stats().Requests != 5 {
		t.Errorf("%d tokens in %d requests, want 1 in 5", n, w.Stats().Requests)
	}
}

func TestAClockThatIsSetBackMakesATokenOfItsTime(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.ours.forward(3 * time.Hour)
	want(t, w.send(t), push.Config, "InvalidProviderToken", 403) // of the future
	w.ours.forward(-3 * time.Hour)
	want(t, w.send(t), "", "", 0)
}

func TestTooManyTokensHoldBackTheNextOne(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	_, first := w.tokens()
	w.forward(50 * time.Minute)
	w.Script.Add(fake.Step{Status: 429, Reason: "TooManyProviderTokenUpdates"})
	f := want(t, w.send(t), push.Overloaded, "TooManyProviderTokenUpdates", 429)
	if _, second := w.tokens(); second == first || f.RetryAfter != time.Minute {
		t.Errorf("the second token was not made, or the pause is %v", f.RetryAfter)
	}
	// The earlier one is good for some minutes more, on another connection.
	w.forward(time.Minute)
	want(t, w.send(t), "", "", 0)
	if _, used := w.tokens(); used != first || w.Stats().Connections != 2 {
		t.Errorf("another token was used, or another number of connections than 2: %d", w.Stats().Connections)
	}
	// After that nothing is sent until one may be made.
	w.forward(10 * time.Minute)
	before := w.Stats().Requests
	want(t, w.send(t), push.Overloaded, "TooManyProviderTokenUpdates", 0)
	if w.Stats().Requests != before {
		t.Error("something was sent without a token")
	}
	w.forward(10 * time.Minute)
	want(t, w.send(t), "", "", 0)
	if n, _ := w.tokens(); n != 3 {
		t.Errorf("%d tokens were made, want 3", n)
	}
}

// Another server of ours may have sent its token over a connection that ended up with the same machine of Apple's.
func TestATokenThatIsRefusedAsTooNewIsKept(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	w.Script.Add(fake.Step{Status: 429, Reason: "TooManyProviderTokenUpdates"})
	want(t, w.send(t), push.Overloaded, "TooManyProviderTokenUpdates", 429)
	want(t, w.send(t), "", "", 0)
	if n, _ := w.tokens(); n != 1 || w.Stats().Connections != 2 {
		t.Errorf("%d tokens over %d connections, want 1 over 2", n, w.Stats().Connections)
	}
}

func TestACrowdSharesOneToken(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	for range 2 {
		var group sync.WaitGroup
		for range 40 {
			group.Go(func() {
				if err := w.sender.Send(t.Context(), w.message()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		w.ours.forward(25 * time.Minute)
		w.theirs.forward(61 * time.Minute) // the second crowd is told that its token is too old, all at once
	}
	if n, _ := w.tokens(); n != 2 {
		t.Errorf("%d tokens were made, want 2", n)
	}
	if got := w.Stats(); got.Connections != 1 || got.Surplus != 0 {
		t.Errorf("stats = %+v, want one connection and no surplus stream", got)
	}
}

func TestARevokedKey(t *testing.T) {
	t.Parallel()
	w := build(t, nil)
	want(t, w.send(t), "", "", 0)
	w.Revoke(keyID)
	want(t, w.send(t), push.Config, "InvalidProviderToken", 403)
}
