// SPDX-License-Identifier: Apache-2.0

package mobiletest

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Keys draws the keys of a phone.
func Keys(t testing.TB) envelope.Keys {
	t.Helper()
	keys, err := Draw()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Draw is [Keys] where there is no test.
func Draw() (envelope.Keys, error) {
	sign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("drawing a signing key: %w", err)
	}
	enc, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return envelope.Keys{}, fmt.Errorf("drawing an encryption key: %w", err)
	}
	return envelope.NewKeys(sign, enc)
}

// Users are people: everybody is active until something else is said. The zero value is ready, and safe for concurrent use.
type Users struct {
	mu  sync.Mutex
	out map[string]error
}

// Active returns what was said of a user.
func (u *Users) Active(_ storage.Tx, id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out[id]
}

// Lock has a user be inactive.
func (u *Users) Lock(id string) { u.Say(id, fmt.Errorf("user %q: %w", id, mobileauth.ErrInactive)) }

// Say has Active return err for a user.
func (u *Users) Say(id string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.out == nil {
		u.out = map[string]error{}
	}
	u.out[id] = err
}

// Together runs n functions at once and returns their errors.
func Together(n int, run func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}
