// SPDX-License-Identifier: Apache-2.0

package pool_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/storage"
)

// TestTheOutboxOutlivesConfigurations: it delivers from the opening of the store to its closing, also after the configuration
// has ended that opened it, and is woken by what goes through the node.
func TestTheOutboxOutlivesConfigurations(t *testing.T) {
	t.Parallel()
	e := &engine{secret: secretA}
	n := take(t)
	first, ended := context.WithCancel(t.Context())
	must(t, n.Start(first, e, nil, options(new(bytes.Buffer))))
	came := make(chan string, 1)
	remove := n.Outbox().Handle("call", outbox.HandlerFunc(func(_ context.Context, d outbox.Delivery) error {
		came <- d.ID + " " + string(d.Payload)
		return nil
	}))
	defer remove()
	send := func(id string) {
		t.Helper()
		item := outbox.Item{Kind: "call", ID: id, Payload: []byte("text"), At: time.Now()}
		must(t, n.Update(t.Context(), func(tx storage.Tx) error { return n.Outbox().Append(tx, item) }))
		if got := <-came; got != id+" text" {
			t.Errorf("%q came for %q", got, id)
		}
	}
	send("1")
	take(t)
	must(t, n.Start(t.Context(), e, nil, options(new(bytes.Buffer))))
	ended()
	release(t)
	send("2")
	release(t)
	if e.closed.Load() != 1 {
		t.Error("the store is not closed")
	}
}
