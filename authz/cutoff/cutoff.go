// SPDX-License-Identifier: Apache-2.0

package cutoff

import (
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Moment is a point in time: by the clock, and by how many cut-offs had been made. The zero value is older than any.
type Moment struct {
	At      time.Time
	Cutoffs uint64
}

// Cutoff is the lasting form of a revocation: what was issued for the target up to At is dead. Refresh and sessions look
// here, since they outlive the log.
//
// Clocks alone cannot tell what was issued before: a record may carry a later time than a revocation that commits after
// it, from the clock of another node or because the revocation's time was taken first. So cut-offs are counted, all in one
// row, and a record keeps how many there were at its [Moment]. They count in one row because the moment of a login comes
// before anybody knows whose it is.
type Cutoff struct {
	Kind   string    `json:"kind"`
	Target string    `json:"target"`
	At     time.Time `json:"at"`
	Number uint64    `json:"number,omitempty"`
	Until  time.Time `json:"until"`
}

func id(kind, target string) string { return kind + "/" + target }

// tally counts the cut-offs.
type tally struct {
	Cutoffs uint64 `json:"cutoffs"`
}

const tallyID = "cutoffs"

// Book is the cut-offs in a store. It works within its caller's transactions and is safe for concurrent use.
type Book struct {
	keep    time.Duration
	cutoffs *storage.Table[Cutoff]
	tallies *storage.Table[tally]
}

// NewBook returns a book that remembers a cut-off for as long as it is told: longer than what it ends can live.
func NewBook(keep time.Duration) *Book {
	return &Book{
		keep: keep,
		cutoffs: &storage.Table[Cutoff]{
			Name: "cutoff", Version: 1,
			ID:     func(c *Cutoff) string { return id(c.Kind, c.Target) },
			Expiry: func(c *Cutoff) time.Time { return c.Until },
		},
		tallies: &storage.Table[tally]{Name: "tally", Version: 1, ID: func(*tally) string { return tallyID }},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	b := NewBook(0)
	return []storage.Kind{b.cutoffs, b.tallies}
}

// Moment returns the moment that it is at now. It reads the tally, which makes the transaction conflict with one that cuts.
func (b *Book) Moment(tx storage.Tx, now time.Time) (Moment, error) {
	t, _, err := b.tallies.Find(tx, tallyID)
	return Moment{At: now, Cutoffs: t.Cutoffs}, err
}

// Cut writes a cut-off and counts it.
func (b *Book) Cut(tx storage.Tx, kind, target string, at time.Time) error {
	before, err := b.Moment(tx, at)
	if err != nil {
		return err
	}
	number := before.Cutoffs + 1
	if err := b.tallies.Put(tx, tally{Cutoffs: number}); err != nil {
		return err
	}
	return b.cut(tx, kind, target, Moment{At: at, Cutoffs: number})
}

// End writes the cut-off of a target that does not begin again, as a session does not: it needs no number.
func (b *Book) End(tx storage.Tx, kind, target string, at time.Time) error {
	return b.cut(tx, kind, target, Moment{At: at})
}

func (b *Book) cut(tx storage.Tx, kind, target string, m Moment) error {
	c, _, err := b.cutoffs.Find(tx, id(kind, target))
	if err != nil {
		return err
	}
	c.Kind, c.Target, c.Number = kind, target, max(c.Number, m.Cutoffs)
	if m.At.After(c.At) { // a clock that lags must not bring back what is dead
		c.At, c.Until = m.At, m.At.Add(b.keep)
	}
	return b.cutoffs.Put(tx, c)
}

// Key returns where a target's cut-off stands, and TallyKey where a [Moment] is read, for [storage.Prefetch].
func (b *Book) Key(kind, target string) string { return b.cutoffs.Key(id(kind, target)) }

// TallyKey is explained at [Book.Key].
func (b *Book) TallyKey() string { return b.tallies.Key(tallyID) }

// Dead reports whether what was issued for a target at a moment is dead.
func (b *Book) Dead(tx storage.Tx, kind, target string, issued Moment) (bool, error) {
	c, ok, err := b.cutoffs.Find(tx, id(kind, target))
	return ok && (!issued.At.After(c.At) || issued.Cutoffs < c.Number), err
}

// Ended reports whether a target that does not begin again has ended: whatever rests on it is dead, whenever it was issued.
func (b *Book) Ended(tx storage.Tx, kind, target string) (bool, error) {
	_, ok, err := b.cutoffs.Find(tx, id(kind, target))
	return ok, err
}
