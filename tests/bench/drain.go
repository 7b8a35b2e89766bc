// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	fakeapns "github.com/gatehouse-id/gatehouse/tests/services/apns"
)

const (
	// inQueue is how many notifications a person has in the queue: one less than are sent to one in a minute.
	inQueue = 4
	// bystanders are people who are asked while the queue is empty, and while it is not.
	bystanders = 1000
	// startRate is how many of them are asked a second.
	startRate = 100
	// heldFor is for how long the service wants to be left alone: until everything is queued.
	heldFor = 60 * time.Second
)

// queue is a server whose notifications go to a copy of Apple's service, which lives in a process of its own, as does everybody
// who does not ask: who measures has a processor when an answer comes.
type queue struct {
	*server
	apple  *apple
	queued []*pair // whose notifications fill the queue
	others []*pair
	next   int // of others
}

// measureDrain compares how long it takes to start an operation while nothing is queued and while notifications drain.
func measureDrain(path string, o options) error {
	for range o.rounds {
		if err := drainOnce(path, o); err != nil {
			return err
		}
	}
	return nil
}

func drainOnce(path string, o options) (err error) {
	dir, err := os.MkdirTemp("", "gatehouse-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is temporary anyway
	apple, err := startProcess(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, apple.close()) }()
	return with(path, phonesCaddyfile("apple")+apple.Caddyfile, func(s *server) error {
		people, err := s.fleet(pushes/inQueue+bystanders, "apple")
		if err != nil {
			return fmt.Errorf("registering phones: %w", err)
		}
		q := &queue{server: s, apple: apple, queued: people[bystanders:], others: people[:bystanders]}
		return q.measure(o)
	})
}

func (q *queue) measure(o options) error {
	length := max(o.length, 8*time.Second)
	if _, err := q.ask(time.Second, func() bool { return false }); err != nil { // everything was used once
		return err
	}
	quiet, err := q.now()
	if err != nil {
		return err
	}
	idle, err := q.ask(length, func() bool { return false })
	if err != nil {
		return err
	}
	idleWork, err := q.since(quiet)
	if err != nil {
		return err
	}
	if err := q.fill(); err != nil {
		return err
	}
	before, err := q.apple.stats("")
	if err != nil {
		return err
	}
	if err := q.until(2*heldFor, func(s fakeapns.Stats) bool { return s.Accepted > before.Accepted }); err != nil {
		return fmt.Errorf("waiting for the queue to drain: %w", err)
	}
	began, err := q.now()
	if err != nil {
		return err
	}
	var took time.Duration
	var busy []time.Duration
	err = q.profiled(o, "drain", func() (err error) {
		busy, err = q.ask(2*heldFor, func() bool {
			took = time.Since(began.at)
			now, err := q.apple.stats("")
			return err != nil || now.Accepted-before.Accepted >= pushes
		})
		return err
	})
	if err != nil {
		return err
	}
	busyWork, err := q.since(began)
	if err != nil {
		return err
	}
	after, err := q.apple.stats("")
	if err != nil {
		return err
	}
	fmt.Printf("  idle:  %s\n         %s\n", spread(idle), idleWork)
	fmt.Printf("  drain: %s\n         %s\n", spread(busy), busyWork)
	fmt.Printf("  %d pushes in %.1f s: %.0f/s over %d connection(s) · starting takes %.1f ms longer (p50), %.1f ms (p99) · load of the machine %s\n",
		pushes, took.Seconds(), pushes/took.Seconds(), after.Connections,
		ms(part(busy, 50)-part(idle, 50)), ms(part(busy, 99)-part(idle, 99)), machineLoad())
	return nil
}

// fill has the service ask to be left alone, and queues notifications meanwhile.
func (q *queue) fill() error {
	if err := q.until(heldFor, func(s fakeapns.Stats) bool { return s.Accepted == q.next }); err != nil {
		return fmt.Errorf("waiting for the queue to be empty: %w", err)
	}
	was, err := q.apple.stats(hold)
	if err != nil {
		return err
	}
	if _, err := q.others[0].start(); err != nil {
		return err
	}
	if err := q.until(heldFor, func(s fakeapns.Stats) bool { return s.Requests > was.Requests }); err != nil {
		return fmt.Errorf("waiting for a notification: %w", err)
	}
	began := time.Now()
	err = each(pushes, 16, func(i int) error {
		_, err := q.queued[i%len(q.queued)].start()
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	now, err := q.apple.stats("")
	if err == nil && now.Requests > was.Requests+pushes/100 { // some are under way before the server heeds it
		err = fmt.Errorf("the queue drained before it was full, after %.0f s", took.Seconds())
	}
	return err
}

// until waits for what the service has seen.
func (q *queue) until(most time.Duration, seen func(fakeapns.Stats) bool) error {
	deadline := time.Now().Add(most)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if now, err := q.apple.stats(""); err != nil || seen(now) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("it took too long")
		}
		<-ticker.C
	}
}

// ask asks people at a steady rate, each whenever it is their turn and whatever the others wait for, until it is over. It returns
// how long the starts took, the shortest first.
func (q *queue) ask(most time.Duration, over func() bool) ([]time.Duration, error) {
	var mu sync.Mutex
	var found []time.Duration // guarded by mu
	var group errgroup.Group
	ticker := time.NewTicker(time.Second / startRate)
	defer ticker.Stop()
	for began := time.Now(); time.Since(began) < most && !over(); <-ticker.C {
		p := q.others[q.next%len(q.others)]
		q.next++
		group.Go(func() error {
			began := time.Now()
			_, err := p.start()
			took := time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, took)
			return err
		})
	}
	err := group.Wait()
	slices.Sort(found)
	return found, err
}

// part is how long the fastest so many of a hundred take at most.
func part(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[(len(sorted)-1)*percent/100]
}

func spread(sorted []time.Duration) string {
	return fmt.Sprintf("%d starts, %d a second: p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, most %.1f ms",
		len(sorted), startRate, ms(part(sorted, 50)), ms(part(sorted, 90)), ms(part(sorted, 99)), ms(part(sorted, 100)))
}
