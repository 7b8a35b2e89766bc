// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

const home = "192.0.2.1"

// Hashes made elsewhere, of "password" and of "U*U".
const (
	argonPassword = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	argonParallel = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
	bcryptUstarU  = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
)

// house is a store under test. About half of its transaction closures run twice, and faults can be injected.
type house struct {
	*identity.Store
	t      testing.TB
	db     *storagetest.FaultyDB
	clock  *storagetest.Clock
	hasher *identity.Hasher
}

func newHouse(t testing.TB) *house {
	t.Helper()
	clock := storagetest.NewClock()
	h := &house{t: t, clock: clock, db: engines.All[0].Open(t, clock.Now)}
	hasher, err := identity.NewHasher(identity.HasherConfig{
		Concurrent: 4, Queue: 1000, Params: identity.Params{Memory: 64, Time: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := identity.Config{DB: h.db, Hasher: hasher, Now: clock.Now}
	h.hasher = hasher
	if h.Store, err = identity.New(config); err != nil {
		t.Fatal(err)
	}
	return h
}

func logins(names ...string) identity.Profile { return identity.Profile{Logins: names} }

func (h *house) addUser(n identity.NewUser) identity.User {
	h.t.Helper()
	u, err := h.Add(h.t.Context(), n)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// try makes one attempt and fails the test if it cannot be decided.
func (h *house) try(login, password, ip string) identity.Outcome {
	h.t.Helper()
	out, err := h.Authenticate(h.t.Context(), identity.Attempt{Login: login, Password: password, ClientIP: ip})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// expect makes one attempt and compares its result and reason.
func (h *house) expect(login, password, ip string, result identity.Result, reason identity.Reason) identity.Outcome {
	h.t.Helper()
	out := h.try(login, password, ip)
	if out.Result != result || out.Reason != reason {
		h.t.Fatalf("attempt as %q from %s: %s (%s), want %s (%s)", login, ip, out.Result, out.Reason, result, reason)
	}
	return out
}

func (h *house) accepted(login, password, ip string) identity.Outcome {
	h.t.Helper()
	return h.expect(login, password, ip, identity.Accepted, "")
}

// get reads the user as stored.
func (h *house) get(id string) identity.User {
	h.t.Helper()
	u, err := h.Get(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return u
}

// items returns everything in the store, keys and values, whose key begins with prefix.
func (h *house) items(prefix string) []storage.Item {
	h.t.Helper()
	var items []storage.Item
	err := h.db.View(h.t.Context(), func(tx storage.Tx) error {
		items = nil
		for item, err := range tx.Scan(prefix, "", 0) {
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return items
}

// fieldOf returns the field that err names, or nothing.
func fieldOf(err error) string {
	var field *identity.FieldError
	if !errors.As(err, &field) {
		return ""
	}
	return field.Field
}
