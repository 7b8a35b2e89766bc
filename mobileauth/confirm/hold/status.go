// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// reasonCaller says on the trail that whoever sent the request takes it back.
const reasonCaller = "withdrawn"

// ServeStatus answers how the operation with an id stands, to the caller whose request it is about: GET, held for as long as
// Prefer says until it changes, and DELETE, by which the caller takes the question back, or the approval that has not been used.
//
// A browser without script takes it back with POST, and is answered with a page.
func (h *Holder) ServeStatus(w http.ResponseWriter, r *http.Request, id string, c *Caller) {
	if r.Method == http.MethodPost && c.ByCookie && h.config.Page != nil {
		h.config.Page(w, r, h.takeBack(r, id, c))
		return
	}
	s, refusal := h.status(r, id, c)
	switch {
	case r.Context().Err() != nil: // nobody is left to answer
	case refusal != nil:
		if refusal.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, DELETE")
		}
		if refusal.cause != nil {
			h.config.Logger.WarnContext(r.Context(), "telling how an operation stands", "error", refusal.cause)
		}
		refusal.write(w)
	default:
		send(w, http.StatusOK, "application/json", s)
	}
}

func (h *Holder) status(r *http.Request, id string, c *Caller) (*standing, *problem) {
	ctx := r.Context()
	if r.Method != http.MethodGet && r.Method != http.MethodDelete {
		return nil, &problem{Status: http.StatusMethodNotAllowed, Code: codeMethod}
	}
	if wait := h.config.Status.Take(c.UserID).Wait; wait > 0 {
		return nil, &problem{Status: http.StatusTooManyRequests, Code: codeTooMany, Detail: "ask less often, or wait", after: wait}
	}
	o, err := h.config.Store.Find(ctx, id, c.Owner)
	if err == nil && r.Method == http.MethodDelete {
		o, err = h.withdraw(ctx, &o)
	}
	if wait, wishes := preferred(r.Header); err == nil && wishes && wait > 0 && o.State.Open() {
		err = h.watch(ctx, &o, c, min(wait, MaxPrefer))
	}
	if err != nil {
		return nil, notFound(err)
	}
	s := c.stands(&o)
	s.StatusURL = ""
	return s, nil
}

// notFound words why an operation could not be found.
func notFound(err error) *problem {
	if errors.Is(err, operation.ErrNotFound) {
		return &problem{Status: http.StatusNotFound, Code: codeNotFound, Detail: "there is no such operation"}
	}
	return unavailable(err)
}

// withdraw takes back a question, or an approval by which nothing has passed; whatever else has become of an operation it leaves.
func (h *Holder) withdraw(ctx context.Context, o *operation.Operation) (operation.Operation, error) {
	ended, err := h.config.Operations.TakeBack(ctx, o.ID, reasonCaller)
	if errors.Is(err, operation.ErrTransition) {
		return ended, nil
	}
	return ended, err
}

// watch waits until an operation is open no more, and leaves in o how it stands then. Where no seat is left it does not wait.
func (h *Holder) watch(ctx context.Context, o *operation.Operation, c *Caller, wait time.Duration) error {
	leave, ok := h.room.take(c.client(), c.UserID, 0)
	if !ok {
		return nil
	}
	defer leave()
	return h.await(ctx, o, wait)
}

// ID returns the id of an operation from the path of a status, which begins with the given one.
func ID(path, prefix string) (string, bool) {
	id, ok := strings.CutPrefix(path, prefix)
	return id, ok && id != "" && !strings.ContainsRune(id, '/')
}
