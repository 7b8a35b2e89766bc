// SPDX-License-Identifier: Apache-2.0

package confirm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// keepFor is how long a confirmation is remembered after it can be of use no more, so that whoever comes with it late is told
// apart from whoever comes with one that never was.
const keepFor = 24 * time.Hour

// maxID bounds what is taken for the id of an operation.
const maxID = 128

// use says of an operation that a request passes by its approval, and that its client has nothing else of it.
const use = "confirm"

// ErrLimited says that the client, or the user, has had as many requests confirmed as may be at once. See [LimitedError].
var ErrLimited = errors.New("too many requests are to be confirmed")

// LimitedError says when one more may be asked about.
type LimitedError struct{ After time.Duration }

// Error says so.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("asking about a request: too many for now, again after %s", e.After)
}

// Unwrap returns [ErrLimited].
func (*LimitedError) Unwrap() error { return ErrLimited }

// Owner is who sends a request, and under which rule.
type Owner struct {
	UserID   string `json:"user"`
	ClientID string `json:"client"`
	// Session is what the caller's credential rests on: it ends with a logout, and outlives a token.
	Session string `json:"session"`
	// Rule names the rule of the route, and changes with what it asks and shows.
	Rule string `json:"rule"`
}

// Question is a request to be confirmed.
type Question struct {
	Owner

	Binding Binding
	// Type is the mobile type by which the person is asked. Message is what is asked, as [Template.Render] made it.
	Type     string
	Message  string
	Language string
	// Address and UserAgent are where the request comes from.
	Address   netip.Addr
	UserAgent string
	// Digits is how many digits the person has to type; zero is what is usual.
	Digits int
	// Common says that the client is one that everybody has, as a site in a browser is. It is not bounded: a few people would use up what
	// is everybody's. What it asks is the user's own doing, and takes none of the places that clients have on the phone.
	Common bool
}

// Confirmation is the record of one request that somebody is asked about.
type Confirmation struct {
	Operation string `json:"operation"`
	Owner
	Binding

	// Until is when it can be of use no more.
	Until time.Time `json:"until"`
}

// slot says which operation asks about a request now.
type slot struct {
	Key       string    `json:"-"`
	Operation string    `json:"operation"`
	Until     time.Time `json:"until"`
}

// Operations is what a question is started with. It is what asking.Service.With takes.
type Operations interface {
	Start(ctx context.Context, start operation.Start) (operation.Operation, bool, error)
	Repeated(ctx context.Context, clientID, key, fingerprint string) (operation.Operation, bool, error)
	Standing(ctx context.Context, userID string) (operation.Standing, error)
}

// Config describes a [Store]. All fields but the limiters are required.
type Config struct {
	DB         storage.DB
	Operations *operation.Store
	// Ask puts a question as an authorisation, by nothing but its type, over the given operations.
	Ask   func(ctx context.Context, over Operations, q *Question) (operation.Operation, bool, error)
	Audit *audit.Trail
	Now   func() time.Time
	// Window is how long an approval can be redeemed, at most. Records are kept until then and a day longer.
	Window time.Duration
	// Clients and Users bound how many operations one client that is not common, and one user, has started. Nil is no bound.
	Clients, Users *limit.Limiter
}

// Store keeps confirmations. It is safe for concurrent use, and any number of stores may stand over one database.
type Store struct {
	config Config

	confirmations storage.Table[Confirmation]
	slots         storage.Table[slot]
}

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Operations == nil || c.Ask == nil || c.Audit == nil || c.Now == nil || c.Window <= 0 {
		return nil, errors.New("creating a store of confirmations: DB, Operations, Ask, Audit, Now and Window are required")
	}
	s := describe()
	s.config = c
	return &s, nil
}

// describe returns a store that knows its tables and nothing else.
func describe() Store {
	return Store{
		confirmations: storage.Table[Confirmation]{
			Name: "confirmation", Version: 1,
			ID:     func(r *Confirmation) string { return r.Operation },
			Expiry: func(r *Confirmation) time.Time { return r.Until.Add(keepFor) },
		},
		slots: storage.Table[slot]{
			Name: "confirmation_slot", Version: 1,
			ID:     func(s *slot) string { return s.Key },
			Expiry: func(s *slot) time.Time { return s.Until },
		},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	s := describe()
	return []storage.Kind{&s.confirmations, &s.slots}
}

// key names a request of somebody.
func (q *Question) key() string {
	b := &q.Binding
	return digest(q.UserID, q.ClientID, q.Session, q.Rule, b.Method, b.Target, b.Header, b.Body)
}

// Start asks the user about a request. Where the same request of the same caller is being asked about, or was approved and
// not passed yet, it returns that operation, with created false: a caller that repeats what it sent asks nobody twice. Refusals
// are [ErrLimited] and those of [Config].Ask.
func (s *Store) Start(ctx context.Context, q Question) (o operation.Operation, created bool, err error) {
	key := q.key()
	err = s.config.DB.View(ctx, func(tx storage.Tx) error {
		o, err = s.standing(tx, key)
		return err
	})
	if err != nil {
		return operation.Operation{}, false, fmt.Errorf("asking about a request: %w", err)
	}
	if o.ID != "" {
		return o, false, nil
	}
	if wait := s.limited(&q); wait > 0 {
		return operation.Operation{}, false, &LimitedError{wait}
	}
	starts := &starting{Store: s.config.Operations, of: s, question: &q, key: key}
	return s.config.Ask(ctx, starts, &q)
}

// Asked returns the operation that was last started about a request of a caller, whatever has become of it, until an approval of it
// could be of use no more. Found is false where there is none.
func (s *Store) Asked(ctx context.Context, q *Question) (o operation.Operation, found bool, err error) {
	err = s.config.DB.View(ctx, func(tx storage.Tx) error {
		o, found, err = s.asked(tx, q.key())
		return err
	})
	if err != nil {
		return operation.Operation{}, false, fmt.Errorf("finding what was asked about a request: %w", err)
	}
	return o, found, nil
}

// limited returns how long whoever asks has to wait. What a user has too much of is not counted against the client, which many use.
func (s *Store) limited(q *Question) time.Duration {
	if wait := s.config.Users.Take(q.UserID).Wait; wait > 0 || q.Common {
		return wait
	}
	return s.config.Clients.Take(q.ClientID).Wait
}

// standing returns the operation that asks about a request, none where nothing does any more.
func (s *Store) standing(tx storage.Tx, key string) (operation.Operation, error) {
	o, found, err := s.asked(tx, key)
	if err != nil || !found || !o.State.Open() && (o.State != operation.Approved || !s.config.Now().Before(o.RedeemBy)) {
		return operation.Operation{}, err
	}
	return o, nil
}

// asked returns the operation that was last started about a request.
func (s *Store) asked(tx storage.Tx, key string) (operation.Operation, bool, error) {
	place, found, err := s.slots.Find(tx, key)
	if err != nil || !found {
		return operation.Operation{}, false, err
	}
	return s.config.Operations.Find(tx, place.Operation)
}

// starting writes the record of a confirmation with the operation, in its transaction.
type starting struct {
	*operation.Store

	of       *Store
	question *Question
	key      string
}

// Start starts the operation, unless another caller has started one for the same request meanwhile.
func (st *starting) Start(ctx context.Context, start operation.Start) (o operation.Operation, created bool, err error) {
	start.Use, start.OwnRequest, start.Common = use, true, st.question.Common
	draft, err := st.Prepare(ctx, start)
	if err != nil {
		return operation.Operation{}, false, err
	}
	err = st.of.config.DB.Update(ctx, func(tx storage.Tx) error {
		created = false
		if o, err = st.of.standing(tx, st.key); err != nil || o.ID != "" {
			return err
		}
		if o, created, err = st.StartTx(tx, draft); err != nil {
			return err
		}
		return st.write(tx, &o)
	})
	if err != nil {
		return operation.Operation{}, false, fmt.Errorf("starting an operation about a request: %w", err)
	}
	if created {
		st.Started(ctx, draft, o)
	}
	return o, created, nil
}

func (st *starting) write(tx storage.Tx, o *operation.Operation) error {
	until := o.AnswerBy.Add(st.of.config.Window)
	record := Confirmation{Operation: o.ID, Owner: st.question.Owner, Binding: st.question.Binding, Until: until}
	if err := st.of.confirmations.Insert(tx, record); err != nil {
		return err
	}
	return st.of.slots.Put(tx, slot{Key: st.key, Operation: o.ID, Until: until})
}
