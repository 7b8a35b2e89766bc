// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Defaults of [Config].
const (
	DefaultTries    = 8
	DefaultTimeout  = 6 * time.Second
	DefaultPlaces   = 64
	DefaultKeepDead = 60 * 24 * time.Hour
)

// Limits of an [Item].
const (
	MaxKind    = 32       // bytes in a kind
	MaxLane    = 64       // bytes in a lane
	MaxKey     = 200      // bytes in a key and in an ID
	MaxPayload = 32 << 10 // bytes in a payload
)

// maxPlaces keeps a claim of everything at once within what a transaction may write.
const maxPlaces = storage.MaxWrites

// ErrItem is wrapped by what [Outbox.Append] returns for an item that is not well formed.
var ErrItem = errors.New("outbox item refused")

// Item is one thing to be done outside.
type Item struct {
	// Kind chooses the handler: lower-case letters, digits, "_" and ".".
	Kind string `json:"kind"`
	// Lane is the receiver within the kind, where receivers should not hold up one another: letters, digits, "_", "-" and ".";
	// an address is hashed. There should not be many more lanes than a few hundred. May be empty.
	Lane string `json:"lane,omitempty"`
	// Key puts items in order: of one kind and key one is delivered after the other. Empty is no order.
	Key string `json:"key,omitempty"`
	// ID is the same at each delivery. It is drawn outside the closure that appends.
	ID string `json:"id"`
	// Payload is for the handler.
	Payload []byte `json:"payload,omitempty"`
	// At is the moment from which on the item is delivered, usually when its cause happened. Required.
	At time.Time `json:"at"`
}

// Delivery is an item on its way.
type Delivery struct {
	Item
	// Try counts from 1.
	Try int
}

// Handler delivers the items of one kind. An error means that it is to be tried again; its text is stored and shown to operators,
// so it holds no secret. Deliver returns soon after ctx ends. It may be called several times for one item, and for different
// items at the same time.
type Handler interface {
	Deliver(ctx context.Context, d Delivery) error
}

// HandlerFunc is a function that is a [Handler].
type HandlerFunc func(ctx context.Context, d Delivery) error

// Deliver calls f.
func (f HandlerFunc) Deliver(ctx context.Context, d Delivery) error { return f(ctx, d) }

// Outcome says how a try ended.
type Outcome string

// Outcomes of a try.
const (
	Delivered Outcome = "delivered"
	Retried   Outcome = "retried"  // it failed and will be tried again
	Died      Outcome = "dead"     // it failed and became a dead letter
	Released  Outcome = "released" // the loop ended first; it does not count as a try
	Lost      Outcome = "lost"     // how it ended could not be written down, or another loop had taken over: it may be delivered again
)

// Observation is one try, for metrics.
type Observation struct {
	Kind    string
	Outcome Outcome
	Try     int
	Took    time.Duration // the handler
	Age     time.Duration // from Item.At to the end of the try
}

// Config is what an outbox needs.
type Config struct {
	// DB, Now and Logger are required.
	DB     storage.DB
	Now    func() time.Time
	Logger *slog.Logger
	// Sealer encrypts payloads at rest; nil leaves them readable.
	Sealer storage.Sealer
	// Tries is after how many an item is dead. Default: [DefaultTries].
	Tries int
	// Timeout bounds one try: the handler's context ends then. Default: [DefaultTimeout].
	Timeout time.Duration
	// Places is how many deliveries are under way at once, at most 64; a lane takes half of them at most. Default: [DefaultPlaces].
	Places int
	// KeepDead is how long dead letters are kept. Default: [DefaultKeepDead].
	KeepDead time.Duration
	// Observe is told of each try; it must not block. Optional.
	Observe func(Observation)
}

// Outbox is the queue of one store. It is safe for concurrent use.
type Outbox struct {
	config Config
	owner  string
	lines  *storage.Table[line]
	items  *storage.Table[entry]
	dead   *storage.Table[Letter]
	wake   chan struct{}

	mu       sync.Mutex // guards what follows
	handlers map[string]*registration
}

type registration struct{ handler Handler }

// New returns an outbox. It reads nothing yet; [Outbox.Run] delivers.
func New(c Config) (*Outbox, error) {
	if c.DB == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building an outbox: a store, a clock and a logger are required")
	}
	if c.Tries < 0 || c.Timeout < 0 || c.Places < 0 || c.Places > maxPlaces || c.KeepDead < 0 {
		return nil, fmt.Errorf("building an outbox: a number is negative, or more than %d places", maxPlaces)
	}
	c.Tries, c.Timeout = cmp.Or(c.Tries, DefaultTries), cmp.Or(c.Timeout, DefaultTimeout)
	c.Places, c.KeepDead = cmp.Or(c.Places, DefaultPlaces), cmp.Or(c.KeepDead, DefaultKeepDead)
	if c.Observe == nil {
		c.Observe = func(Observation) {}
	}
	o := &Outbox{
		config: c, owner: randid.New("loop"), wake: make(chan struct{}, 1), handlers: map[string]*registration{},
	}
	o.describe()
	return o, nil
}

func (o *Outbox) describe() {
	sealer, keep := o.config.Sealer, o.config.KeepDead
	o.lines = &storage.Table[line]{Name: lineTable, Version: 1, ID: func(l *line) string { return l.id() }}
	o.items = &storage.Table[entry]{Name: "outbox_item", Version: 1, ID: func(e *entry) string { return e.id() }, Sealer: sealer}
	o.dead = &storage.Table[Letter]{
		Name: "outbox_dead", Version: 1, ID: func(l *Letter) string { return l.Ref }, Sealer: sealer,
		Expiry: func(l *Letter) time.Time { return l.DiedAt.Add(keep) },
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	o := Outbox{config: Config{Sealer: sealer, KeepDead: DefaultKeepDead}}
	o.describe()
	return []storage.Kind{o.lines, o.items, o.dead}
}

// Handle has a handler deliver the items of a kind from now on, instead of the one before it. What remove takes away is this
// handler alone, not one that has replaced it. Items of a kind without a handler wait.
func (o *Outbox) Handle(kind string, h Handler) (remove func()) {
	mine := &registration{h}
	o.mu.Lock()
	o.handlers[kind] = mine
	o.mu.Unlock()
	o.Wake()
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.handlers[kind] == mine {
			delete(o.handlers, kind)
		}
	}
}

func (o *Outbox) handler(kind string) (Handler, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, ok := o.handlers[kind]
	if !ok {
		return nil, false
	}
	return r.handler, true
}

// Append adds an item in the caller's transaction: it is delivered when that has committed, and only then. A malformed item is
// refused with [ErrItem] before anything is written. Transactions that append to one key collide and run one after the other;
// others do not. It writes three items of the store, and for the first item of a lane one more.
func (o *Outbox) Append(tx storage.Tx, item Item) error {
	if err := item.check(); err != nil {
		return err
	}
	return o.enqueue(tx, item)
}

// Wake has the loop look for items now. Commits through [Outbox.Waking] do so by themselves.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (i *Item) check() error {
	switch {
	case i.Kind == "" || len(i.Kind) > MaxKind || strings.ContainsFunc(i.Kind, notIn("_.", false)):
		return fmt.Errorf("appending an item of the kind %.40q: %w", i.Kind, ErrItem)
	case len(i.Lane) > MaxLane || strings.ContainsFunc(i.Lane, notIn("_-.", true)):
		return fmt.Errorf("appending an item to a lane of %d bytes: %w", len(i.Lane), ErrItem)
	case i.ID == "" || !printable(i.ID) || !printable(i.Key):
		return fmt.Errorf("appending an item whose ID or key is missing, too long or not printable: %w", ErrItem)
	case len(i.Payload) > MaxPayload:
		return fmt.Errorf("appending an item of %d bytes: %w", len(i.Payload), ErrItem)
	case i.At.Before(time.UnixMilli(0)) || i.At.UnixMilli() > maxMilli:
		return fmt.Errorf("appending an item without a time: %w", ErrItem)
	}
	return nil
}

func notIn(more string, upper bool) func(rune) bool {
	return func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || upper && r >= 'A' && r <= 'Z' || strings.ContainsRune(more, r))
	}
}

func printable(text string) bool {
	return len(text) <= MaxKey && utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
