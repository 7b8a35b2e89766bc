// SPDX-License-Identifier: Apache-2.0

package keyset_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/storage"
)

const day = 24 * time.Hour

// issued is a token that somebody may still present.
type issued struct {
	at  time.Time
	raw string
}

// A year of two nodes that tick at different times, of tokens that live a day, and of verifiers that hold key sets of
// different ages: nothing that is valid is ever refused.
func TestAYearWithoutARefusedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*keyset.Ring{w.node(t, jose.ES256), w.node(t, jose.ES256)}
	verifiers := []*verifier{{age: 0}, {age: 30 * time.Minute}, {age: time.Hour}}
	var tokens []issued
	signed := make(map[string]string) // a token by key
	end := w.clock.Now().Add(365 * day)
	for minute := 0; w.clock.Now().Before(end); minute += 30 {
		now := w.clock.Advance(30 * time.Minute)
		node := nodes[minute/30%2]
		if minute%150 == 0 { // the nodes take turns
			mustTick(t, node)
		}
		for _, v := range verifiers {
			v.see(t, now, node.JWKS())
		}
		k := signer(t, node)
		if signed[k.KID] == "" {
			signed[k.KID] = mustSign(t, k)
		}
		tokens = append(tokens, issued{at: now, raw: signed[k.KID]})
		if now.Sub(tokens[0].at) > keyset.DefaultLongestToken {
			tokens = tokens[1:]
		}
		// The youngest needs the newest key, the oldest needs the one that may be removed first.
		for _, token := range []issued{tokens[0], tokens[len(tokens)-1]} {
			for _, v := range verifiers {
				if err := v.verify(now, token.raw); err != nil {
					t.Fatalf("%s: a verifier with a key set of %s refuses a token of %s: %v", now, v.age, now.Sub(token.at), err)
				}
			}
		}
	}
	if got := len(signed); got != 13 { // twelve rotations of 30 days in 365
		t.Errorf("%d keys signed in a year, want 13", got)
	}
	if got := states(nodes[0], jose.ES256); got[0] != 1 || got[1] != 1 || got[2] > 1 {
		t.Errorf("next/active/retired = %v after a year", got)
	}
}

// The test above would pass with keys that are never retired or used at once, were it not for what it counts. This one
// shows that its verifier does refuse: with a key that was promoted by force, an hour-old key set fails.
func TestForcedRotationFailsAnHourOldKeySet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	v := verifier{age: time.Hour}
	v.see(t, w.clock.Now(), r.JWKS())
	w.clock.Advance(2 * time.Hour)
	mustRotate(t, r, true) // the next key is known
	v.see(t, w.clock.Now(), r.JWKS())
	if err := v.verify(w.clock.Now(), mustSign(t, signer(t, r))); err != nil {
		t.Errorf("token of a key that was published for two hours: %v", err)
	}
	mustRotate(t, r, true) // this one is not
	v.see(t, w.clock.Now(), r.JWKS())
	raw := mustSign(t, signer(t, r))
	if err := v.verify(w.clock.Now(), raw); !errors.Is(err, keyset.ErrNoKey) {
		t.Errorf("token of a key that was never published: %v, want ErrNoKey", err)
	}
	if err := v.verify(w.clock.Advance(time.Hour), raw); err != nil {
		t.Errorf("the same token an hour later: %v", err)
	}
}

func TestScheduleToTheMillisecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	first, second := kid(t, r, jose.ES256, keyset.Active), kid(t, r, jose.ES256, keyset.Next)
	start := w.clock.Now()
	rotated := start.Add(keyset.DefaultRotateEvery)
	removed := rotated.Add(keyset.DefaultLongestToken + keyset.DefaultRetain)
	steps := []struct {
		name string
		at   time.Time
		want [3]int
	}{
		{"just before the rotation", rotated.Add(-time.Millisecond), [3]int{1, 1, 0}},
		{"rotation", rotated, [3]int{1, 1, 1}},
		{"just before the removal", removed.Add(-time.Millisecond), [3]int{1, 1, 1}},
		{"removal", removed, [3]int{1, 1, 0}},
	}
	for _, step := range steps {
		w.clock.Set(step.at)
		mustTick(t, r)
		if got := states(r, jose.ES256); got != step.want {
			t.Errorf("%s: next/active/retired = %v, want %v", step.name, got, step.want)
		}
	}
	if got := signer(t, r).KID; got != second {
		t.Errorf("signs with %q after the rotation, want the key that was next, %q", got, second)
	}
	if _, ok := r.Key(t.Context(), first); ok {
		t.Error("the removed key is still published")
	}
}

func TestListTellsTheLifeOfAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	start := w.clock.Now()
	w.clock.Advance(2 * time.Hour)
	mustRotate(t, r, false)
	var lives []keyset.Info
	for _, info := range r.List() {
		info.KID = ""
		lives = append(lives, info)
	}
	rotated := start.Add(2 * time.Hour)
	want := []keyset.Info{
		{Alg: jose.ES256, State: keyset.Active, CreatedAt: start, ActivatedAt: rotated},
		{Alg: jose.ES256, State: keyset.Next, CreatedAt: rotated},
		{Alg: jose.ES256, State: keyset.Retired, CreatedAt: start, ActivatedAt: start, RetiredAt: rotated},
	}
	if diff := cmp.Diff(want, lives); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
}

// Nothing happened for a quarter of a year. The key that was next has been published all the time.
func TestTickAfterALongDowntime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	old, next := signer(t, r).KID, kid(t, r, jose.ES256, keyset.Next)
	w.clock.Advance(91 * day)
	r = w.node(t, jose.ES256)
	if signer(t, r).KID != old {
		t.Error("Load rotates")
	}
	mustTick(t, r)
	if signer(t, r).KID != next {
		t.Error("another key than the next one signs")
	}
	if _, ok := r.Key(t.Context(), old); !ok {
		t.Error("the old key was not retained")
	}
	mustTick(t, r)
	if got := states(r, jose.ES256); got != [3]int{1, 1, 1} {
		t.Errorf("next/active/retired = %v, want one rotation", got)
	}
}

// A clock that is set back makes nothing happen, and nothing undone.
func TestClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	w.clock.Advance(31 * day)
	mustTick(t, r)
	before := string(r.JWKS())
	w.clock.Advance(-400 * day)
	mustTick(t, r)
	if string(r.JWKS()) != before {
		t.Error("the key set changed")
	}
	if err := r.Rotate(t.Context(), false); !errors.Is(err, keyset.ErrTooEarly) {
		t.Errorf("Rotate = %v, want ErrTooEarly", err)
	}
}

// A rotation was forced shortly before the scheduled one: the next key still gets its lead.
func TestScheduleWaitsForTheLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(jose.ES256)
	c.RotateEvery, c.Lead, c.LongestToken = 2*day, 2*day, time.Hour
	r := open(t, c)
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The next key is revoked, so its successor is younger than the key that signs.
	w.clock.Advance(day)
	if err := r.Revoke(t.Context(), kid(t, r, jose.ES256, keyset.Next)); err != nil {
		t.Fatal(err)
	}
	before := signer(t, r).KID
	w.clock.Advance(2*day - time.Millisecond)
	mustTick(t, r)
	if signer(t, r).KID != before {
		t.Error("a key signs before its lead is over")
	}
	w.clock.Advance(time.Millisecond)
	mustTick(t, r)
	if signer(t, r).KID == before {
		t.Error("the lead is over and the old key still signs")
	}
}

func TestRotateByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256, jose.EdDSA)
	w.clock.Advance(time.Hour - time.Millisecond)
	before := string(r.JWKS())
	if err := r.Rotate(t.Context(), false); !errors.Is(err, keyset.ErrTooEarly) {
		t.Fatalf("Rotate after just under an hour = %v, want ErrTooEarly", err)
	}
	if string(r.JWKS()) != before {
		t.Error("a refused rotation changed the key set")
	}
	w.clock.Advance(time.Millisecond)
	for _, alg := range r.Algorithms() {
		next := kid(t, r, alg, keyset.Next)
		defer func() {
			if got := kid(t, r, alg, keyset.Active); got != next {
				t.Errorf("%s signs with %q, want %q", alg, got, next)
			}
		}()
	}
	mustRotate(t, r, false)
	for _, alg := range r.Algorithms() {
		if got := states(r, alg); got != [3]int{1, 1, 1} {
			t.Errorf("%s: next/active/retired = %v", alg, got)
		}
	}
	if err := r.Rotate(t.Context(), false); !errors.Is(err, keyset.ErrTooEarly) {
		t.Errorf("second Rotate = %v, want ErrTooEarly", err)
	}
}

func TestForcedRotation(t *testing.T) {
	t.Parallel()
	r := newWorld(t).node(t, jose.ES256)
	next := kid(t, r, jose.ES256, keyset.Next)
	mustRotate(t, r, true)
	if got := signer(t, r).KID; got != next {
		t.Errorf("signs with %q, want %q", got, next)
	}
}

func TestRotationOfAnEmptyRingCreatesIt(t *testing.T) {
	t.Parallel()
	r := open(t, newWorld(t).config(jose.ES256))
	mustRotate(t, r, false)
	if got := states(r, jose.ES256); got != [3]int{1, 1, 0} {
		t.Errorf("next/active/retired = %v", got)
	}
}

// Verifiers refuse key sets above a size, so even a forced rotation ends somewhere.
func TestRotationsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = r.Rotate(t.Context(), true)
	}
	if !errors.Is(err, keyset.ErrTooMany) || n > 40 {
		t.Fatalf("after %d rotations: %v, want ErrTooMany", n, err)
	}
	if keys, err := jose.ParseSet(r.JWKS()); err != nil || len(keys) != 32 {
		t.Errorf("%d keys are published, %v, want 32", len(keys), err)
	}
	w.clock.Advance(keyset.DefaultLongestToken + keyset.DefaultRetain)
	mustRotate(t, r, false)
	if got := states(r, jose.ES256); got != [3]int{1, 1, 1} {
		t.Errorf("next/active/retired = %v once the retired keys were over", got)
	}
}

func TestRetiredKeysLoseTheirSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	mustRotate(t, r, true)
	gone := kid(t, r, jose.ES256, keyset.Retired)
	for _, k := range rawRing(t, w).Keys {
		if (k.Private == nil) != (k.KID == gone) {
			t.Errorf("%s key has a secret: %t", k.State, k.Private != nil)
		}
	}
}

// record is what of the stored ring the tests look at.
type record struct {
	Keys []struct {
		KID     string         `json:"kid"`
		State   keyset.State   `json:"state"`
		Private map[string]any `json:"private"`
	} `json:"keys"`
}

// rawRing reads the record past the ring.
func rawRing(t *testing.T, w *world) (ring record) {
	t.Helper()
	table := storage.Table[record]{Name: "keyset", Version: 1, Sealer: w.sealer, ID: func(*record) string { return "ring" }}
	err := w.db.View(t.Context(), func(tx storage.Tx) (err error) {
		ring, err = table.Get(tx, "ring")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		state keyset.State
		want  [3]int
	}{
		{"the active key is replaced by the next", keyset.Active, [3]int{1, 1, 1}},
		{"the next key is replaced by a fresh one", keyset.Next, [3]int{1, 1, 1}},
		{"a retired key goes", keyset.Retired, [3]int{1, 1, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.node(t, jose.ES256)
			mustRotate(t, r, true)
			gone, next := kid(t, r, jose.ES256, tt.state), kid(t, r, jose.ES256, keyset.Next)
			if err := r.Revoke(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
			if _, ok := r.Key(t.Context(), gone); ok {
				t.Error("the revoked key is still published")
			}
			if signer(t, r).KID == gone {
				t.Error("the revoked key still signs")
			}
			if tt.state == keyset.Active && signer(t, r).KID != next {
				t.Error("the next key does not sign, although verifiers know no other")
			}
			if got := states(r, jose.ES256); got != tt.want {
				t.Errorf("next/active/retired = %v, want %v", got, tt.want)
			}
			if err := r.Revoke(t.Context(), gone); !errors.Is(err, keyset.ErrNoKey) {
				t.Errorf("second Revoke = %v, want ErrNoKey", err)
			}
			other := w.node(t, jose.ES256)
			if _, ok := other.Key(t.Context(), gone); ok {
				t.Error("another node publishes the revoked key")
			}
		})
	}
}

// TestWatch: what one node changes is told to the others, and is there when they look.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here, there := w.node(t, jose.ES256), w.node(t, jose.ES256)
	told := here.Watch()
	defer told.Stop()
	mustTick(t, there)
	if len(told.C()) != 0 {
		t.Error("it is told though nothing was changed")
	}
	gone := kid(t, there, jose.ES256, keyset.Active)
	if err := there.Revoke(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	<-told.C()
	mustTick(t, here)
	if _, ok := here.Key(t.Context(), gone); ok {
		t.Error("a key that another node has revoked is still published")
	}
}

func TestRevokeOfEveryKeyLeavesARingThatSigns(t *testing.T) {
	t.Parallel()
	r := newWorld(t).node(t, jose.ES256)
	for range 3 {
		for _, info := range r.List() {
			if err := r.Revoke(t.Context(), info.KID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := states(r, jose.ES256); got != [3]int{1, 1, 0} {
		t.Errorf("next/active/retired = %v", got)
	}
	signer(t, r)
}

// An algorithm that joins a ring in use is new to every verifier, so it is published before it signs.
func TestAlgorithmThatJoins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node(t, jose.ES256)
	r := w.node(t, jose.EdDSA, jose.ES256)
	mustTick(t, r)
	if k := signer(t, r); k.Alg != jose.ES256 {
		t.Errorf("Signer has %s before the new default was published for an hour", k.Alg)
	}
	if diff := cmp.Diff([]jose.Algorithm{jose.ES256}, r.Algorithms()); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
	kid(t, r, jose.EdDSA, keyset.Next)
	w.clock.Advance(time.Hour)
	mustTick(t, r)
	if k := signer(t, r); k.Alg != jose.EdDSA {
		t.Errorf("Signer has %s an hour later, want the new default", k.Alg)
	}
	if diff := cmp.Diff([]jose.Algorithm{jose.EdDSA, jose.ES256}, r.Algorithms()); diff != "" {
		t.Errorf("Algorithms (-want +got):\n%s", diff)
	}
}

// All that was configured is replaced. What signed before goes on until the new can, then fades.
func TestAlgorithmThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.node(t, jose.EdDSA)
	w.clock.Advance(40 * day) // its rotation is overdue
	r := w.node(t, jose.ES256)
	mustTick(t, r)
	if k := signer(t, r); k.Alg != jose.EdDSA {
		t.Fatalf("Signer has %s, want the old algorithm to stand in", k.Alg)
	}
	w.clock.Advance(time.Hour)
	mustTick(t, r)
	if k := signer(t, r); k.Alg != jose.ES256 {
		t.Fatalf("Signer has %s an hour later", k.Alg)
	}
	if _, ok := r.Key(t.Context(), signer(t, before).KID); !ok {
		t.Error("the key that signed until now is gone")
	}
	if got := states(r, jose.EdDSA); got != [3]int{0, 0, 1} {
		t.Errorf("EdDSA next/active/retired = %v", got)
	}
	w.clock.Advance(keyset.DefaultLongestToken + keyset.DefaultRetain)
	mustTick(t, r)
	if got := states(r, jose.EdDSA); got != [3]int{} {
		t.Errorf("EdDSA next/active/retired = %v at the end", got)
	}
}

// While nodes are reconfigured one by one, those with the old and those with the new configuration must not take turns in
// making and dropping keys.
func TestNodesWithDifferentAlgorithmsDoNotFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, fresh := w.node(t, jose.ES256), w.node(t, jose.ES256, jose.EdDSA)
	mustTick(t, fresh)
	for _, when := range []string{"while the new algorithm settles", "when it signs"} {
		set := string(fresh.JWKS())
		for range 5 {
			mustTick(t, old)
			mustTick(t, fresh)
			if got := string(fresh.JWKS()); got != set {
				t.Fatalf("%s, the key set changed from\n%s\nto\n%s", when, set, got)
			}
		}
		w.clock.Advance(time.Hour)
		mustTick(t, fresh)
	}
	if got := states(old, jose.EdDSA); got != [3]int{1, 1, 0} {
		t.Errorf("EdDSA next/active/retired = %v, want it to sign", got)
	}
}

// A leak of one key is no reason to change others.
func TestRevokeLeavesOtherAlgorithmsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node(t, jose.ES256)
	r := w.node(t, jose.ES256, jose.EdDSA)
	mustTick(t, r) // EdDSA is settling
	if err := r.Revoke(t.Context(), kid(t, r, jose.EdDSA, keyset.Next)); err != nil {
		t.Fatal(err)
	}
	if got := states(r, jose.EdDSA); got != [3]int{1, 0, 0} {
		t.Errorf("EdDSA next/active/retired = %v, want a fresh next key that waits", got)
	}
	w.clock.Advance(time.Hour)
	mustTick(t, r)
	before := kid(t, r, jose.EdDSA, keyset.Active)
	if err := r.Revoke(t.Context(), signer(t, r).KID); err != nil {
		t.Fatal(err)
	}
	if got := kid(t, r, jose.EdDSA, keyset.Active); got != before {
		t.Errorf("EdDSA signs with %q after an ES256 key was revoked, want %q", got, before)
	}
}

// The only key that signs stands in for an algorithm that is still settling, and leaks.
func TestRevokeOfAStandInKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gone := signer(t, w.node(t, jose.EdDSA)).KID
	r := w.node(t, jose.ES256)
	mustTick(t, r)
	if err := r.Revoke(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if k := signer(t, r); k.Alg != jose.ES256 {
		t.Errorf("signs with %v", k)
	}
}

// Nodes that start at the same time over an empty store, and then tick and rotate at the same time, hold the same keys.
func TestRacingNodesAgree(t *testing.T) {
	t.Parallel()
	calls := []struct {
		name string
		call func(t *testing.T, r *keyset.Ring) error
	}{
		{"load", func(t *testing.T, r *keyset.Ring) error { return r.Load(t.Context()) }},
		{"tick", func(t *testing.T, r *keyset.Ring) error { return r.Tick(t.Context()) }},
		{"load and tick", func(t *testing.T, r *keyset.Ring) error {
			return errors.Join(r.Load(t.Context()), r.Tick(t.Context()))
		}},
	}
	for _, tt := range calls {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			nodes := make([]*keyset.Ring, 8)
			for i := range nodes {
				nodes[i] = open(t, w.config(jose.ES256, jose.EdDSA))
			}
			for round := range 4 {
				together(t, nodes, tt.call)
				agree(t, nodes, fmt.Sprintf("round %d", round))
				w.clock.Advance(31 * day) // a rotation is due in the next round
			}
			want := [3]int{1, 1, 0}
			if tt.name != "load" {
				want = [3]int{1, 1, 1}
			}
			if got := states(nodes[0], jose.ES256); got != want {
				t.Errorf("next/active/retired = %v, want %v: a rotation happened twice or not at all", got, want)
			}
		})
	}
}

// together runs call on all nodes at once.
func together(t *testing.T, nodes []*keyset.Ring, call func(*testing.T, *keyset.Ring) error) {
	t.Helper()
	start := make(chan struct{})
	var wg sync.WaitGroup
	for _, r := range nodes {
		wg.Go(func() {
			<-start
			if err := call(t, r); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
}

func agree(t *testing.T, nodes []*keyset.Ring, when string) {
	t.Helper()
	for i, r := range nodes {
		if string(r.JWKS()) != string(nodes[0].JWKS()) || signer(t, r).KID != signer(t, nodes[0]).KID {
			t.Fatalf("%s: node %d holds %v, node 0 %v", when, i, r.List(), nodes[0].List())
		}
	}
}

// Two operators type the command at the same time: one rotation.
func TestRacingRotationsAreOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*keyset.Ring{w.node(t, jose.ES256), w.node(t, jose.ES256), w.node(t, jose.ES256)}
	next := kid(t, nodes[0], jose.ES256, keyset.Next)
	w.clock.Advance(2 * time.Hour)
	var mu sync.Mutex
	done := 0
	together(t, nodes, func(t *testing.T, r *keyset.Ring) error {
		err := r.Rotate(t.Context(), false)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			done++
		} else if !errors.Is(err, keyset.ErrTooEarly) {
			return err
		}
		return nil
	})
	for _, r := range nodes {
		mustTick(t, r)
	}
	agree(t, nodes, "after the race")
	if done != 1 || signer(t, nodes[0]).KID != next {
		t.Errorf("%d rotations, signs with %q, want one to %q", done, signer(t, nodes[0]).KID, next)
	}
}

// Readers run against writers without a lock; the race detector watches, and no reader sees half a change.
func TestReadersSeeWholeChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.node(t, jose.ES256)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				k, err := r.Signer()
				if err != nil || len(r.JWKS()) == 0 || len(r.Algorithms()) != 1 {
					t.Errorf("half a ring: %v", err)
					return
				}
				if _, ok := r.Key(t.Context(), k.KID); !ok {
					t.Errorf("key %q signs and is not published", k.KID)
					return
				}
			}
		})
	}
	for range 8 {
		mustRotate(t, r, true)
	}
	close(stop)
	readers.Wait()
}

func TestChangesAreLoggedWithoutSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config(jose.ES256)
	var log logBuffer
	c.Logger = log.logger()
	r := open(t, c)
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := signer(t, r)
	mustTick(t, r)
	mustRotate(t, r, true)
	lines := log.lines()
	if len(lines) != 2 {
		t.Fatalf("%d lines, want one for the creation and one for the rotation:\n%q", len(lines), lines)
	}
	log.mustNotHave(t, first)
	for i, want := range []string{"active ES256 " + first.KID, "retired ES256 " + first.KID} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d does not say %q: %s", i, want, lines[i])
		}
	}
}

// A node that only reads what another changed does not claim the change.
func TestReadingIsNotLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.node(t, jose.ES256)
	c := w.config(jose.ES256)
	var log logBuffer
	c.Logger = log.logger()
	r := open(t, c)
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines := log.lines(); len(lines) != 0 {
		t.Errorf("logged %q", lines)
	}
}

func BenchmarkSignerAndKey(b *testing.B) {
	w := newWorld(b)
	r := w.node(b, jose.ES256)
	b.ReportAllocs()
	for b.Loop() {
		k, err := r.Signer()
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := r.Key(b.Context(), k.KID); !ok {
			b.Fatal("not published")
		}
	}
}

func BenchmarkTickIdle(b *testing.B) {
	w := newWorld(b)
	r := w.node(b, jose.ES256, jose.RS256)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Tick(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
