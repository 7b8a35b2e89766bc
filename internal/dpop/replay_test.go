// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
)

// TestReplays: a proof is used once for as long as it lasts.
func TestReplays(t *testing.T) {
	t.Parallel()
	r := dpop.NewReplays(0)
	p := dpop.Proof{ID: "proof", At: start, Until: start.Add(dpop.Past)}
	if err := r.Use(p, "", start); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after < dpop.Past; after += time.Second {
		if err := r.Use(p, "", start.Add(after)); !errors.Is(err, dpop.ErrReplayed) || !errors.Is(err, dpop.ErrProof) {
			t.Errorf("after %s: %v", after, err)
		}
	}
}

// TestReplaysOfEveryAge: whatever lasts how long and comes when, nothing is used twice and what has ended makes room.
func TestReplaysOfEveryAge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, now := dpop.NewReplays(0), start
		used := map[string]dpop.Proof{}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 40).Draw(t, "pause")) * time.Second)
			p := dpop.Proof{ID: fmt.Sprint(i), Until: now.Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "lasts")) * time.Second)}
			if err := r.Use(p, "", now); err != nil {
				t.Fatalf("a new proof: %v", err)
			}
			used[p.ID] = p
			for _, old := range used {
				if now.Before(old.Until) && !errors.Is(r.Use(old, "", now), dpop.ErrReplayed) {
					t.Fatalf("%s is used again at %s", old.ID, now)
				}
			}
		}
	})
}

// TestReplaysAreBounded: what finds no room is refused, and finds it when others have ended.
func TestReplaysAreBounded(t *testing.T) {
	t.Parallel()
	const limit = 1600
	r, now := dpop.NewReplays(limit), start
	fill := func(round string) (taken int) {
		for i := range 10 * limit {
			err := r.Use(dpop.Proof{ID: fmt.Sprintf("%c%s%d", "ABCDEFGHIJKLMNOP"[i%16], round, i), Until: now.Add(dpop.Past)}, fmt.Sprint(i), now)
			if err == nil {
				taken++
			} else if !errors.Is(err, dpop.ErrFull) || errors.Is(err, dpop.ErrProof) {
				t.Fatal(err)
			}
		}
		return taken
	}
	if n := fill("first"); n != limit {
		t.Errorf("%d proofs of at most %d are remembered", n, limit)
	}
	now = now.Add(2*dpop.Past + time.Second)
	_ = fill("second") // turns the generations
	now = now.Add(2*dpop.Past + time.Second)
	if n := fill("third"); n != limit {
		t.Errorf("later %d", n)
	}
}

// TestOneOwnerLeavesRoomForOthers: whoever has a token of theirs, and signs as fast as they can, is refused, and nobody else is.
func TestOneOwnerLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	const limit = 16 * 640
	r, now := dpop.NewReplays(limit), start
	use := func(key string, i int) error {
		id := sha256.Sum256(fmt.Appendf(nil, "%s %d", key, i))
		return r.Use(dpop.Proof{ID: base64.RawURLEncoding.EncodeToString(id[:]), Until: now.Add(dpop.Past)}, key, now)
	}
	taken := 0
	for i := range 2 * limit {
		if err := use("greedy", i); err == nil {
			taken++
		} else if !errors.Is(err, dpop.ErrShare) || errors.Is(err, dpop.ErrProof) || errors.Is(err, dpop.ErrFull) {
			t.Fatal(err)
		}
	}
	if taken != limit*3/4 {
		t.Errorf("one owner has %d of %d", taken, limit)
	}
	for key := range 50 {
		for i := range 32 {
			if err := use(fmt.Sprintf("key %d", key), i); err != nil {
				t.Fatalf("another one is refused: %v", err)
			}
		}
	}
	now = now.Add(dpop.Past - time.Second)
	if err := use("greedy", -1); !errors.Is(err, dpop.ErrShare) {
		t.Errorf("almost a minute later: %v", err)
	}
	now = now.Add(2 * dpop.Past)
	if err := use("greedy", -2); err != nil {
		t.Errorf("when all of it has ended: %v", err)
	}
	slow := newWorld(t).checker.Refusal(dpop.ErrShare, http.StatusUnauthorized)
	if slow.HTTPStatus() != http.StatusTooManyRequests || slow.RetryAfter != dpop.Past {
		t.Errorf("it is told %v", slow)
	}
}

// TestNobodyChoosesAShard: proofs whose names are picked by a rule are spread as all others are.
func TestNobodyChoosesAShard(t *testing.T) {
	t.Parallel()
	const limit = 1600
	r, taken := dpop.NewReplays(limit), 0
	for i := 0; taken < limit/2 && i < 100*limit; i++ {
		id := fmt.Sprintf("%08d", i)
		sum := 0
		for _, c := range id {
			sum += int(c)
		}
		if sum%16 == 0 && r.Use(dpop.Proof{ID: id, Until: start.Add(dpop.Past)}, id, start) == nil {
			taken++
		}
	}
	if taken < limit/2 {
		t.Errorf("%d of %d find room", taken, limit)
	}
}

// TestReplaysInARace: of a hundred who use one proof at once, one does.
func TestReplaysInARace(t *testing.T) {
	t.Parallel()
	r := dpop.NewReplays(0)
	for i := range 100 {
		var wins atomic.Int32
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				if r.Use(dpop.Proof{ID: fmt.Sprint(i), Until: start.Add(dpop.Past)}, "", start) == nil {
					wins.Add(1)
				}
			})
		}
		group.Wait()
		if n := wins.Load(); n != 1 {
			t.Fatalf("%d used one proof", n)
		}
	}
}

// BenchmarkCheck is a whole proof by a key that was seen before; BenchmarkVerify of package jose is its floor.
func BenchmarkCheck(b *testing.B) {
	w := newWorld(b)
	w.r.Proofs = []string{w.proof()}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.check(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUse is a memory that is as full as it is in service at 5,000 requests a second.
func BenchmarkUse(b *testing.B) {
	r, now := dpop.NewReplays(0), start
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(200 * time.Microsecond)
		if err := r.Use(dpop.Proof{ID: fmt.Sprintf("%c%d", "ABCDEFGHIJKLMNOP"[i%16], i), Until: now.Add(dpop.Past)}, "", now); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNonce makes one and knows it again.
func BenchmarkNonce(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		nonce, _ := w.nonces.New(start)
		if _, err := w.nonces.Made(nonce, start); err != nil {
			b.Fatal("a nonce of our own is not known")
		}
	}
}
