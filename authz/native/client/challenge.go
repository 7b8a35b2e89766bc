// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Handler answers the challenges of one realm: an app has one for each, with a screen of its own.
type Handler interface {
	// Answer returns the answers by the names of the fields. It is called again, with a [Failure] that says so, when they led
	// nowhere. An error ends the authorization with that error: a person who cancels is one.
	Answer(ctx context.Context, c Challenge) (map[string]string, error)
}

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, c Challenge) (map[string]string, error)

// Answer calls the function.
func (f HandlerFunc) Answer(ctx context.Context, c Challenge) (map[string]string, error) {
	return f(ctx, c)
}

// Challenge is what a realm asks.
type Challenge struct {
	Realm string `json:"-"`
	// Issuer is the server that asks. Whatever it says of itself, an answer that is signed for somebody is signed for this one.
	Issuer string `json:"-"`
	// Fields are asked in order.
	Fields []Field `json:"fields"`
	// Message is a text to show above them.
	Message string `json:"message"`
	// Data says more, to an app that knows the realm.
	Data map[string]string `json:"data"`
	// Notice is to be shown whatever else happens: an update, say.
	Notice *Notice `json:"notice"`
	// Failure is set when the last answer led nowhere.
	Failure *Failure `json:"failure"`
}

// Field is one thing that is asked. Label is a text in the language of the request, Type that of an HTML input.
type Field struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	Type         string `json:"type"`
	Value        string `json:"value"`
	Autocomplete string `json:"autocomplete"`
	InputMode    string `json:"input_mode"`
	Required     bool   `json:"required"`
}

// takeHidden takes away the fields that are not for people to see, and returns them: they go back as they came.
func (c *Challenge) takeHidden() map[string]string {
	answers := map[string]string{}
	c.Fields = slices.DeleteFunc(c.Fields, func(f Field) bool {
		hidden := f.Type == "hidden"
		if hidden {
			answers[f.Name] = f.Value
		}
		return hidden
	})
	return answers
}

// Notice is something that people are told. ID tells notices apart, so that each can be shown once.
type Notice struct {
	// Realm is the one that has accepted what it was told, and has this to say; empty in a [Challenge].
	Realm string `json:"realm"`
	ID    string `json:"id"`
	Text  string `json:"text"`
	URL   string `json:"url"`
}

// Codes of a [Failure].
const (
	Refused     = "refused"
	Throttled   = "throttled"
	Busy        = "busy"
	Unavailable = "unavailable"
)

// Failure says that an answer led nowhere, and when the next one may count.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Seconds int64  `json:"retry_after"`
}

// RetryAfter is how long to wait before the next answer.
func (f *Failure) RetryAfter() time.Duration { return time.Duration(f.Seconds) * time.Second }

// Wait returns a [*WaitError] where the server could not judge the last answer, and nil where it has refused it or where there is no failure.
// It is for handlers that answer by themselves: a person is shown the failure instead.
func (f *Failure) Wait() error {
	if f == nil || f.Code == Refused {
		return nil
	}
	return &WaitError{After: f.RetryAfter()}
}

// WaitError says that the server cannot judge at the moment, and how long to wait before it is asked again.
type WaitError struct{ After time.Duration }

// Error names the time.
func (e *WaitError) Error() string { return fmt.Sprintf("try again in %s", e.After) }

// RealmError says that a realm is asked for which the app has no handler.
type RealmError struct{ Realm string }

// Error names the realm.
func (e *RealmError) Error() string {
	return fmt.Sprintf("there is no handler for the realm %q", e.Realm)
}

// Error is an error of the server's, with its code (RFC 6749 5.2, draft-ietf-oauth-first-party-apps-04 5.2.2).
type Error struct {
	Status      int    `json:"-"`
	Code        string `json:"error"`
	Description string `json:"error_description"`
}

// Error returns code and description.
func (e *Error) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}
