// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Asking starts operations by mobile types. An asking.Service does.
type Asking interface {
	Start(ctx context.Context, r asking.Request) (operation.Operation, bool, error)
	Methods(ctx context.Context, userID, deviceID, application string) ([]asking.Available, error)
}

// Operations is what is done with an operation once it was started. An operation.Store does.
type Operations interface {
	Wait(ctx context.Context, id string, since uint64, d time.Duration) (operation.Operation, error)
	Redeem(ctx context.Context, id, clientID string) (operation.Outcome, error)
	Cancel(ctx context.Context, id, reason string) (operation.Operation, error)
	Resend(ctx context.Context, id, clientID string) (operation.Operation, error)
	Verify(ctx context.Context, id, clientID, code string) (operation.Outcome, error)
}

// Person is what a proof says of a user beside the id.
type Person struct {
	// Name is for display, Login what the user types.
	Name, Login string
}

// People knows users.
type People interface {
	// ByLogin returns the id of the user with a login name, empty when there is none.
	ByLogin(ctx context.Context, login string) (id string, err error)
	// Person returns what is known of a user, nothing of one who is not there.
	Person(ctx context.Context, id string) (Person, error)
}

// Phones is the mobile side. All fields are required.
type Phones struct {
	Asking     Asking
	Operations Operations
	People     People
	Types      *mobiletype.Set
	// Issuer is what a phone that scans is told.
	Issuer string
	// Digits is how many of them the number has that is typed on the phone.
	Digits int
	// Starts counts a question to somebody of whom no more than a name was typed, by the address at which it was, and returns how long
	// to wait where that is one too many; zero when it may begin.
	Starts func(address string) time.Duration
	// Shown returns where the key was shown to be with which a phone has answered an operation, empty where it was not, and whether that is
	// as good as least. With no least, everything is.
	Shown func(ctx context.Context, o *operation.Operation, least string) (grade string, enough bool, err error)
}

// Config describes a [Guest].
type Config struct {
	// Type is the mobile type by which people are asked, Also are those that they may choose instead.
	Type string
	Also []string
	// Fallback narrows what the type may fall back to. Unless it is empty or [mobiletype.AnyFallback], an approval by less than the
	// type asks for is no proof, and no type of Also may ask for less.
	Fallback mobiletype.Fallbacks
	// Attestation is the least grade of a phone whose approval is a proof; empty is any.
	Attestation string
	// Phones returns the mobile side; nil as long as it is not there. Required.
	Phones func() *Phones
	// Now is required.
	Now func() time.Time
	// Pause waits, or returns the cause when ctx ends. Default: by the clock of the machine.
	Pause func(ctx context.Context, d time.Duration) error
}

// Guest is the authenticator and the login module of one realm. It keeps nothing between calls and is safe for concurrent use.
type Guest struct {
	Config
}

var (
	_ realm.Authenticator    = (*Guest)(nil)
	_ realm.ShowsTransaction = (*Guest)(nil)
	_ realm.LoginModule      = (*Guest)(nil)
	_ realm.Watcher          = (*Guest)(nil)
	_ realm.Withdrawer       = (*Guest)(nil)
)

// ShowsTransaction tells that the phone shows what is approved, and signs it.
func (*Guest) ShowsTransaction() bool { return true }

// New returns a guest, or an error when something is missing.
func New(c Config) (*Guest, error) {
	if c.Type == "" || c.Phones == nil || c.Now == nil {
		return nil, errors.New("building a realm of phones: type, phones and clock are required")
	}
	if c.Pause == nil {
		c.Pause = pause
	}
	c.Also = slices.Clone(c.Also)
	return &Guest{c}, nil
}

// Check returns what is wrong with a configuration whose types are those of a set.
func (c *Config) Check(types *mobiletype.Set) error {
	asked, ok := types.Get(c.Type)
	if !ok {
		return fmt.Errorf("the mobile type %q is not defined", c.Type)
	}
	if c.Fallback != "" && !c.Fallback.Known() {
		return fmt.Errorf("fallback %q: want any, same_or_higher or none", c.Fallback)
	}
	for i, name := range c.Also {
		other, ok := types.Get(name)
		switch {
		case !ok:
			return fmt.Errorf("the mobile type %q is not defined", name)
		case name == c.Type || slices.Contains(c.Also[:i], name):
			return fmt.Errorf("the mobile type %q is named twice", name)
		case c.strict() && !other.Method.Reaches(asked.Method):
			return fmt.Errorf("the mobile type %q proves less than %q, which fallback forbids", name, c.Type)
		}
	}
	return nil
}

// strict reports whether nothing below the type's own method is a proof.
func (c *Config) strict() bool {
	return c.Fallback == mobiletype.SameOrHigher || c.Fallback == mobiletype.NoFallback
}

// enough reports whether an approval proves what the realm stands for.
func (c *Config) enough(types *mobiletype.Set, o *operation.Operation) bool {
	asked, ok := types.Get(c.Type)
	return ok && (!c.strict() || o.Used.Reaches(asked.Method))
}

// pause waits by the clock of the machine.
func pause(ctx context.Context, d time.Duration) error {
	over, cancel := context.WithTimeoutCause(ctx, d, errOver)
	defer cancel()
	<-over.Done()
	if err := context.Cause(over); !errors.Is(err, errOver) {
		return err
	}
	return nil
}

// errOver ends a pause.
var errOver = errors.New("the pause is over")

// errNotThere says that the mobile side was not built.
var errNotThere = errors.New("the mobile side is not there")

// call is one round of one request.
type call struct {
	*Guest
	*Phones
	in    realm.Input
	state *state // nil when nobody was asked yet
}

func (g *Guest) call(in realm.Input) (*call, error) {
	phones := g.Config.Phones()
	if phones == nil {
		return nil, errNotThere
	}
	c := &call{Guest: g, Phones: phones, in: in}
	var err error
	c.state, err = parseState(in.State)
	return c, err
}

// masked reports whether nothing about the person may be told: who asks has no more than a name.
func (c *call) masked() bool { return c.in.Subject == "" && c.state != nil && c.state.Masked }

// language is the one to speak.
func (c *call) language() string { return cmp.Or(c.in.Locale, "en") }
