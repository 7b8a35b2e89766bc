// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Term is for how long the record has to stay as it is before another node takes the lease.
	Term = 6 * time.Second
	// Renewal is how often its holder renews it, and how often the others look.
	Renewal = time.Second
	// margin is how much earlier its holder stops believing that it has it, for clocks of which one is slow.
	margin = time.Second
	// releasing bounds giving it back.
	releasing = 2 * time.Second
)

// Config is what a lease needs. All fields are required.
type Config struct {
	DB storage.DB
	// Name is what the lease is of, the same on all nodes.
	Name string
	// Now is a clock that goes on when the machine's is set, as that of package time does.
	Now    func() time.Time
	Logger *slog.Logger
}

// Lease is one node's side of a lease. It is safe for concurrent use; it is kept by [Lease.Run].
type Lease struct {
	config Config
	table  storage.Table[record]
	me     string

	mu    sync.Mutex
	seen  record    // what stood there when it was last looked at
	since time.Time // when that was first seen
	until time.Time // until when this node holds the lease; zero is not at all
}

// record is who holds a lease. It has no time in it.
type record struct {
	Name string `json:"name"`
	// Holder is empty when the lease was given back.
	Holder string `json:"holder,omitempty"`
	// Count is how often it was taken or renewed.
	Count uint64 `json:"count"`
}

// New returns a lease that is not held yet. It reads nothing.
func New(c Config) (*Lease, error) {
	if c.DB == nil || c.Name == "" || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building a lease: a store, a name, a clock and a logger are required")
	}
	return &Lease{
		config: c, me: randid.New("node"),
		table: newTable(),
	}, nil
}

func newTable() storage.Table[record] {
	return storage.Table[record]{Name: "lease", Version: 1, ID: func(r *record) string { return r.Name }}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	table := newTable()
	return []storage.Kind{&table}
}

// Held reports whether this node holds the lease now. It does not wait.
func (l *Lease) Held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config.Now().Before(l.until)
}

// Run takes the lease when it can be had and renews it, until ctx ends; then it gives it back.
func (l *Lease) Run(ctx context.Context) {
	trouble := rounds.Trouble{
		Logger: l.config.Logger, Begins: "it is not known which node does what one does for all",
		Ends: "it is known again which node does what one does for all", Over: storage.ErrClosed,
	}
	trouble.Note(ctx, l.Try(ctx))
	rounds.Run(ctx, Renewal, trouble, l.Try)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releasing)
	defer cancel()
	_ = l.Release(ctx) // then it runs out by itself
}

// Try takes the lease, or renews it, if this node may. Whether it holds it then is told by [Lease.Held].
func (l *Lease) Try(ctx context.Context) error {
	l.mu.Lock()
	seen, since, held := l.seen, l.since, l.until
	l.mu.Unlock()
	began := l.config.Now() // so that this node believes for shorter than the others wait
	var found record
	var mine bool
	err := l.config.DB.Update(ctx, func(tx storage.Tx) (err error) {
		if found, _, err = l.table.Find(tx, l.config.Name); err != nil {
			return err
		}
		silent := found == seen && !since.IsZero() && began.Sub(since) >= Term
		if mine = found.Holder == "" || found.Holder == l.me || silent; !mine {
			return nil
		}
		found = record{Name: l.config.Name, Holder: l.me, Count: found.Count + 1}
		return l.table.Put(tx, found)
	})
	if err != nil {
		return fmt.Errorf("taking the lease %q: %w", l.config.Name, err)
	}
	l.note(found, mine, began)
	switch first := held.IsZero(); {
	case mine && first:
		l.config.Logger.InfoContext(ctx, "this node does what one does for all", "lease", l.config.Name)
	case !mine && !first:
		l.config.Logger.WarnContext(ctx, "another node does what one does for all: this one was away for too long", "lease", l.config.Name)
	}
	return nil
}

// note remembers what stands there, and since when: since after it was read, so that this node rather waits for too long.
func (l *Lease) note(found record, mine bool, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found != l.seen || l.since.IsZero() {
		l.seen, l.since = found, l.config.Now()
	}
	if l.until = (time.Time{}); mine {
		l.until = began.Add(Term - margin)
	}
}

// Release gives the lease back, if this node has it: another one takes it when it looks next.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	l.until = time.Time{}
	l.mu.Unlock()
	err := l.config.DB.Update(ctx, func(tx storage.Tx) error {
		found, _, err := l.table.Find(tx, l.config.Name)
		if err != nil || found.Holder != l.me {
			return err
		}
		found.Holder = ""
		found.Count++
		return l.table.Put(tx, found)
	})
	if err != nil {
		return fmt.Errorf("giving the lease %q back: %w", l.config.Name, err)
	}
	return nil
}
