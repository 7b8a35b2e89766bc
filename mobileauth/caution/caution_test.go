// SPDX-License-Identifier: Apache-2.0

package caution_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

type bench struct {
	t     *testing.T
	db    storage.DB
	clock *storagetest.Clock
	store *caution.Store
}

func newBench(t *testing.T) *bench {
	t.Helper()
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	store, err := caution.New(db, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, db, clock, store}
}

func (b *bench) change(what operation.What, o operation.Operation) error {
	return b.db.Update(b.t.Context(), func(tx storage.Tx) error {
		return b.store.OnChange(tx, operation.Change{What: what, Operation: o})
	})
}

// begin returns how long an operation has to wait; zero when it has begun.
func (b *bench) begin(o operation.Operation) time.Duration {
	b.t.Helper()
	said, err := b.store.Wait(b.t.Context(), o.ClientID, o.UserID, o.From)
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.change(operation.Started, o)
	var slowed *caution.SlowedError
	switch {
	case err == nil && said <= 0:
		return 0
	case !errors.As(err, &slowed) || !errors.Is(err, operation.ErrTooManyOpen):
		b.t.Fatalf("a start that is to wait %v: %v", said, err)
	case slowed.Wait != said:
		b.t.Fatalf("a start waits %v, and it is said that %v", slowed.Wait, said)
	}
	return slowed.Wait
}

func (b *bench) notMe(o operation.Operation) {
	b.t.Helper()
	if err := b.change(operation.NotMe, o); err != nil {
		b.t.Fatal(err)
	}
}

func question(client, user, from string) operation.Operation {
	return operation.Operation{Kind: operation.Authentication, ClientID: client, UserID: user, From: from}
}

// TestWhoIsSlowed by one "not me" of alice about what the portal began at an address.
func TestWhoIsSlowed(t *testing.T) {
	t.Parallel()
	asked := question("portal", "alice", "192.0.2.1")
	cases := []struct {
		name string
		next operation.Operation
		want time.Duration
	}{
		{"the same again", asked, caution.Pace},
		{"the address, for somebody else by another client", question("shop", "bob", "192.0.2.1"), caution.Pace},
		{"the address, where whoever scans is asked", question("shop", "", "192.0.2.1"), caution.Pace},
		{"the client, for her from elsewhere", question("portal", "alice", "198.51.100.7"), caution.Pace},
		{"the client, for her from nobody knows where", question("portal", "alice", ""), caution.Pace},
		{"the client, for others from elsewhere", question("portal", "bob", "198.51.100.7"), 0},
		{"another client, for her from elsewhere", question("shop", "alice", "198.51.100.7"), 0},
		{"a realm of ours that asks her from elsewhere", question("", "alice", "198.51.100.7"), 0},
		{"a neighbour's address", question("shop", "bob", "192.0.2.2"), 0},
		{"a realm of ours, from that address", question("", "bob", "192.0.2.1"), caution.Pace},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if wait := b.begin(asked); wait != 0 {
				t.Fatalf("before anybody said anything it waits %v", wait)
			}
			b.notMe(asked)
			if wait := b.begin(c.next); wait != c.want {
				t.Errorf("it waits %v, want %v", wait, c.want)
			}
		})
	}
}

// TestANetworkIsOneAddress where one party has all of it.
func TestANetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.notMe(question("portal", "alice", "2001:db8:1:2::1"))
	if wait := b.begin(question("shop", "bob", "2001:db8:1:2:ffff::9")); wait != caution.Pace {
		t.Errorf("the next address of the network waits %v", wait)
	}
	if wait := b.begin(question("shop", "bob", "2001:db8:1:3::1")); wait != 0 {
		t.Errorf("another network waits %v", wait)
	}
}

// TestThePaceDoubles with each "not me", to its end, and holds every start and not only the first.
func TestThePaceDoubles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := question("portal", "alice", "192.0.2.1")
	for _, pace := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
		b.notMe(asked)
		for range 2 {
			if wait := b.begin(asked); wait != pace {
				t.Fatalf("it waits %v, want %v", wait, pace)
			}
			b.clock.Advance(pace - time.Millisecond)
			if wait := b.begin(asked); wait != time.Millisecond {
				t.Fatalf("a moment before, it waits %v", wait)
			}
			b.clock.Advance(time.Millisecond)
			if wait := b.begin(asked); wait != 0 {
				t.Fatalf("when it may begin it waits %v", wait)
			}
		}
	}
}

// TestItIsForgotten an hour after the last "not me".
func TestItIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := question("portal", "alice", "192.0.2.1")
	for range 10 {
		b.notMe(asked)
	}
	b.clock.Advance(caution.Memory - time.Minute)
	if wait := b.begin(asked); wait != 0 {
		t.Fatalf("long after, the first waits %v", wait)
	}
	if wait := b.begin(asked); wait != caution.MostPace {
		t.Fatalf("long after, the second waits %v", wait)
	}
	b.clock.Advance(time.Minute)
	for range 3 {
		if wait := b.begin(asked); wait != 0 {
			t.Fatalf("after an hour it waits %v", wait)
		}
	}
	b.notMe(asked)
	if wait := b.begin(asked); wait != caution.Pace {
		t.Errorf("after an hour it begins anew with %v", wait)
	}
}

// TestACrowdSlowsAClient for everybody; one person does not, however often they say it.
func TestACrowdSlowsAClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	elsewhere := question("portal", "zoe", "198.51.100.7")
	for range 50 {
		b.notMe(question("portal", "mallory", ""))
	}
	if wait := b.begin(elsewhere); wait != 0 {
		t.Fatalf("one person slows a client for others by %v", wait)
	}
	for i := range caution.Crowd - 1 {
		if wait := b.begin(elsewhere); wait != 0 {
			t.Fatalf("%d people slow it by %v", i+1, wait)
		}
		b.notMe(question("portal", fmt.Sprint("user", i), fmt.Sprint("192.0.2.", i)))
	}
	if wait := b.begin(elsewhere); wait != caution.ClientPace {
		t.Fatalf("%d people slow it by %v", caution.Crowd, wait)
	}
	for i := range 200 {
		b.notMe(question("portal", fmt.Sprint("more", i), ""))
	}
	if wait := b.begin(elsewhere); wait != caution.MostClientPace {
		t.Errorf("a crowd slows it by %v", wait)
	}
	if wait := b.begin(question("shop", "zoe", "198.51.100.7")); wait != 0 {
		t.Errorf("another client is slowed by %v", wait)
	}
}

// TestOwnRequestsAreNoCrowd: people who say it about what their own requests began slow themselves, and a client that is slowed for
// everybody still passes on what people ask for themselves.
func TestOwnRequestsAreNoCrowd(t *testing.T) {
	t.Parallel()
	own := func(client, user, from string) operation.Operation {
		o := question(client, user, from)
		o.Kind, o.OwnRequest = operation.Authorisation, true
		return o
	}
	b := newBench(t)
	start := func(o operation.Operation, want time.Duration, who string) {
		t.Helper()
		var wait time.Duration
		var slowed *caution.SlowedError
		if err := b.change(operation.Started, o); errors.As(err, &slowed) {
			wait = slowed.Wait
		} else if err != nil {
			t.Fatal(err)
		}
		if wait != want {
			t.Errorf("%s waits %v, want %v", who, wait, want)
		}
	}
	for i := range 10 * caution.Crowd {
		b.notMe(own("portal", fmt.Sprint("user", i), fmt.Sprint("192.0.2.", i)))
	}
	start(own("portal", "zoe", "198.51.100.7"), 0, "somebody else")
	start(own("portal", "zoe", "198.51.100.7"), 0, "somebody else once more")
	start(question("portal", "zoe", "198.51.100.7"), 0, "what the client begins")
	start(own("portal", "user1", "198.51.100.7"), caution.Pace, "who has said it, from elsewhere")
	start(own("portal", "zoe", "192.0.2.1"), caution.Pace, "somebody else at such an address")
	for i := range caution.Crowd {
		b.notMe(question("portal", fmt.Sprint("asked", i), ""))
	}
	start(question("portal", "zoe", "198.51.100.7"), caution.ClientPace, "what the client begins, after a crowd")
	start(own("portal", "zoe", "198.51.100.7"), 0, "who asks for themselves, after a crowd")
	start(own("portal", "asked1", "198.51.100.7"), caution.Pace, "who has said it of the client and asks for themselves")
}

// TestOtherChanges mark nobody and wait for nothing.
func TestOtherChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := question("portal", "alice", "192.0.2.1")
	registration := asked
	registration.Kind = operation.Registration
	b.notMe(registration)
	for _, what := range []operation.What{operation.Ended, operation.Fetched, operation.WasUsed, operation.Resent} {
		if err := b.change(what, asked); err != nil {
			t.Error(err)
		}
	}
	if wait := b.begin(asked); wait != 0 {
		t.Errorf("it waits %v", wait)
	}
	b.notMe(asked)
	if wait := b.begin(question("", "", "")); wait != 0 {
		t.Errorf("what nobody began waits %v", wait)
	}
	if err := b.change(operation.Started, registration); err != nil {
		t.Errorf("a registration waits: %v", err)
	}
}

// TestOneOfManyBegins where many try at once.
func TestOneOfManyBegins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asked := question("portal", "alice", "192.0.2.1")
	b.notMe(asked)
	b.clock.Advance(caution.Pace)
	var mu sync.Mutex
	began := 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := b.change(operation.Started, asked)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				began++
			}
		})
	}
	all.Wait()
	if began != 1 {
		t.Errorf("%d have begun", began)
	}
}

// TestNothingBeginsWithoutTheStore: a caution that cannot be looked for is not believed absent.
func TestNothingBeginsWithoutTheStore(t *testing.T) {
	t.Parallel()
	if _, err := caution.New(nil, time.Now); err == nil {
		t.Error("a store without a database")
	}
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.store.Wait(ctx, "portal", "alice", ""); err == nil {
		t.Error("without the store nobody waits")
	}
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Wait(t.Context(), "portal", "alice", ""); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("the store is closed, and %v", err)
	}
}
