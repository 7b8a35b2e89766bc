// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
)

// Letter is a dead letter of the outbox, without what it says: that may hold addresses which are secrets.
type Letter struct {
	Ref    string    `json:"ref"`
	Kind   string    `json:"kind"`
	ID     string    `json:"id"`
	Key    string    `json:"key,omitempty"`
	Tries  int       `json:"tries"`
	Cause  string    `json:"cause"`
	At     time.Time `json:"at"`
	DiedAt time.Time `json:"died_at"`
}

// LetterRequest is what "POST /gatehouse/outbox/resend" and "…/discard" take.
type LetterRequest struct {
	Ref string `json:"ref"`
}

// maxRef bounds a reference: its time and the longest ID.
const maxRef = 16 + outbox.MaxKey

func listLetters(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	dead, err := app.Outbox().Dead(r.Context(), r.URL.Query().Get("after"), most)
	letters := []Letter{}
	for i := range dead {
		d := &dead[i]
		letters = append(letters, Letter{
			Ref: d.Ref, Kind: d.Kind, ID: d.ID, Key: d.Key, Tries: d.Tries, Cause: d.Cause, At: d.At, DiedAt: d.DiedAt,
		})
	}
	return letters, err
}

func resendLetter(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	return onLetter(app, w, r, "outbox.resend", (*outbox.Outbox).Resend)
}

func discardLetter(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	return onLetter(app, w, r, "outbox.discard", (*outbox.Outbox).Discard)
}

func onLetter(
	app *caddymodule.App, w http.ResponseWriter, r *http.Request, name string, do func(o *outbox.Outbox, ctx context.Context, ref string) error,
) (any, error) {
	var in LetterRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	if in.Ref == "" || len(in.Ref) > maxRef {
		return nil, fmt.Errorf("a reference is missing or too long: %w", errRequest)
	}
	err := do(app.Outbox(), r.Context(), in.Ref)
	if err := audited(app, r, audit.Event{Name: name, Object: "letter:" + in.Ref}, err); err != nil {
		return nil, err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
