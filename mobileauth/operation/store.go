// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/waiting"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

// KeepFor is how long operations are kept by default.
const KeepFor = 60 * 24 * time.Hour

// keepKeys is how long an idempotency key is remembered.
const keepKeys = 24 * time.Hour

// Sizes of a page.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// Users is what is asked about the person of an operation.
type Users interface {
	// Active returns nil when the user may do things now, an error that is mobileauth.ErrInactive when they may not or are not
	// there, and any other error when that could not be found out.
	Active(tx storage.Tx, userID string) error
}

// Devices is what is asked of the phones. A handset.Store is one.
type Devices interface {
	Find(tx storage.Tx, id string) (handset.Device, bool, error)
	Live(tx storage.Tx, userID string) ([]handset.Device, error)
	Usable(tx storage.Tx, d *handset.Device) error
	Accept(tx storage.Tx, m handset.Message) (handset.Device, error)
	Verify(tx storage.Tx, d *handset.Device, p handset.Proof, by audit.Actor) (handset.Verdict, error)
}

// Audit is where every change and every answer is written down, in the transaction that makes it. An audit.Trail is one.
type Audit interface {
	Prepare(e audit.Event) audit.Event
	Append(tx storage.Tx, e audit.Event) error
	Log(ctx context.Context, e audit.Event)
}

// Receipts makes the evidence of an approved operation, for the device that approved it. The same operation may be asked for
// several times.
type Receipts interface {
	Make(ctx context.Context, o Operation, d handset.Device) (string, error)
}

// What says what a [Change] is about.
type What string

// What can be told of operations.
const (
	Started   What = "started"
	Fetched   What = "fetched"   // the first device has it
	Ended     What = "ended"     // it is not open any more: approved, denied, failed, expired, cancelled
	WasUsed   What = "redeemed"  // the approval was redeemed
	Resent    What = "resent"    // the same notification or code is to be sent again
	Switched  What = "switched"  // another channel has taken over, on which it is to be sent
	Claimed   What = "claimed"   // somebody has scanned it, and is asked now
	NotMe     What = "not_me"    // the person says that somebody else begins operations
	Warned    What = "last_try"  // one more wrong answer blocks the user (Regulation (EU) 2018/389, article 4(4))
	Blocked   What = "blocked"   // the user may not answer for a while, or until an operator says so
	Unblocked What = "unblocked" // an operator has lifted a block; there is no operation
)

// Change is told to [Config].OnChange. With the operation's id and version it can be named outside the transaction.
type Change struct {
	What      What
	Operation Operation
	UserID    string
}

// Config describes a [Store]. DB, Sealer, Users, Devices, Audit and Now are required.
type Config struct {
	DB      storage.DB
	Sealer  storage.Sealer
	Users   Users
	Devices Devices
	Audit   Audit
	Now     func() time.Time
	// Logger gets what [Store.Run] cannot do. Nil is none.
	Logger *slog.Logger
	// Receipts makes a receipt for each authorisation and signature that a device approves, in the transaction of the approval; a code
	// over SMS has none, since nobody but the server could sign it. Nil makes none.
	Receipts Receipts
	// OnChange runs in the transaction of the change: callbacks, notifications and alerts are written into the outbox there.
	// Being part of a closure it may run several times, and draws nothing. At most six writes for each change, twelve for one
	// that is about a message. An error that is [ErrChannel] refuses the message, and with it what would have sent it.
	OnChange []func(tx storage.Tx, c Change) error
	// Pushes reports whether a notification can be sent to a device: it has an address, and a service is configured that
	// reaches it. Nil is that there is no service at all.
	Pushes func(d *handset.Device) bool
	// Ended is told of an operation that is not open any more, on the node that ended it and after the commit: for metrics. It may be
	// told of the same one several times, and is told of none that ended with others because its user or device is out. It must not
	// block. Nil is told nothing.
	Ended  func(o Operation)
	Limits Limits
	// KeepFor is how long operations are kept. Default: [KeepFor].
	KeepFor time.Duration
}

// Store keeps operations. It is safe for concurrent use. Any number of stores may stand over one database; those that wait
// for something in one learn within a second of what another did, while [Store.Run] runs, and at once while [Store.Follow] does.
type Store struct {
	db       storage.DB
	users    Users
	devices  Devices
	audit    Audit
	receipts Receipts
	clock    func() time.Time
	logger   *slog.Logger
	onChange []func(storage.Tx, Change) error
	ended    func(Operation)
	pushes   func(*handset.Device) bool
	limits   Limits

	operations storage.Table[Operation]
	desks      storage.Table[record.Desk]
	keys       storage.Table[record.Key]

	waiting *waiting.Room

	mu   sync.Mutex
	seen map[string]time.Time // starts that the tail has told of
}

const (
	operationTable = "operation"
	byUser         = "user"
	byExternal     = "external"
	byOTP          = "otp"
)

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Users == nil || c.Devices == nil || c.Audit == nil || c.Now == nil {
		return nil, errors.New("creating a store of operations: DB, Sealer, Users, Devices, Audit and Now are required")
	}
	limits, err := c.Limits.Normalize()
	if err != nil {
		return nil, fmt.Errorf("creating a store of operations: %w", err)
	}
	if c.KeepFor < 0 || c.KeepFor > 0 && c.KeepFor < keepKeys {
		return nil, fmt.Errorf("creating a store of operations: KeepFor must be at least %s", keepKeys)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Pushes == nil {
		c.Pushes = func(*handset.Device) bool { return false }
	}
	keep := cmp.Or(c.KeepFor, KeepFor)
	return &Store{
		db: c.DB, users: c.Users, devices: c.Devices, audit: c.Audit, receipts: c.Receipts, clock: c.Now, logger: c.Logger,
		onChange: slices.Clone(c.OnChange), ended: c.Ended, limits: limits, pushes: c.Pushes,
		operations: operations(c.Sealer, keep), desks: record.Desks(c.Sealer), keys: record.Keys(),
		waiting: waiting.New(limits.Waiters, storage.Mark),
		seen:    map[string]time.Time{},
	}, nil
}

func operations(sealer storage.Sealer, keep time.Duration) storage.Table[Operation] {
	return storage.Table[Operation]{
		Name: operationTable, Version: 1, Sealer: sealer,
		ID:     func(o *Operation) string { return o.ID },
		Expiry: func(o *Operation) time.Time { return o.CreatedAt.Add(keepFor(o, keep)) },
		Indexes: []storage.Index[Operation]{
			{Name: byUser, Values: func(o *Operation) []string { return unless("", o.UserID) }},
			{Name: byExternal, Values: externalKeys},
			{Name: byOTP, Unique: true, Values: func(o *Operation) []string { return unless("", o.OTPHash) }},
		},
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	operations, desks, keys := operations(sealer, KeepFor), record.Desks(sealer), record.Keys()
	return []storage.Kind{&operations, &desks, &keys}
}

// keepFor is how long an operation is kept. Nobody has anything to do with one that was never scanned, and anybody who looks at a
// page may have had it started.
func keepFor(o *Operation, keep time.Duration) time.Duration {
	if o.UserID == "" {
		return min(keep, keepKeys+time.Hour)
	}
	return keep
}

// unless returns what an index holds of a record: nothing for a value that is none.
func unless(none, value string) []string {
	if value == none {
		return nil
	}
	return []string{value}
}

func externalKeys(o *Operation) []string {
	if o.ExternalID == "" {
		return nil
	}
	return []string{record.ExternalKey(o.ClientID, o.ExternalID)}
}

// now has the precision that every engine keeps.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// Get returns the operation with the given id, as it stands now, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (o Operation, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		o, err = s.operations.Get(tx, id)
		return err
	})
	if err != nil {
		return Operation{}, fmt.Errorf("reading operation %q: %w", id, err)
	}
	return o.At(s.now()), nil
}

// Find returns the operation with the given id as it stands now, or that there is none.
func (s *Store) Find(tx storage.Tx, id string) (Operation, bool, error) {
	o, found, err := s.operations.Find(tx, id)
	return o.At(s.now()), found, err
}

// ListByUser returns operations of a user, the newest first, beginning after the given id: at most limit of them, which is
// [DefaultPage] when it is not positive and [MaxPage] at most. A page shorter than that is the last.
func (s *Store) ListByUser(ctx context.Context, userID, after string, limit int) ([]Operation, error) {
	return s.list(ctx, byUser, userID, after, limit)
}

// ByExternalID returns the operations that a client started under its own reference, the newest first, as
// [Store.ListByUser] does. A reference may be used again, as when a payment is asked for a second time.
func (s *Store) ByExternalID(ctx context.Context, clientID, externalID, after string, limit int) ([]Operation, error) {
	return s.list(ctx, byExternal, record.ExternalKey(clientID, externalID), after, limit)
}

func (s *Store) list(ctx context.Context, index, value, after string, limit int) (page []Operation, err error) {
	if limit <= 0 {
		limit = DefaultPage
	}
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		page = nil
		for o, err := range s.operations.List(tx, index, value, after, min(limit, MaxPage)) {
			if err != nil {
				return err
			}
			page = append(page, o.At(now))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing operations: %w", err)
	}
	return page, nil
}

// tell runs the hooks of a change.
func (s *Store) tell(tx storage.Tx, what What, o Operation) error {
	return s.tellOf(tx, Change{What: what, Operation: o, UserID: o.UserID})
}

func (s *Store) tellOf(tx storage.Tx, c Change) error {
	for _, hook := range s.onChange {
		if err := hook(tx, c); err != nil {
			return fmt.Errorf("telling that an operation %s: %w", c.What, err)
		}
	}
	return nil
}

// event describes something that happens to an operation, by whoever the context names.
func event(by audit.Actor, name string, o *Operation) audit.Event {
	return audit.Event{
		Name: name, Outcome: audit.Accepted, Reason: o.Reason, Subject: o.UserID, DeviceID: o.DeviceID, Operation: o.ID,
		ClientID: cmp.Or(by.ClientID, o.ClientID),
	}.Caused(by)
}
