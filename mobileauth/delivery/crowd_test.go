// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// crowded is a store and a service that take as long as the test wants, and count who is there at once. It stands for both.
type crowded struct {
	devices
	ops
	read, send         chan struct{} // closed to let everybody go on
	reading, sending   atomic.Int32
	mostRead, mostSent atomic.Int32
}

func pass(gate <-chan struct{}, now, most *atomic.Int32) {
	most.Store(max(most.Load(), now.Add(1)))
	<-gate
	now.Add(-1)
}

// slowOps are the operations of a crowded store.
type slowOps struct{ *crowded }

func (s slowOps) Get(ctx context.Context, id string) (operation.Operation, error) {
	pass(s.read, &s.reading, &s.mostRead)
	return s.ops.Get(ctx, id)
}

func (s slowOps) NotSent(ctx context.Context, id string, channel operation.Channel) (operation.Operation, error) {
	return s.ops.NotSent(ctx, id, channel)
}

func (c *crowded) Check(string) error { return nil }

func (c *crowded) Send(context.Context, push.Message) error {
	pass(c.send, &c.sending, &c.mostSent)
	return nil
}

// However many are under way with a service that takes its time, few are looked up at once, before the eyes of whoever starts something.
func TestFewAreLookedUpAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const crowd = 32
		w := newWorld()
		c := &crowded{devices: devices{w}, ops: ops{w}, read: make(chan struct{}), send: make(chan struct{})}
		var seen sync.Mutex
		handler := delivery.NewPushes(delivery.PushConfig{
			Operations: slowOps{c}, Devices: c.devices, Audit: w, Now: w.Now,
			Observe: func(o delivery.Observation) {
				seen.Lock()
				defer seen.Unlock()
				w.Observe(o)
			},
			Route: func(*handset.Device) (delivery.Route, bool) {
				return delivery.Route{Sender: c, App: "com.example.bank"}, true
			},
		})
		o := w.ask()
		var group sync.WaitGroup
		deliverTo := func(ctx context.Context, d handset.Device, want error) {
			item, err := delivery.PushItem(&o, &d)
			if err != nil {
				t.Fatal(err)
			}
			group.Go(func() {
				if err := handler.Deliver(ctx, outbox.Delivery{Item: item, Try: 1}); !errors.Is(err, want) {
					t.Errorf("delivering came to %v, want %v", err, want)
				}
			})
		}
		for i := range crowd {
			deliverTo(t.Context(), w.phone(fmt.Sprint("dev_", i)), nil)
		}
		synctest.Wait()
		if n := c.mostRead.Load(); n == 0 || n > 4 {
			t.Errorf("%d are looked up at once", n)
		}
		ended, cancel := context.WithCancel(t.Context())
		deliverTo(ended, w.phone("dev_late"), context.Canceled)
		synctest.Wait()
		cancel() // while it waits for its turn
		synctest.Wait()
		close(c.read)
		synctest.Wait()
		if n := c.mostSent.Load(); n != crowd {
			t.Errorf("%d are under way at once", n)
		}
		close(c.send)
		group.Wait()
		if len(w.observed) != crowd {
			t.Errorf("%d tries were observed", len(w.observed))
		}
	})
}
