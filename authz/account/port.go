// SPDX-License-Identifier: Apache-2.0

package account

import (
	"context"
	"errors"
	"time"
)

// Errors of [Phones], [Registrations] and [Certificates]. Any other is a failure, and is shown as one.
var (
	// ErrGone says that the user has no such phone, registration or certificate, or not any more.
	ErrGone = errors.New("there is no such thing of the user's")
	// ErrName says that a phone cannot be called that.
	ErrName = errors.New("the name cannot be used")
	// ErrSingle says that the user may have one phone, and has one.
	ErrSingle = errors.New("the user has a phone already")
	// ErrNotNow says that no phone can be added, at least not now.
	ErrNotNow = errors.New("no phone can be added now")
)

// Phones knows the phones of users. What belongs to another user is [ErrGone], like what never was. Who acts stands in the
// context, as package audit has it.
type Phones interface {
	// Of returns what the user has: all that is not out for good.
	Of(ctx context.Context, user string) (Owned, error)
	// Rename gives a phone a name, or returns [ErrName].
	Rename(ctx context.Context, user, phone, name string) error
	// Remove takes a phone out for good, with what rests on it.
	Remove(ctx context.Context, user, phone string) error
}

// Registrations adds phones. A login is all that is known about who asks: a phone that is added here is never one that
// somebody vouched for.
type Registrations interface {
	// Begin starts a registration for an app and returns its id. One that the user has begun and not finished is returned
	// instead.
	Begin(ctx context.Context, user, app string) (id string, err error)
	// Find returns how far a registration is.
	Find(ctx context.Context, user, id string) (Registration, error)
	// Confirm takes the digits that the phone shows. What comes of them is what Find returns then.
	Confirm(ctx context.Context, user, id, digits string) error
	// Stop ends a registration that is not finished, and the phone with it.
	Stop(ctx context.Context, user, id string) error
}

// Owned is what a user has.
type Owned struct {
	Phones []Phone
	// Apps are those for which phones can be added.
	Apps []App
	// Operations are what the user was asked lately, the newest first.
	Operations []Operation
	// Adding is the id of a registration that the user has begun and not finished.
	Adding string
	// Disowned is when the user last said that they had not begun what they were asked, if that was lately.
	Disowned time.Time
}

// Phone is a device of a user. Status is a word of the store's.
type Phone struct {
	ID, Name, Model, App, Status string
	Since, Seen                  time.Time
	// Grade says where the phone's key was shown to be, and Shown when; empty and zero where nothing was.
	Grade string
	Shown time.Time
}

// App is an application that phones are added for.
type App struct{ ID, Name string }

// Operation is what a user was asked. Kind and State are words of the store's, Title is what the user was shown.
type Operation struct {
	Kind, State, Title string
	At                 time.Time
}

// Stage is how far a registration is.
type Stage string

// The stages.
const (
	Waiting Stage = "waiting" // no phone has come with the code
	Confirm Stage = "confirm" // a phone has, and shows digits
	Wrong   Stage = "wrong"   // other digits were typed
	Done    Stage = "done"    // the phone can be used
	Held    Stage = "held"    // an older phone of the user has to agree
	Check   Stage = "check"   // whoever runs the issuer has to agree
	Expired Stage = "expired" // it took too long
	Refused Stage = "refused" // it was stopped, or proven wrongly too often
)

func (s Stage) open() bool { return s == Waiting || s == Confirm || s == Wrong }

// Registration is a phone that is being added. Code and QR are there while it waits, and are secrets of the user.
type Registration struct {
	ID, App, Phone string
	Stage          Stage
	Code, QR       string
	TriesLeft      int
	Expires        time.Time
}

// String names the registration and not the code.
func (r Registration) String() string { return "registration " + r.ID }

// GoString names the registration and not the code.
func (r Registration) GoString() string { return r.String() }
