// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

const (
	password = "correct horse"
	home     = "192.0.2.1"
	abroad   = "198.51.100.7"
)

// house is a store under test. About half of its transaction closures run twice, and faults can be injected.
type house struct {
	*identity.Store
	t      testing.TB
	db     *storagetest.FaultyDB
	clock  *storagetest.Clock
	hasher *identity.Hasher
}

func newHouse(t testing.TB, change ...func(*identity.Config)) *house {
	t.Helper()
	clock := storagetest.NewClock()
	h := &house{t: t, clock: clock, db: engines.All[0].Open(t, clock.Now)}
	config := identity.Config{DB: h.db, Hasher: newHasher(t, identity.HasherConfig{Concurrent: 4, Queue: 1000}), Now: clock.Now}
	for _, fn := range change {
		fn(&config)
	}
	h.hasher = config.Hasher
	var err error
	if h.Store, err = identity.New(config); err != nil {
		t.Fatal(err)
	}
	return h
}

func logins(names ...string) identity.Profile { return identity.Profile{Logins: names} }

// add stores a user with the given login names and the usual password.
func (h *house) add(names ...string) identity.User {
	h.t.Helper()
	return h.addUser(identity.NewUser{Profile: logins(names...), Password: password})
}

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

func (h *house) wrong(login, ip string) {
	h.t.Helper()
	h.expect(login, "a wrong guess", ip, identity.Refused, identity.ReasonWrongPassword)
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

func (h *house) holds(text string) bool {
	h.t.Helper()
	return slices.ContainsFunc(h.items(""), func(i storage.Item) bool {
		return strings.Contains(i.Key, text) || strings.Contains(string(i.Value), text)
	})
}

// fieldOf returns the field that err names, or nothing.
func fieldOf(err error) string {
	var field *identity.FieldError
	if !errors.As(err, &field) {
		return ""
	}
	return field.Field
}
