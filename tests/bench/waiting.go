// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// lines is a transport that has calls which wait over another one than the rest.
type lines struct {
	usual, waiting http.RoundTripper
}

// newLines returns the transports of phones. Calls that wait each take a connection over HTTP/1.1, and a stream of one of few
// over HTTP/2.
func newLines(o options) http.RoundTripper {
	usual := &http.Transport{MaxIdleConnsPerHost: 1024}
	if !o.http2 {
		return usual
	}
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	return lines{usual, &http.Transport{Protocols: &only}}
}

// RoundTrip sends a request.
func (l lines) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, envelope.PathPending) {
		return l.waiting.RoundTrip(r)
	}
	return l.usual.RoundTrip(r)
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
	began := time.Now()
	pace := min(time.Millisecond, beginning/time.Duration(o.waiting)) // so that signing keeps up
	for i := range o.waiting {
		if i%20 == 19 {
			<-time.After(time.Until(began.Add(time.Duration(i) * pace)))
		}
		group.Go(func() {
			_, _ = pairs[i%len(pairs)].phone.Pending(ctx, time.Minute) // ended below, or before its time
			answered.Add(1)
		})
	}
	<-time.After(time.Until(began.Add(looking)))
	early := answered.Load()
	burst, err := s.memory()
	if err != nil {
		return err
	}
	n, stacks, err := s.goroutines("waiting.(*Room).Hold")
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
