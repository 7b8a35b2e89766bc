// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// FieldAction is the field that carries the value of an [Action].
const FieldAction = "action"

// Client is the application that a request came from.
type Client struct {
	ID string
	// Name is what people know it by; empty where it has none.
	Name string
}

// Wait says of a challenge that it is answered elsewhere, such as on a phone. Who comes again without answers is told how far it
// is, and is let in when it was answered.
type Wait struct {
	Stage Stage
	// Number is typed where the challenge is answered; empty for none.
	Number string
	// Scan is what is drawn as a QR code for a phone; empty for none.
	Scan string
	// To is what may be shown of where a message went.
	To string
	// Since names what the challenge says: see [Watcher].
	Since string
	// Until is when it can be answered no more, and Every how often it is worth asking.
	Until time.Time
	Every time.Duration
}

// Stage is how far a challenge is that is answered elsewhere.
type Stage string

// The stages. Something is waited for in the first three alone.
const (
	StageAsked  Stage = "asked"  // somebody is being asked
	StageScan   Stage = "scan"   // a code is to be scanned
	StageCode   Stage = "code"   // a code was sent, and is typed here
	StageName   Stage = "name"   // who is to be asked is not known
	StageDenied Stage = "denied" // the answer was no
	// StageNotMe is for somebody who says that it was not they who began.
	StageNotMe     Stage = "not_me"
	StageExpired   Stage = "expired"
	StageFailed    Stage = "failed"    // too many answers were wrong
	StageCancelled Stage = "cancelled" // it was taken back
	// StageImpossible is for somebody who cannot be asked in this way now, and StageOther for an answer by somebody else.
	StageImpossible Stage = "impossible"
	StageOther      Stage = "other"
)

// Open reports whether there is anything to wait for.
func (s Stage) Open() bool { return s == StageAsked || s == StageScan || s == StageCode }

// Action is something else that can be done about a challenge than to answer it: the answer is then the one field [FieldAction].
type Action struct {
	Value string
	// Label is the key of a text, or the text itself.
	Label string
}

// Watcher is implemented by authenticators whose challenges are answered elsewhere.
type Watcher interface {
	// Watch waits until what Collect would say is not any more what it said in a challenge with that [Wait].Since, for most at
	// most. It reports whether that is so. It changes nothing.
	Watch(ctx context.Context, in Input, since string, most time.Duration) (changed bool, err error)
}

// Withdrawer is implemented by authenticators that have something to take back when a request is given up.
type Withdrawer interface {
	// Withdraw takes back what the challenge with that state began. It may be repeated.
	Withdraw(ctx context.Context, in Input) error
}

// Watch waits for news about a challenge of the named realm, as a [Watcher] does. Of a realm that is not answered elsewhere there
// is always news.
func (e *Engine) Watch(ctx context.Context, name string, in Input, since string, most time.Duration) (changed bool, err error) {
	r, ok := e.realms[name]
	if !ok {
		return false, fmt.Errorf("watching the realm %q: it is not defined", name)
	}
	watcher, ok := r.Authenticator.(Watcher)
	if !ok {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, most+DefaultTimeout)
	defer cancel()
	defer recovered(name, &err)
	if changed, err = watcher.Watch(ctx, e.known(r, in), since, most); err != nil {
		err = fmt.Errorf("watching the realm %q: %w", name, err)
	}
	return changed, unjudgedBy(err)
}

// Withdraw takes back what a challenge of the named realm began, if it began anything.
func (e *Engine) Withdraw(ctx context.Context, name string, in Input) (err error) {
	r, ok := e.realms[name]
	if !ok {
		return fmt.Errorf("withdrawing from the realm %q: it is not defined", name)
	}
	withdrawer, ok := r.Authenticator.(Withdrawer)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.patience(r))
	defer cancel()
	defer recovered(name, &err)
	if err = withdrawer.Withdraw(ctx, e.known(r, in)); err != nil {
		err = fmt.Errorf("withdrawing from the realm %q: %w", name, err)
	}
	return unjudgedBy(err)
}

// recovered makes an error of a guest's panic.
func recovered(name string, err *error) {
	if p := recover(); p != nil {
		*err = unjudgedBy(fmt.Errorf("a guest of the realm %q panicked: %w", name, panicked(p)))
	}
}

// known returns the input with what the engine knows.
func (e *Engine) known(r *Realm, in Input) Input {
	m, ok := r.LoginModule.(NeedsLogin)
	in.Realm, in.NeedsLogin, in.Identifies = r.Name, ok && m.NeedsLogin(), e.DeterminesUser(r.Name)
	in.Fields, in.Headers = maps.Clone(in.Fields), maps.Clone(in.Headers) // a guest that is given up may go on reading
	return in
}
