// SPDX-License-Identifier: Apache-2.0

package asking

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Operations is what is asked of the operations. An operation.Store is one.
type Operations interface {
	Start(ctx context.Context, start operation.Start) (operation.Operation, bool, error)
	Repeated(ctx context.Context, clientID, key, fingerprint string) (operation.Operation, bool, error)
	Standing(ctx context.Context, userID string) (operation.Standing, error)
}

// Devices is what is asked of the phones. A handset.Store is one.
type Devices interface {
	Live(tx storage.Tx, userID string) ([]handset.Device, error)
}

// Person is what is known of a user.
type Person struct {
	// Number is where messages go, as it was written down; empty is none.
	Number string
	// Languages are those that the person reads, the best first (BCP 47).
	Languages []string
}

// People finds people.
type People interface {
	// Active returns nil when the user may do things now, an error that is mobileauth.ErrInactive when they may not or are not
	// there, and any other error when that could not be found out.
	Active(tx storage.Tx, userID string) error
	// Person returns what is known of a user, nothing at all of one who is not there.
	Person(tx storage.Tx, userID string) (Person, error)
}

// Origin is where the request comes from that the person is asked about.
type Origin struct {
	Address   netip.Addr
	UserAgent string
}

// Config describes a [Service]. DB, Operations, Devices, People and Types are required.
type Config struct {
	DB         storage.DB
	Operations Operations
	Devices    Devices
	People     People
	Types      *mobiletype.Set
	// Budget bounds what messages cost. Without one nothing goes over SMS.
	Budget *budget.Store
	// Numbers says which numbers are sent messages.
	Numbers phonenumber.Policy
	// Allows reports whether devices of an application may answer by a factor now. Nil allows what they have registered.
	Allows func(application, factor string) bool
	// Describe returns a message with what is known about where the request comes from, in at most that many characters. It does
	// not fail: where it knows nothing it returns the message. Nil is that.
	Describe func(ctx context.Context, from Origin, language, message string, most int) string
}

// Service chooses. It is safe for concurrent use.
type Service struct {
	db         storage.DB
	operations Operations
	devices    Devices
	people     People
	types      *mobiletype.Set
	budget     *budget.Store
	numbers    phonenumber.Policy
	allows     func(application, factor string) bool
	describe   func(ctx context.Context, from Origin, language, message string, most int) string
}

// New returns a service.
func New(c Config) (*Service, error) {
	if c.DB == nil || c.Operations == nil || c.Devices == nil || c.People == nil || c.Types == nil {
		return nil, errors.New("creating the choice of how people are asked: DB, Operations, Devices, People and Types are required")
	}
	if c.Allows == nil {
		c.Allows = func(string, string) bool { return true }
	}
	if c.Describe == nil {
		c.Describe = func(_ context.Context, _ Origin, _, message string, _ int) string { return message }
	}
	return &Service{
		db: c.DB, operations: c.Operations, devices: c.Devices, people: c.People, types: c.Types, budget: c.Budget,
		numbers: c.Numbers, allows: c.Allows, describe: c.Describe,
	}, nil
}

// With returns the service over other operations: for whoever writes down something of its own with what is started.
func (s *Service) With(o Operations) *Service {
	c := *s
	c.operations = o
	return &c
}

// Why a type could not begin: [operation.Skipped].Reason.
const (
	NoDevice    = "no_device"    // the user has no phone that is active, of the app and the device that was named
	NoFactor    = "no_factor"    // none of them has what the type asks for, nor a PIN in its place
	NoNumber    = "no_number"    // there is no number to send to
	BadNumber   = "bad_number"   // what stands there is no number, or one that is sent no messages
	NoGateway   = "no_gateway"   // messages are not configured
	SMSLimit    = "sms_limit"    // no more messages may be sent now
	NoMessage   = "no_message"   // neither the request nor the type says anything
	NotOverSMS  = "not_over_sms" // what is asked cannot be said, or not be signed, in a message
	NotScanning = "not_scanning" // the type is for people who scan, and somebody was named
)

// ErrImpossible says that the user cannot be asked by the type, nor by what it may fall back to; see [ImpossibleError].
var ErrImpossible = errors.New("the user cannot be asked in this way")

// ImpossibleError says why nothing of a chain could begin.
type ImpossibleError struct{ Skipped []operation.Skipped }

// Error lists types and reasons.
func (e *ImpossibleError) Error() string {
	var all strings.Builder
	for _, s := range e.Skipped {
		fmt.Fprintf(&all, " %s: %s;", s.Type, s.Reason)
	}
	return "asking a user:" + strings.TrimSuffix(all.String(), ";")
}

// Unwrap returns [ErrImpossible].
func (*ImpossibleError) Unwrap() error { return ErrImpossible }

// Spending is for operation.Config.OnChange, before what sends messages: it spends the budget for each that is going to be sent, and
// counts those whose code was typed in. What is over the budget is refused with [operation.ErrChannel].
func Spending(b *budget.Store) func(tx storage.Tx, c operation.Change) error {
	return func(tx storage.Tx, c operation.Change) error {
		o := &c.Operation
		if o.Channel != operation.BySMS || o.SMS == nil {
			return nil
		}
		sent := c.What == operation.Started || c.What == operation.Resent || c.What == operation.Switched
		typed := c.What == operation.Ended && o.State == operation.Approved
		if !sent && !typed {
			return nil
		}
		number, err := phonenumber.Parse(o.SMS.To)
		if err != nil {
			return fmt.Errorf("%w: %w", operation.ErrChannel, err)
		}
		if typed {
			return b.Typed(tx, number)
		}
		err = b.Spend(tx, budget.Message{Number: number, UserID: o.UserID})
		if errors.Is(err, budget.ErrSpent) {
			return fmt.Errorf("%w: %w", operation.ErrChannel, err)
		}
		return err
	}
}
