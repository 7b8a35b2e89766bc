// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Keep is how long stored events are kept by default.
const Keep = 365 * 24 * time.Hour

// Outcomes of events.
const (
	Accepted = "accepted"
	Refused  = "refused"
)

// Event is one thing that happened. ID and Time are filled in by the trail.
type Event struct {
	ID string `json:"id"`
	// Name says what happened, with a dot between what and how: "login.attempt", "token.issued".
	Name    string `json:"name"`
	Outcome string `json:"outcome,omitempty"`
	// Reason is a word for operators and is never shown to callers.
	Reason    string    `json:"reason,omitempty"`
	Subject   string    `json:"sub,omitempty"`
	By        string    `json:"by,omitempty"` // who acted, where that is somebody else: see [Actor]
	ClientID  string    `json:"client_id,omitempty"`
	Realm     string    `json:"realm,omitempty"`
	SessionID string    `json:"sid,omitempty"`
	GrantID   string    `json:"grant_id,omitempty"`
	DeviceID  string    `json:"device_id,omitempty"`
	Operation string    `json:"operation,omitempty"`
	ClientIP  string    `json:"client_ip,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Time      time.Time `json:"time"`
}

// Config is what a trail needs.
type Config struct {
	DB     storage.DB
	Logger *slog.Logger
	Now    func() time.Time
	// Keep is how long events stay in the store. Default: [Keep].
	Keep time.Duration
}

// Trail records events. It is safe for concurrent use.
type Trail struct {
	db     storage.DB
	logger *slog.Logger
	now    func() time.Time
	events *storage.Table[Event]
}

// New returns a trail. Store, logger and clock are required.
func New(c Config) (*Trail, error) {
	if c.DB == nil || c.Logger == nil || c.Now == nil {
		return nil, errors.New("building the audit trail: a store, a logger and a clock are required")
	}
	keep := c.Keep
	if keep <= 0 {
		keep = Keep
	}
	return &Trail{
		db: c.DB, logger: c.Logger, now: c.Now,
		events: &storage.Table[Event]{
			Name: "audit", Version: 1,
			ID:     func(e *Event) string { return e.ID },
			Expiry: func(e *Event) time.Time { return e.Time.Add(keep) },
		},
	}, nil
}

// Record logs an event and stores it. An error means that it was not stored: whoever asked for the security event then
// does not go on.
func (t *Trail) Record(ctx context.Context, e Event) error {
	e = t.Prepare(e)
	t.line(ctx, e)
	err := t.db.Update(ctx, func(tx storage.Tx) error { return t.Append(tx, e) })
	if err != nil {
		return fmt.Errorf("recording the audit event %q: %w", e.Name, err)
	}
	return nil
}

// Log logs an event and does not store it: for what happens too often to be kept, and for what a stranger can cause as
// often as he likes. An event that [Trail.Append] has stored is logged by it too, after the commit.
func (t *Trail) Log(ctx context.Context, e Event) {
	if t.logger.Enabled(ctx, slog.LevelInfo) {
		e.Time = t.now().UTC()
		t.line(ctx, e)
	}
}

// Prepare draws the id of an event and sets its time. It is called outside closures, which must not draw anything; the
// result goes to [Trail.Append].
func (t *Trail) Prepare(e Event) Event {
	e.Time = t.now().UTC().Truncate(time.Millisecond)
	e.ID = eventID(e.Time) + randid.New("evt")
	return e
}

// Append stores a prepared event in the caller's transaction. It logs nothing, since the closure may run again or be
// rolled back.
func (t *Trail) Append(tx storage.Tx, e Event) error { return t.events.Put(tx, e) }

// List returns stored events from a moment on, oldest first, at most limit of them (0 is no limit).
func (t *Trail) List(ctx context.Context, since time.Time, limit int) (events []Event, err error) {
	after := ""
	if !since.IsZero() {
		after = eventID(since)
	}
	err = t.db.View(ctx, func(tx storage.Tx) error {
		events = nil
		for e, err := range t.events.All(tx, after, limit) {
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing audit events: %w", err)
	}
	return events, nil
}

// eventID is the sortable beginning of an event's id.
func eventID(t time.Time) string { return fmt.Sprintf("%013d.", t.UnixMilli()) }

func (t *Trail) line(ctx context.Context, e Event) {
	attrs := make([]any, 0, 14)
	for _, a := range [...]struct{ key, value string }{
		{"id", e.ID}, {"name", e.Name}, {"outcome", e.Outcome}, {"reason", e.Reason}, {"sub", e.Subject}, {"by", e.By},
		{"client_id", e.ClientID}, {"realm", e.Realm}, {"sid", e.SessionID}, {"grant_id", e.GrantID},
		{"device_id", e.DeviceID}, {"operation", e.Operation},
		{"client_ip", e.ClientIP}, {"request_id", e.RequestID},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	t.logger.LogAttrs(ctx, slog.LevelInfo, "audit", slog.Group("audit", attrs...))
}
