// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Names of what the outbox keeps. A due entry names a line and the moment from which on its first item is to be delivered.
const (
	lineTable  = "outbox_line"
	duePrefix  = "outbox_due/"
	lanePrefix = "outbox_lane/"
)

// maxMilli is the last moment that thirteen digits can name, in the year 2286.
const maxMilli = 9_999_999_999_999

// line is the row of items with one key. It exists as long as it has items.
type line struct {
	Kind string    `json:"kind"`
	Key  string    `json:"key"`
	Lane string    `json:"lane,omitempty"`
	Head uint64    `json:"head"` // the item that is next
	Tail uint64    `json:"tail"` // the last item
	Due  time.Time `json:"due"`  // when the head is to be delivered
	// Tries counts those of the head that failed.
	Tries int `json:"tries,omitempty"`
	// Claim is whose turn it is to deliver the head, and ClaimUntil how long that loop may take, by its own clock.
	Claim      string    `json:"claim,omitempty"`
	ClaimUntil time.Time `json:"claim_until,omitzero"`
}

func (l *line) id() string { return l.Kind + "/" + l.Key }

// due is the key of the line's due entry. The key of the line comes last, so that nothing in it can be taken for another part.
func (l *line) due() string {
	return fmt.Sprintf("%s%013d/%s", laneKey(l.Kind, l.Lane), l.Due.UnixMilli(), l.Key)
}

// laneKey begins the due entries of a lane. Neither kind nor lane contains what separates them.
func laneKey(kind, lane string) string { return duePrefix + kind + "/" + lane + "/" }

// dueAt reads the moment and the line out of the key of a due entry.
func dueAt(prefix, kind, key string) (at time.Time, lineID string, ok bool) {
	digits, lineKey, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	milli, err := strconv.ParseInt(digits, 10, 64)
	return time.UnixMilli(milli), kind + "/" + lineKey, ok && err == nil
}

// entry is an item in its line.
type entry struct {
	Item
	Sequence uint64 `json:"sequence"`
}

func (e *entry) lineKey() string {
	if e.Key != "" {
		return e.Key
	}
	return e.ID
}

func (e *entry) id() string { return entryID(e.Kind+"/"+e.lineKey(), e.Sequence) }

func entryID(lineID string, sequence uint64) string { return fmt.Sprintf("%s/%020d", lineID, sequence) }

// enqueue puts an item at the end of its line.
func (o *Outbox) enqueue(tx storage.Tx, item Item) error {
	item.At = item.At.UTC().Truncate(time.Millisecond)
	e := entry{Item: item}
	l, ok, err := o.lines.Find(tx, item.Kind+"/"+e.lineKey())
	if err != nil {
		return err
	}
	if !ok {
		l = line{Kind: item.Kind, Key: e.lineKey(), Lane: item.Lane, Head: 1, Due: o.notBefore(item.At)}
		if err := openLane(tx, l.Kind, l.Lane); err != nil {
			return err
		}
		if err := putDue(tx, &l); err != nil {
			return err
		}
	}
	l.Tail++
	e.Sequence = l.Tail
	if err := o.items.Put(tx, e); err != nil {
		return err
	}
	return o.lines.Put(tx, l)
}

// notBefore is when an item is delivered that is to be from at on: never before now, since the loop looks at what is due next and
// only now and then at what should have been long ago.
func (o *Outbox) notBefore(at time.Time) time.Time {
	if now := o.config.Now(); at.Before(now) {
		at = now
	}
	return at.UTC().Truncate(time.Millisecond)
}

// openLane enters a lane among those that the loop looks through. It is read each time and written once, so that items of one
// lane do not collide.
func openLane(tx storage.Tx, kind, lane string) error {
	key := lanePrefix + kind + "/" + lane
	_, err := tx.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		err = tx.Put(storage.Item{Key: key})
	}
	if err != nil {
		return fmt.Errorf("opening a lane of the outbox: %w", err)
	}
	return nil
}

func putDue(tx storage.Tx, l *line) error {
	if err := tx.Put(storage.Item{Key: l.due()}); err != nil {
		return fmt.Errorf("entering a line of the outbox: %w", err)
	}
	return nil
}

// move has the head of a line delivered from another moment on, counted in whole milliseconds, and ends the claim.
func (o *Outbox) move(tx storage.Tx, l *line, to time.Time) error {
	if err := tx.Delete(l.due()); err != nil {
		return fmt.Errorf("moving a line of the outbox: %w", err)
	}
	l.Due = to
	l.Claim, l.ClaimUntil = "", time.Time{}
	if err := putDue(tx, l); err != nil {
		return err
	}
	return o.lines.Put(tx, *l)
}

// advance removes the head of a line and lets the next item follow at once, or removes the line with its last item. It does not
// read what it removes, which may be damaged.
func (o *Outbox) advance(tx storage.Tx, l *line) error {
	if err := tx.Delete(o.items.Name + "/" + entryID(l.id(), l.Head)); err != nil {
		return fmt.Errorf("removing an item of the outbox: %w", err)
	}
	l.Head++
	l.Tries = 0
	if l.Head > l.Tail {
		if err := tx.Delete(l.due()); err != nil {
			return fmt.Errorf("ending a line of the outbox: %w", err)
		}
		return o.lines.Delete(tx, l.id())
	}
	var at time.Time
	if next, err := o.items.Get(tx, entryID(l.id(), l.Head)); err == nil {
		at = next.At
	}
	return o.move(tx, l, o.notBefore(at))
}
