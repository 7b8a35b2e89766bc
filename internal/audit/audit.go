// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
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
	Reason string `json:"reason,omitempty"`
	// By is who did it, as an [Actor] names them. Where nobody is named it was the subject.
	By string `json:"by,omitempty"`
	// Object is what it was done to where no other field says so: its kind and id, such as "application:bank".
	Object string `json:"object,omitempty"`
	// Subject is the user it is about.
	Subject   string    `json:"sub,omitempty"`
	ClientID  string    `json:"client_id,omitempty"`
	DeviceID  string    `json:"device_id,omitempty"`
	Operation string    `json:"operation,omitempty"`
	Realm     string    `json:"realm,omitempty"`
	SessionID string    `json:"sid,omitempty"`
	GrantID   string    `json:"grant_id,omitempty"`
	ClientIP  string    `json:"client_ip,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
	Time      time.Time `json:"time"`
}

// From returns the event with what it leaves open about who caused it and from where taken from the actor that ctx names.
func (e Event) From(ctx context.Context) Event { return e.Caused(ActorOf(ctx)) }

// Caused returns the event with what it leaves open about who caused it and from where taken from an actor.
func (e Event) Caused(a Actor) Event {
	e.By = cmp.Or(e.By, a.By)
	e.ClientID = cmp.Or(e.ClientID, a.ClientID)
	e.ClientIP = cmp.Or(e.ClientIP, a.ClientIP)
	e.RequestID = cmp.Or(e.RequestID, a.RequestID)
	return e
}

// Config is what a trail needs.
type Config struct {
	DB     storage.DB
	Logger *slog.Logger
	Now    func() time.Time
	// Sealer keeps the secret of the chain. Without one the chain is not keyed: it then finds mistakes, and no attacker who can
	// write to the store and computes it anew.
	Sealer storage.Sealer
	// Keep is how long events stay in the store. Default: [Keep].
	Keep time.Duration
	// Leads reports whether this node is the one of several to seal. All may, and then stand in each other's way. Nil is yes.
	Leads func() bool
}

// Trail records events. It is safe for concurrent use.
type Trail struct {
	db     storage.DB
	logger *slog.Logger
	now    func() time.Time
	keep   time.Duration
	sealer storage.Sealer
	events *storage.Table[Event]
	leads  func() bool
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
	if c.Leads == nil {
		c.Leads = func() bool { return true }
	}
	return &Trail{
		leads: c.Leads, db: c.DB, logger: c.Logger, now: c.Now, keep: keep, sealer: c.Sealer, events: eventTable(keep),
	}, nil
}

func eventTable(keep time.Duration) *storage.Table[Event] {
	return &storage.Table[Event]{
		Name: "audit", Version: 1,
		ID:     func(e *Event) string { return e.ID },
		Expiry: func(e *Event) time.Time { return e.Time.Add(keep) },
		Indexes: []storage.Index[Event]{
			index(bySubject, func(e *Event) string { return e.Subject }),
			index(byDevice, func(e *Event) string { return e.DeviceID }),
			index(byOperation, func(e *Event) string { return e.Operation }),
			index(byClient, func(e *Event) string { return e.ClientID }),
		},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind { return []storage.Kind{eventTable(Keep)} }

// Names of the indexes.
const (
	bySubject   = "sub"
	byDevice    = "device"
	byOperation = "operation"
	byClient    = "client"
)

// maxIndexed keeps an index key within what a store takes. Whoever sends a longer id does not know one of ours.
const maxIndexed = 200

func index(name string, value func(*Event) string) storage.Index[Event] {
	return storage.Index[Event]{Name: name, Values: func(e *Event) []string {
		if v := value(e); v != "" && len(v) <= maxIndexed {
			return []string{v}
		}
		return nil
	}}
}

// Record logs an event and stores it. What it leaves open about who caused it is taken from ctx. An error means that it was not
// stored: whoever asked for the security event then does not go on.
func (t *Trail) Record(ctx context.Context, e Event) error {
	e = t.Prepare(e.From(ctx))
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
		t.line(ctx, e.From(ctx))
	}
}

// Prepare draws the id of an event and sets its time. It is called outside closures, which must not draw anything; the
// result goes to [Trail.Append]. Who caused it is said by [Event.From].
func (t *Trail) Prepare(e Event) Event {
	e.Time = t.now().UTC().Truncate(time.Millisecond)
	e.ID = eventID(e.Time) + randid.New("evt")
	return e
}

// Append stores a prepared event in the caller's transaction, marked for the next seal. It logs nothing, since the closure may run
// again or be rolled back. It writes two items and one for each of subject, device, operation and client, and collides with no
// other transaction.
func (t *Trail) Append(tx storage.Tx, e Event) error {
	if err := t.events.Replace(tx, nil, e); err != nil { // the id was drawn for it
		return err
	}
	if err := tx.Put(storage.Item{Key: markPrefix + e.ID, ExpiresAt: e.Time.Add(t.keep)}); err != nil {
		return fmt.Errorf("marking an audit event: %w", err)
	}
	return nil
}

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
	attrs := make([]any, 0, 15)
	for _, a := range [...]struct{ key, value string }{
		{"id", e.ID}, {"name", e.Name}, {"outcome", e.Outcome}, {"reason", e.Reason}, {"by", e.By}, {"object", e.Object},
		{"sub", e.Subject}, {"client_id", e.ClientID}, {"device_id", e.DeviceID}, {"operation", e.Operation}, {"realm", e.Realm},
		{"sid", e.SessionID}, {"grant_id", e.GrantID}, {"client_ip", e.ClientIP}, {"request_id", e.RequestID},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	t.logger.LogAttrs(ctx, slog.LevelInfo, "audit", slog.Group("audit", attrs...))
}
