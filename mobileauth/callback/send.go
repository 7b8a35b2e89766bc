// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/internal/signedpost/advice"
)

// Errors of a delivery. None of them holds more of the address than the host.
var (
	// ErrNotAllowed is an address that is not in the configuration, or no longer.
	ErrNotAllowed = errors.New("the address is not in the configuration")
	// ErrAnswer is an answer that accepts nothing.
	ErrAnswer = signedpost.ErrAnswer
)

// Trouble with one receiver: after so many failures in a row it is left alone for a while.
const (
	troubleAfter = 5
	troublePause = 30 * time.Second
)

// trouble counts failures in a row.
type trouble struct{ failures atomic.Int32 }

// judge turns a failure of a receiver in trouble into a pause for all that waits for it.
func (t *trouble) judge(err error) error {
	if err == nil {
		t.failures.Store(0)
		return nil
	}
	if t.failures.Add(1) < troubleAfter {
		return err
	}
	return outbox.Pause(troublePause, err)
}

// Deliver sends one callback. An address that is not in the configuration any more, an item that cannot be read and the answer 410
// are permanent failures.
func (s *Sender) Deliver(ctx context.Context, d outbox.Delivery) error {
	var p payload
	if err := json.Unmarshal(d.Payload, &p); err != nil {
		return outbox.Permanent(errors.New("reading a callback: it is damaged"))
	}
	r, ok := s.receivers[p.URL]
	if !ok {
		if !s.anywhere(p.Client, p.URL) {
			return outbox.Permanent(fmt.Errorf("calling back: %w", ErrNotAllowed))
		}
		// It is called by itself: no credentials, no network but the public one, and nothing that a later call could use again.
		client, err := s.client(Receiver{URL: p.URL})
		if err != nil {
			return outbox.Permanent(fmt.Errorf("calling back: %w", err))
		}
		defer client.Close()
		r = &receiver{client: client}
	}
	content, err := p.Notice.body(d.ID)
	if err != nil {
		return fmt.Errorf("calling back %s: %w", r.client.Host(), err)
	}
	err = advice.Of(r.client.Post(ctx, http.Header{DeliveryField: {d.ID}}, content))
	if err != nil {
		err = fmt.Errorf("calling back %s: %w", r.client.Host(), err)
	}
	if errors.Is(err, signedpost.ErrSigning) || ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err // that is our trouble, or we gave up, which says nothing of the receiver
	}
	return r.trouble.judge(err)
}

// body is what is sent.
func (n *Notice) body(id string) ([]byte, error) {
	return json.Marshal(body{
		ID: id, Operation: n.Operation, Kind: n.Kind, State: n.State, At: n.At.UTC().Format("2006-01-02T15:04:05.000Z"),
		Alert: n.Alert,
	})
}
