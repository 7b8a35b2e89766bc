// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Defaults and bounds of a [Config].
const (
	// DefaultMaxFailures is the number of wrong factors in a row that deactivates a device. Regulation (EU) 2018/389,
	// article 4(3)(b), allows no more.
	DefaultMaxFailures = 5
	// MaxMaxFailures is what NIST SP 800-63B-4, 3.2.10, allows for an activation secret.
	MaxMaxFailures = 10
	// DefaultMaxDevices is how many devices a user may have at once.
	DefaultMaxDevices = 16
	// MaxMaxDevices bounds the record in which they are counted.
	MaxMaxDevices = 32
	// DefaultWindow is how far the clock of a message may be off, either way.
	DefaultWindow = time.Minute
	// KeepDeactivated is how long a deactivated device is remembered, and its keys refused.
	KeepDeactivated = 365 * 24 * time.Hour
)

// Sizes of a page.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// Users is what is asked about the owner of a device.
type Users interface {
	// Active returns nil when the user may do things now, an error that is mobileauth.ErrInactive when they may not or are not
	// there, and any other error when that could not be found out.
	Active(tx storage.Tx, userID string) error
}

// Audit is where changes are written down, in the transaction that makes them.
type Audit interface {
	Prepare(e audit.Event) audit.Event
	Append(tx storage.Tx, e audit.Event) error
}

// Notice says that something happened to a device which its user, or a back end, is to be told.
type Notice struct {
	// What is [LastTry] or [StatusChanged].
	What string
	// Device is the record as it is now, Before the status it had.
	Device Device
	Before Status
}

// What a [Notice] can be about.
const (
	// LastTry comes before the wrong factor that would deactivate the device: article 4(4) of Regulation (EU) 2018/389 wants
	// the payer to be alerted before.
	LastTry = "last_try"
	// StatusChanged comes with every new status, the first one among them.
	StatusChanged = "status"
)

// Config describes a [Store]. DB, Sealer, Users, Audit and Now are required.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	Users  Users
	Audit  Audit
	Now    func() time.Time
	// Logger gets what nobody has to act on; nil is none.
	Logger *slog.Logger
	// OnRevoke runs in the transaction that takes a device out, so that tokens, sessions and open operations which rest on it
	// end with it or not at all. Being part of a closure it may run several times; all hooks together have some 20 writes.
	OnRevoke []func(tx storage.Tx, d Device) error
	// OnNotice runs in the transaction in which the thing happened.
	OnNotice []func(tx storage.Tx, n Notice) error
	// MaxFailures is the number of wrong factors in a row that deactivates a device. Default: 5, at most 10.
	MaxFailures int
	// MaxDevices is how many devices a user may have at once. Default: 16, at most 32.
	MaxDevices int
	// Window is how far the clock of a message may be off, either way. Default: a minute.
	Window time.Duration
}

// Store keeps devices. It is safe for concurrent use, holds nothing in memory between calls, and any number of stores may
// stand over one database.
type Store struct {
	db          storage.DB
	users       Users
	audit       Audit
	clock       func() time.Time
	logger      *slog.Logger
	onRevoke    []func(storage.Tx, Device) error
	onNotice    []func(storage.Tx, Notice) error
	maxFailures int
	maxDevices  int
	window      time.Duration

	devices  storage.Table[record]
	counts   storage.Table[counts]
	rosters  storage.Table[roster]
	seen     storage.Table[seen]
	history  storage.Table[Change]
	blocks   storage.Table[Block]
	handsets storage.Table[handsetKey]
}

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Users == nil || c.Audit == nil || c.Now == nil {
		return nil, errors.New("creating a store of devices: DB, Sealer, Users, Audit and Now are required")
	}
	if c.MaxFailures < 0 || c.MaxFailures > MaxMaxFailures {
		return nil, fmt.Errorf("creating a store of devices: MaxFailures must be 1 to %d", MaxMaxFailures)
	}
	if c.MaxDevices < 0 || c.MaxDevices > MaxMaxDevices {
		return nil, fmt.Errorf("creating a store of devices: MaxDevices must be 1 to %d", MaxMaxDevices)
	}
	if c.Window < 0 {
		return nil, errors.New("creating a store of devices: Window must not be negative")
	}
	s := &Store{
		db: c.DB, users: c.Users, audit: c.Audit, clock: c.Now, logger: c.Logger,
		onRevoke: slices.Clone(c.OnRevoke), onNotice: slices.Clone(c.OnNotice),
		maxFailures: cmp.Or(c.MaxFailures, DefaultMaxFailures), maxDevices: cmp.Or(c.MaxDevices, DefaultMaxDevices),
		window: cmp.Or(c.Window, DefaultWindow),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	s.describe(c.Sealer)
	return s, nil
}

// now has the precision that every engine keeps.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// Get returns the device with the given id or [ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (d Device, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		var found bool
		if d, found, err = s.Find(tx, id); err == nil && !found {
			err = ErrNotFound
		}
		return err
	})
	if err != nil {
		return Device{}, fmt.Errorf("reading device %q: %w", id, err)
	}
	return d, nil
}

// ByServerKey returns the device for which alone the server keeps the encryption key of that name, or [ErrNotFound].
func (s *Store) ByServerKey(ctx context.Context, kid string) (d Device, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		if kid == "" || !printable(kid, maxServerKeyID) {
			return ErrNotFound
		}
		r, err := s.devices.Lookup(tx, byServerKey, kid)
		if err == nil {
			d, err = s.complete(tx, r)
		}
		return err
	})
	if err != nil {
		return Device{}, fmt.Errorf("reading a device by the key of the server: %w", err)
	}
	return d, nil
}

// ByUser returns the devices of a user: all that are not deactivated, and the latest of those that are.
func (s *Store) ByUser(ctx context.Context, userID string) (devices []Device, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		devices, err = s.ofUser(tx, userID, func(member) bool { return true })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing devices of a user: %w", err)
	}
	return devices, nil
}

// ByHash returns the devices on the handset with the given hash, in ascending order of their id and beginning after the
// given one, at most limit of them.
func (s *Store) ByHash(ctx context.Context, hash, after string, limit int) (devices []Device, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		devices = nil
		if !ValidHash(hash) {
			return nil
		}
		devices, err = s.collect(tx, s.devices.List(tx, byHash, hash, after, page(limit)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing devices of a handset: %w", err)
	}
	return devices, nil
}

// List returns devices in ascending order of their id, beginning after the given one: at most limit of them, which is
// [DefaultPage] when it is not positive and [MaxPage] at most. A page shorter than that is the last.
func (s *Store) List(ctx context.Context, after string, limit int) (devices []Device, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		devices, err = s.collect(tx, s.devices.All(tx, after, page(limit)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing devices: %w", err)
	}
	return devices, nil
}

func (s *Store) collect(tx storage.Tx, rows iter.Seq2[record, error]) (devices []Device, err error) {
	for r, err := range rows {
		if err != nil {
			return nil, err
		}
		d, err := s.complete(tx, r)
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

func page(limit int) int {
	if limit <= 0 {
		return DefaultPage
	}
	return min(limit, MaxPage)
}

// NewID draws the id of a device that is to be added. It is called outside closures.
func NewID() string { return randid.New("dev") }

// Hash returns what tells the handset of the given text from others, without telling the text: HMAC-SHA-256 under a key
// that is drawn once and kept sealed in the store. It survives a change of the sealing key, as a secret derived from that
// would not. The text is what an app says; it makes a handset recognisable and proves nothing. An empty text has an empty
// hash.
func (s *Store) Hash(ctx context.Context, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if len(text) > MaxHandset {
		return "", invalid("handset", "longer than %d bytes", MaxHandset)
	}
	key, err := s.handsetKey(ctx)
	if err != nil {
		return "", fmt.Errorf("hashing a handset: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)), nil
}

func (s *Store) handsetKey(ctx context.Context) ([]byte, error) {
	var k handsetKey
	read := func(tx storage.Tx) (err error) {
		k, err = s.handsets.Get(tx, handsetKeyID)
		return err
	}
	err := s.db.View(ctx, read)
	if !errors.Is(err, storage.ErrNotFound) {
		return k.Key, err
	}
	fresh := handsetKey{ID: handsetKeyID, Key: []byte(randid.Secret())}
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		k = fresh
		err := s.handsets.Insert(tx, fresh)
		if errors.Is(err, storage.ErrExists) {
			return read(tx)
		}
		return err
	})
	return k.Key, err
}
