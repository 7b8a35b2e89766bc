// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// seenEvery is how exact it is known when a phone was there that only asks: noting it is a write.
const seenEvery = time.Hour

// servePending lists the operations that a phone may answer, and waits for one. There may be a phone waiting for each person
// whom an issuer knows: while it waits nothing is kept of its message but what it is owed, and whatever needs a deep stack is
// done aside.
func (h *Handler) servePending(w http.ResponseWriter, r *http.Request) {
	var a *asker
	httpx.Aside(func() { a = h.ask(w, r) })
	for a != nil {
		a.watch.Wait(r.Context())
		httpx.Aside(func() { a = h.askAgain(w, r, a) })
	}
}

// asker is a phone that asks what is pending.
type asker struct {
	owed  owed
	watch *operation.Watch
}

// ask takes the question and answers it, unless the phone has to wait.
func (h *Handler) ask(w http.ResponseWriter, r *http.Request) *asker {
	raw, ok := h.receive(w, r)
	if !ok {
		return nil
	}
	a, err := h.asker(r.Context(), raw)
	if err != nil {
		h.fail(w, r, err)
		return nil
	}
	return h.tell(w, r, a)
}

// askAgain looks again and answers, unless the phone still has to wait.
func (h *Handler) askAgain(w http.ResponseWriter, r *http.Request, a *asker) *asker {
	a.watch.Look(r.Context())
	return h.tell(w, r, a)
}

// asker opens the question and looks for an answer.
func (h *Handler) asker(ctx context.Context, raw string) (*asker, error) {
	u, err := h.open(ctx, envelope.PathPending, raw)
	if err != nil {
		return nil, err
	}
	c, err := h.whose(ctx, u)
	if err != nil {
		return nil, err
	}
	wait, err := h.question(h.acting(ctx, c.device.ID), c)
	if err != nil {
		return nil, h.blame(err, c.device.ID)
	}
	a := &asker{owed: c.owed, watch: h.Operations.Watch(ctx, &c.device, wait)}
	a.owed.channel = nil // it is large, and made again from the keys
	return a, nil
}

// question returns how long a phone wants to wait, and notes that it was there.
func (h *Handler) question(ctx context.Context, c *call) (wait time.Duration, err error) {
	var in envelope.PendingRequest
	if err := c.request.Decode(&in); err != nil {
		return 0, err
	}
	if err := h.once(c); err != nil {
		return 0, err
	}
	if h.Now().Sub(c.device.LastSeenAt) > seenEvery {
		if err := h.Devices.Seen(ctx, c.device.ID); err != nil {
			return 0, err
		}
	}
	return min(max(0, time.Duration(in.Wait)*time.Second), operation.MaxWait), nil
}

// tell answers a phone that need not wait any more, and returns one that has to.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, a *asker) *asker {
	if a.watch.Waits() {
		return a
	}
	sealed, err := h.told(a)
	h.respond(w, r, sealed, err)
	return nil
}

func (h *Handler) told(a *asker) (string, error) {
	open, err := a.watch.Open()
	switch {
	case errors.Is(err, operation.ErrDevice):
		return h.pay(&a.owed, reply{code: envelope.CodeNotAllowed})
	case errors.Is(err, operation.ErrBusy):
		return h.pay(&a.owed, reply{code: envelope.CodeRetry})
	case err != nil:
		return "", h.blame(err, a.owed.deviceID)
	}
	return h.pay(&a.owed, reply{envelope.CodeOK, summaries(open)})
}

func summaries(open []operation.Operation) envelope.PendingAnswer {
	out := envelope.PendingAnswer{Operations: make([]envelope.Summary, len(open))}
	for i, o := range open {
		out.Operations[i] = envelope.Summary{
			Operation: o.ID, Kind: string(o.Kind), Created: o.CreatedAt.Unix(), Expires: o.AnswerBy.Unix(),
		}
	}
	return out
}
