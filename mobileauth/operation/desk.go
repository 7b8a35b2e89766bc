// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// pushMemory is how long a notification counts against the budget that only a success restores. Without an end, ten
// operations that nobody saw would leave a person without notifications for ever.
const pushMemory = 24 * time.Hour

// desk is what is known of a user beside their operations: which are open, and what counts against the user. Every start and
// every answer reads and writes it, so those of one user run one after the other.
type desk struct {
	UserID string  `json:"user"`
	Open   []entry `json:"open,omitempty"`
	// Pushes are the notifications since the last success, the oldest first.
	Pushes []time.Time `json:"pushes,omitempty"`
	// NotMe is set when the user said that somebody else begins operations.
	NotMe bool `json:"not_me,omitempty"`
	// Factors and Numbers are the wrong ones in a row.
	Factors int `json:"factors,omitempty"`
	Numbers int `json:"numbers,omitempty"`
	// BlockedUntil is when the user may answer again; Barred is not before an operator says so.
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
	Barred       bool      `json:"barred,omitempty"`
}

// entry is one open operation.
type entry struct {
	ID       string    `json:"id"`
	DeviceID string    `json:"device,omitempty"`
	AnswerBy time.Time `json:"by"`
}

func deskTable(sealer storage.Sealer) storage.Table[desk] {
	return storage.Table[desk]{
		Name: "operation_desk", Version: 1, Sealer: sealer,
		ID:     func(d *desk) string { return d.UserID },
		Expiry: (*desk).expires,
	}
}

// expires is when the desk says nothing any more. What counts against a user does not run out by itself.
func (d *desk) expires() time.Time {
	if d.failures() > 0 || d.NotMe || d.Barred {
		return time.Time{}
	}
	var until time.Time
	for _, e := range d.Open {
		until = later(until, e.AnswerBy)
	}
	if n := len(d.Pushes); n > 0 {
		until = later(until, d.Pushes[n-1].Add(pushMemory))
	}
	return until
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (d *desk) failures() int { return d.Factors + d.Numbers }

// readDesk returns the desk of a user as it stands at now.
func (s *Store) readDesk(tx storage.Tx, userID string, now time.Time) (desk, error) {
	d, _, err := s.desks.Find(tx, userID)
	if err != nil {
		return desk{}, err
	}
	d.UserID = userID
	d.Open = slices.DeleteFunc(d.Open, func(e entry) bool { return !now.Before(e.AnswerBy) })
	d.Pushes = slices.DeleteFunc(d.Pushes, func(at time.Time) bool { return now.Sub(at) >= pushMemory })
	return d, nil
}

// writeDesk stores a desk, or removes one that says nothing.
func (s *Store) writeDesk(tx storage.Tx, d desk) error {
	if len(d.Open) == 0 && len(d.Pushes) == 0 && !d.NotMe && !d.Barred && d.failures() == 0 {
		return s.desks.Delete(tx, d.UserID)
	}
	return s.desks.Put(tx, d)
}

func (d *desk) add(o *Operation) {
	d.Open = append(d.Open, entry{ID: o.ID, DeviceID: o.DeviceID, AnswerBy: o.AnswerBy})
}

func (d *desk) drop(id string) {
	d.Open = slices.DeleteFunc(d.Open, func(e entry) bool { return e.ID == id })
}

func (d *desk) blocked(now time.Time) bool { return d.Barred || now.Before(d.BlockedUntil) }

// push spends one notification, or says why there is none.
func (d *desk) push(l *Limits, now time.Time) string {
	if d.NotMe {
		return PushHeldNotMe
	}
	recent := 0
	for _, at := range d.Pushes {
		if now.Sub(at) < time.Minute {
			recent++
		}
	}
	if recent >= l.PushesPerMinute || len(d.Pushes) >= l.PushesSinceSuccess {
		return PushHeldBudget
	}
	d.Pushes = append(d.Pushes, now)
	return PushQueued
}

// fail counts a wrong answer and returns what the user is to be told: [Warned] before a block, [Blocked] with one.
func (d *desk) fail(l *Limits, factor bool, now time.Time) What {
	if factor {
		d.Factors++
	} else {
		d.Numbers++
	}
	n := d.failures()
	switch {
	case n >= l.FailuresForGood:
		d.Barred = true
		return Blocked
	case n >= l.Failures:
		d.BlockedUntil = now.Add(pause(l, n))
		return Blocked
	case n == l.Failures-1:
		return Warned
	}
	return ""
}

// pause is how long n wrong answers in a row block.
func pause(l *Limits, n int) time.Duration {
	d := l.Block
	for range n - l.Failures {
		if d *= 2; d >= l.MaxBlock {
			return l.MaxBlock
		}
	}
	return d
}

// left is how many wrong answers the user has until a block. A block that has passed leaves one.
func (d *desk) left(l *Limits) int { return max(1, l.Failures-d.failures()) }

// succeed restores what an approval restores: see the package about counting.
func (d *desk) succeed(factor, number bool) {
	d.Pushes, d.NotMe = nil, false
	if factor {
		d.Factors = 0
	}
	if factor || number {
		d.Numbers = 0
	}
	if d.failures() == 0 {
		d.BlockedUntil = time.Time{}
	}
}
