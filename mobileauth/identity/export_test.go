// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity/phc"
)

// Occupy takes one of the hasher's places and, if run is set, computes until the returned function is called. It lets tests
// fill the queue without timing.
func (h *Hasher) Occupy(run bool) (release func()) {
	p := h.admit()
	if !run {
		return p.release
	}
	started, stop, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer p.release()
		_ = p.run(context.Background(), func() {
			close(started)
			<-stop
		})
	}()
	<-started
	return func() {
		close(stop)
		<-done
	}
}

// Instant makes hashing free, for benchmarks of everything else.
func (h *Hasher) Instant() {
	h.derive = func(password []byte, hash phc.Hash) []byte {
		key := make([]byte, len(hash.Key))
		copy(key, password)
		return key
	}
}

// During runs fn in the middle of every hash.
func (h *Hasher) During(fn func()) {
	derive := h.derive
	h.derive = func(password []byte, hash phc.Hash) []byte {
		fn()
		return derive(password, hash)
	}
}

// MatchAll makes every password match every hash.
func (h *Hasher) MatchAll() {
	h.derive = func(_ []byte, hash phc.Hash) []byte { return hash.Key }
}
