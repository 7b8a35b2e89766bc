// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/internal/turns"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity/phc"
)

// Defaults of [HasherConfig]: the first choice of OWASP for Argon2id.
const (
	DefaultMemory  = 19 << 10 // KiB
	DefaultTime    = 2
	DefaultThreads = 1
	saltBytes      = 16
	keyBytes       = 32
)

// Params are the cost parameters of Argon2id.
type Params = phc.Params

// HasherConfig describes a [Hasher]. The zero value is usable.
type HasherConfig struct {
	// Params are used for new hashes; a hash with others is replaced at the next login. Default: m=19456, t=2, p=1.
	Params Params
	// Concurrent is how many hashes are computed at once, each holding Params.Memory. Default: GOMAXPROCS.
	Concurrent int
	// Queue is how many more may wait; a negative value lets none wait. Default: 32 per Concurrent.
	Queue int
}

// Hasher computes password hashes, a bounded number at once. It is safe for concurrent use.
type Hasher struct {
	params Params
	dummy  phc.Hash
	turns  *turns.Queue

	derive func(password []byte, h phc.Hash) []byte
}

// Stats is a snapshot of a [Hasher] for metrics: its runs are hashes.
type Stats = turns.Stats

// NewHasher returns a hasher. It refuses parameters outside the bounds of [Params.Check].
func NewHasher(c HasherConfig) (*Hasher, error) {
	if c.Params == (Params{}) {
		c.Params = Params{Memory: DefaultMemory, Time: DefaultTime, Threads: DefaultThreads}
	}
	if err := c.Params.Check(); err != nil {
		return nil, err
	}
	h := &Hasher{
		params: c.Params,
		turns:  turns.New(turns.Config{Concurrent: c.Concurrent, Waiting: c.Queue}),
		derive: deriveArgon,
	}
	// The dummy is no hash of anything: a random key costs the same to compare with and matches nothing.
	h.dummy = phc.Hash{Params: c.Params, Salt: random(saltBytes), Key: random(keyBytes)}
	return h, nil
}

// Stats returns the hasher's figures.
func (h *Hasher) Stats() Stats { return h.turns.Stats() }

// Hash returns a fresh hash of password. It fails with [ErrBusy] when the queue is full and with the cause of ctx when
// that ends first.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	p, err := h.reserve()
	if err != nil {
		return "", err
	}
	defer p.release()
	return p.hash(ctx, password)
}

// Verify reports whether hash is one of password, in the time one hash takes. It fails like [Hasher.Hash], and with
// [ErrHash] for a hash that cannot be read.
func (h *Hasher) Verify(ctx context.Context, hash, password string) (bool, error) {
	p, err := h.reserve()
	if err != nil {
		return false, err
	}
	defer p.release()
	return p.verify(ctx, hash, password)
}

// NeedsRehash reports whether hash was made with another algorithm or other parameters than new hashes are.
func (h *Hasher) NeedsRehash(hash string) bool {
	parsed, err := phc.Parse(hash)
	return err != nil || parsed.Bcrypt != "" || parsed.Params != h.params ||
		len(parsed.Salt) < saltBytes || len(parsed.Key) < keyBytes
}

// place is a right to run or wait, taken before anything else so that an attempt that cannot be served costs nothing and
// leaves no trace.
type place struct {
	h    *Hasher
	turn turns.Place
}

func (h *Hasher) reserve() (place, error) {
	turn, ok := h.turns.Reserve()
	if !ok {
		return place{}, fmt.Errorf("queueing for the password hasher: %w", ErrBusy)
	}
	return place{h, turn}, nil
}

// admit is reserve for work that waits its turn however long the queue is, such as an import.
func (h *Hasher) admit() place { return place{h, h.turns.Admit()} }

func (p place) release() { p.turn.Release() }

func (p place) hash(ctx context.Context, password string) (string, error) {
	fresh := phc.Hash{Params: p.h.params, Salt: random(saltBytes), Key: make([]byte, keyBytes)}
	err := p.run(ctx, func() { fresh.Key = p.h.derive(prepare(password), fresh) })
	if err != nil {
		return "", err
	}
	return fresh.String(), nil
}

// verify with an empty hash does the work of one and reports false.
func (p place) verify(ctx context.Context, hash, password string) (bool, error) {
	want := p.h.dummy
	if hash != "" {
		var err error
		if want, err = phc.Parse(hash); err != nil {
			return false, err
		}
	}
	var match bool
	var failure error
	err := p.run(ctx, func() {
		if want.Bcrypt != "" {
			failure = bcrypt.CompareHashAndPassword([]byte(want.Bcrypt), prepare(password))
			match = failure == nil
			return
		}
		match = subtle.ConstantTimeCompare(p.h.derive(prepare(password), want), want.Key) == 1
	})
	switch {
	case err != nil:
		return false, err
	case failure != nil && !errors.Is(failure, bcrypt.ErrMismatchedHashAndPassword):
		return false, fmt.Errorf("checking a bcrypt hash: %w", ErrHash)
	}
	return match && hash != "", nil
}

func (p place) run(ctx context.Context, work func()) error {
	if err := p.turn.Run(ctx, work); err != nil {
		return fmt.Errorf("waiting for the password hasher: %w", err)
	}
	return nil
}

func deriveArgon(password []byte, h phc.Hash) []byte {
	return argon2.IDKey(password, h.Salt, h.Params.Time, h.Params.Memory, h.Params.Threads, uint32(len(h.Key)))
}

// prepare brings a password to NFC (NIST SP 800-63B-4, 3.1.1.2), so that two keyboards that compose "é" differently agree.
func prepare(password string) []byte { return norm.NFC.Bytes([]byte(password)) }

// random cannot fail: since Go 1.24 the generator crashes the program rather than return an error or weak bytes.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
