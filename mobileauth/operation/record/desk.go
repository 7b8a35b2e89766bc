// SPDX-License-Identifier: Apache-2.0

package record

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrTooManyOpen says that as many operations of the user are open as may be, and ErrShare that as many are of one client, or of clients
// together: what is left is for others.
var (
	ErrTooManyOpen = errors.New("too many operations of the user are open")
	ErrShare       = fmt.Errorf("%w that the client has begun, or others have", ErrTooManyOpen)
)

// Of the places for open operations of a user, keptFromNamed are kept from clients that have no more than named the user, and
// keptFromClients from those that had the user's credential as well: so the user can always log in, and agree on a site.
const (
	keptFromNamed   = 2
	keptFromClients = 1
)

// pushMemory is how long a notification counts against the budget that only a success restores. Without an end, ten
// operations that nobody saw would leave a person without notifications for ever.
const pushMemory = 24 * time.Hour

// Desk is what is known of a user beside their operations: which are open, and what counts against the user. Every start and
// every answer reads and writes it, so those of one user run one after the other.
type Desk struct {
	UserID string  `json:"user"`
	Open   []Entry `json:"open,omitempty"`
	// Pushes are the notifications since the last success, the oldest first.
	Pushes []time.Time `json:"pushes,omitempty"`
	// ForClients are those of them that were for clients.
	ForClients []time.Time `json:"for_clients,omitempty"`
	// NotMe is set when the user said that somebody else begins operations.
	NotMe bool `json:"not_me,omitempty"`
	// Factors, Numbers and Codes are the wrong ones in a row.
	Factors int `json:"factors,omitempty"`
	Numbers int `json:"numbers,omitempty"`
	Codes   int `json:"codes,omitempty"`
	// BlockedUntil is when the user may answer again; Barred is not before an operator says so.
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
	Barred       bool      `json:"barred,omitempty"`
}

// Entry is one open operation.
type Entry struct {
	ID       string    `json:"id"`
	DeviceID string    `json:"device,omitempty"`
	AnswerBy time.Time `json:"by"`
	// ClientID is the client that has begun it, empty for the server and its sites. Named says that it did so by naming the user.
	ClientID string `json:"client,omitempty"`
	Named    bool   `json:"named,omitempty"`
}

func entryOf(o *Operation) Entry {
	e := Entry{ID: o.ID, DeviceID: o.DeviceID, AnswerBy: o.AnswerBy}
	if !o.Common {
		e.ClientID, e.Named = o.ClientID, o.ClientID != "" && !o.OwnRequest
	}
	return e
}

// Expires is when the desk says nothing any more. What counts against a user does not run out by itself.
func (d *Desk) Expires() time.Time {
	if d.Failures() > 0 || d.NotMe || d.Barred {
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

// Failures are the wrong answers in a row, whatever was wrong about them.
func (d *Desk) Failures() int { return d.Factors + d.Numbers + d.Codes }

// Add puts an open operation on the desk.
func (d *Desk) Add(o *Operation) {
	d.Open = append(d.Open, entryOf(o))
}

// Admit returns nil when one more operation may be open, and [ErrTooManyOpen] otherwise, which is [ErrShare] where others still may.
// One client has its share of the places, all clients together have all but some of them, and those that have named the user all but
// some more.
func (d *Desk) Admit(l *Limits, o *Operation) error {
	if len(d.Open) >= l.Open {
		return ErrTooManyOpen
	}
	asks := entryOf(o)
	if asks.ClientID == "" {
		return nil
	}
	own, named, clients := 0, 0, 0
	for _, e := range d.Open {
		switch {
		case e.ClientID == "":
			continue
		case e.ClientID == asks.ClientID:
			own++
		}
		if clients++; e.Named {
			named++
		}
	}
	if own >= l.OpenOfClient || clients >= l.Open-keptFromClients || asks.Named && named >= max(1, l.Open-keptFromNamed) {
		return ErrShare
	}
	return nil
}

// Drop takes an operation off the desk.
func (d *Desk) Drop(id string) {
	d.Open = slices.DeleteFunc(d.Open, func(e Entry) bool { return e.ID == id })
}

// Blocked reports whether the user may not answer now.
func (d *Desk) Blocked(now time.Time) bool { return d.Barred || now.Before(d.BlockedUntil) }

// Tidy forgets what counts no more at now.
func (d *Desk) Tidy(now time.Time) {
	d.Open = slices.DeleteFunc(d.Open, func(e Entry) bool { return !now.Before(e.AnswerBy) })
	old := func(at time.Time) bool { return now.Sub(at) >= pushMemory }
	d.Pushes, d.ForClients = slices.DeleteFunc(d.Pushes, old), slices.DeleteFunc(d.ForClients, old)
}

// Bare reports whether the desk says nothing.
func (d *Desk) Bare() bool {
	return len(d.Open) == 0 && len(d.Pushes) == 0 && !d.NotMe && !d.Barred && d.Failures() == 0
}

// Push spends one notification for an operation, or says why there is none. Clients do not get those that are kept for the user.
func (d *Desk) Push(l *Limits, o *Operation, now time.Time) string {
	client := entryOf(o).ClientID != ""
	switch {
	case d.NotMe:
		return PushHeldNotMe
	case spent(d.Pushes, l.PushesPerMinute, l.PushesSinceSuccess, now):
		return PushHeldBudget
	case client && spent(d.ForClients, forClients(l.PushesPerMinute), forClients(l.PushesSinceSuccess), now):
		return PushHeldBudget
	}
	d.Pushes = append(d.Pushes, now)
	if client {
		d.ForClients = append(d.ForClients, now)
	}
	return PushQueued
}

// spent reports whether no more notifications may be sent, of so many a minute and so many in all.
func spent(sent []time.Time, minute, all int, now time.Time) bool {
	recent := 0
	for _, at := range sent {
		if now.Sub(at) < time.Minute {
			recent++
		}
	}
	return recent >= minute || len(sent) >= all
}

// forClients is how many of so many notifications clients get: all but a fifth, as far as there are several.
func forClients(of int) int { return max(1, of-max(1, of/5)) }

// Wrong is what was wrong about an answer.
type Wrong int

// What can be.
const (
	WrongFactor Wrong = iota
	WrongNumber
	WrongCode
)

// Alert is what the user is to be told after a wrong answer, empty for nothing.
type Alert string

// The alerts.
const (
	AlertLastTry Alert = "last_try" // one more blocks
	AlertBlocked Alert = "blocked"
)

// Fail counts a wrong answer and returns what the user is to be told.
func (d *Desk) Fail(l *Limits, of Wrong, now time.Time) Alert {
	switch of {
	case WrongFactor:
		d.Factors++
	case WrongNumber:
		d.Numbers++
	case WrongCode:
		d.Codes++
	}
	n := d.Failures()
	switch {
	case n >= l.FailuresForGood:
		d.Barred = true
		return AlertBlocked
	case n >= l.Failures:
		d.BlockedUntil = now.Add(pause(l, n))
		return AlertBlocked
	case n == l.Failures-1:
		return AlertLastTry
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

// Left is how many wrong answers the user has until a block. A block that has passed leaves one.
func (d *Desk) Left(l *Limits) int { return max(1, l.Failures-d.Failures()) }

// Succeed restores what an approval restores: see the package about counting.
func (d *Desk) Succeed(factor, number bool) {
	d.Pushes, d.ForClients, d.NotMe = nil, nil, false
	if factor {
		d.Factors = 0
	}
	if factor || number {
		d.Numbers = 0
	}
	d.unblock()
}

// Typed clears what a right code clears: the wrong ones. Whoever has the number of a phone has not shown that they hold the phone.
func (d *Desk) Typed() {
	d.Codes = 0
	d.unblock()
}

func (d *Desk) unblock() {
	if d.Failures() == 0 {
		d.BlockedUntil = time.Time{}
	}
}
