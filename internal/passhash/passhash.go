// SPDX-License-Identifier: Apache-2.0

package passhash

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/gatehouse-id/gatehouse/internal/turns"
)

// Errors of the package. None of them repeats a hash.
var (
	// ErrKind says that a text is no hash of a kind that is accepted; the error says what it looks like.
	ErrKind = errors.New("not a password hash that is accepted")
	// ErrFormat says that a hash of an accepted kind is malformed.
	ErrFormat = errors.New("malformed password hash")
	// ErrCost says that a hash would cost too much to check.
	ErrCost = errors.New("password hash too expensive to check")
	// ErrBusy says that too many passwords are being checked already.
	ErrBusy = errors.New("too many passwords are being checked")
)

// MaxPassword is the longest password in bytes. A longer one is never right.
const MaxPassword = 1 << 10

// memoryAtOnce is what the hashes that one [Verifier] computes at once may hold together.
const memoryAtOnce = 2 * MaxMemory

// defaultLike stands in for users who are not known until a hash of one who is has been seen.
const defaultLike = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"

// Config describes a [Verifier]. The zero value is usable.
type Config struct {
	// Concurrent is how many hashes are computed at once. Default: GOMAXPROCS.
	Concurrent int
	// Queue is how many more may wait; a negative value lets none wait. Default: 32 per Concurrent.
	Queue int
	// Like is a hash of the kind and cost that the users have: [Verifier.Spend] does as much work. Default: the hash that was
	// verified last.
	Like string
}

// Verifier verifies passwords, a bounded number at once. It is safe for concurrent use.
type Verifier struct {
	turns  *turns.Queue
	memory *semaphore.Weighted
	limits limits
	fixed  bool
	// like stands in for the hash of somebody who has none.
	like atomic.Pointer[standIn]
}

// stored is a parsed hash.
type stored interface {
	// match reports whether the hash is one of the password.
	match(password []byte) (bool, error)
	// shape is the kind and the cost; memory the bytes that one check holds.
	shape() string
	memory() int64
	// standIn returns a hash of the same shape that is one of nothing.
	standIn() stored
}

// standIn is a hash of nothing.
type standIn struct{ stored }

// New returns a verifier, or an error when the hash that it is to work like cannot be used.
func New(c Config) (*Verifier, error) { return newWithin(c, defaultLimits) }

func newWithin(c Config, l limits) (*Verifier, error) {
	v := &Verifier{
		turns:  turns.New(turns.Config{Concurrent: c.Concurrent, Waiting: c.Queue}),
		memory: semaphore.NewWeighted(memoryAtOnce),
		limits: l,
		fixed:  c.Like != "",
	}
	like, err := defaultLike, error(nil)
	if v.fixed {
		like = c.Like
	} else {
		l = defaultLimits
	}
	h, err := parse(like, l)
	if err != nil {
		return nil, fmt.Errorf("building a password verifier: %w", err)
	}
	v.like.Store(&standIn{h.standIn()})
	return v, nil
}

// Check returns the error that [Verifier.Verify] would return for the text of a hash, and computes nothing.
func Check(encoded string) error {
	_, err := parse(encoded, defaultLimits)
	return err
}

// Verify reports whether encoded is a hash of password. It returns [ErrKind], [ErrFormat] or [ErrCost] for a text that cannot
// be used, after the work of [Verifier.Spend], so that who has such a hash is not told apart from others by time; [ErrBusy]
// when the queue is full; and the cause of ctx when that ends before the work begins.
func (v *Verifier) Verify(ctx context.Context, encoded, password string) (bool, error) {
	h, err := parse(encoded, v.limits)
	if err != nil {
		if spent := v.Spend(ctx, password); spent != nil {
			return false, spent
		}
		return false, fmt.Errorf("reading a password hash: %w", err)
	}
	if !v.fixed && v.like.Load().shape() != h.shape() {
		v.like.Store(&standIn{h.standIn()})
	}
	return v.check(ctx, h, password)
}

// Spend does the work of verifying a password for somebody who has none. It returns an error like [Verifier.Verify].
func (v *Verifier) Spend(ctx context.Context, password string) error {
	_, err := v.check(ctx, v.like.Load(), password)
	return err
}

// check takes a turn, then memory: a slot is held while memory is waited for, and whoever holds memory has a slot.
func (v *Verifier) check(ctx context.Context, h stored, password string) (match bool, err error) {
	place, ok := v.turns.Reserve()
	if !ok {
		return false, fmt.Errorf("queueing to verify a password: %w", ErrBusy)
	}
	defer place.Release()
	tooLong := len(password) > MaxPassword
	if tooLong {
		password = password[:MaxPassword]
	}
	waited := place.Run(ctx, func() {
		if v.memory.Acquire(ctx, h.memory()) != nil {
			err = context.Cause(ctx)
			return
		}
		defer v.memory.Release(h.memory())
		match, err = h.match([]byte(password))
	})
	if waited != nil {
		err = waited
	}
	if err != nil {
		return false, fmt.Errorf("verifying a password: %w", err)
	}
	return match && !tooLong, nil
}

// Stats returns figures for metrics: runs are hashes.
func (v *Verifier) Stats() turns.Stats { return v.turns.Stats() }
