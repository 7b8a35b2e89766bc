// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// lines is the transport of all phones. Whoever waits does so over a line of its own.
type lines struct{ usual http.RoundTripper }

type ownLine struct{}

// RoundTrip sends a request over the line that its context names, or a usual one.
func (l lines) RoundTrip(r *http.Request) (*http.Response, error) {
	if own, ok := r.Context().Value(ownLine{}).(*http.Transport); ok {
		return own.RoundTrip(r)
	}
	return l.usual.RoundTrip(r)
}

// newLine returns how a context gets a line of its own: a connection over HTTP/1.1, and a stream of a shared one over HTTP/2.
func newLine(o options) func(context.Context) context.Context {
	shared := &http.Transport{Protocols: new(http.Protocols)}
	shared.Protocols.SetUnencryptedHTTP2(true)
	return func(ctx context.Context) context.Context {
		if o.http2 {
			return context.WithValue(ctx, ownLine{}, shared)
		}
		return context.WithValue(ctx, ownLine{}, new(http.Transport))
	}
}

// The calls that wait end after a minute: all have begun some time before, and are looked at while none has ended.
const (
	beginning = 45 * time.Second
	looking   = 50 * time.Second
)

// waiting has phones wait for what is asked and looks at the memory of the server: as it is, which has the garbage of the
// beginnings, and after collections.
func (s *server) waiting(o options, pairs []*pair) error {
	if o.waiting == 0 {
		return nil
	}
	before, _, err := s.live()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var answered atomic.Int64
	var group sync.WaitGroup
	line := newLine(o)
	began := time.Now()
	pace := min(time.Millisecond, beginning/time.Duration(o.waiting)) // so that signing keeps up
	for i := range o.waiting {
		if i%20 == 19 {
			<-time.After(time.Until(began.Add(time.Duration(i) * pace)))
		}
		group.Go(func() {
			phone := pairs[i%len(pairs)].phone
			ctx := line(ctx)
			if _, err := phone.Pending(ctx, 0); err == nil { // a line is seldom new
				_, _ = phone.Pending(ctx, time.Minute) // ended below, or before its time
			}
			answered.Add(1)
		})
	}
	<-time.After(time.Until(began.Add(looking)))
	early := answered.Load()
	burst, err := s.memory()
	if err != nil {
		return err
	}
	n, stacks, err := s.goroutines("internal/waiting.(")
	if err != nil {
		return err
	}
	after, heap, err := s.live()
	if err != nil {
		return err
	}
	cancel()
	group.Wait()
	fmt.Printf("  %d of %d calls of %d phones wait, %d have failed · load of the machine %s\n", n, o.waiting, len(pairs), early, machineLoad())
	each := func(bytes int64) float64 { return float64(bytes) / 1e3 / float64(max(n, 1)) }
	fmt.Printf("  for each: resident %.1f KB after their beginning, %.1f KB after collections · live %.1f KB: heap %.1f, stacks %.1f\n",
		each(burst.resident-before.resident), each(after.resident-before.resident),
		each(after.heap-before.heap+after.stacks-before.stacks), each(after.heap-before.heap), each(after.stacks-before.stacks))
	fmt.Printf("  resident %.0f MB before, %.0f MB after their beginning\n", float64(before.resident)/1e6, float64(burst.resident)/1e6)
	return o.keep(map[string][]byte{"waiting-heap.pprof": heap, "waiting-goroutines.txt": stacks})
}
