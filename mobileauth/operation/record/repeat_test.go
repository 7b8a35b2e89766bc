// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
)

// TestKey: a key is of one client and for one request.
func TestKey(t *testing.T) {
	t.Parallel()
	was := record.NewKey("shop", "k", "pay 10")
	for _, tt := range []struct {
		name                 string
		client, key, request string
		same                 bool
		err                  error
	}{
		{"the same", "shop", "k", "pay 10", true, nil},
		{"another request", "shop", "k", "pay 11", true, record.ErrIdempotency},
		{"another client", "bank", "k", "pay 10", false, nil},
		{"another key", "shop", "l", "pay 10", false, nil},
		{"the same text, parted elsewhere", "sho", "pk", "pay 10", false, nil},
		{"no key", "shop", "", "pay 10", false, record.ErrIdempotency},
	} {
		now := record.NewKey(tt.client, tt.key, tt.request)
		if err := was.Check(now); (now.Name == was.Name) != tt.same || !errors.Is(err, tt.err) || now.None() != (tt.key == "") {
			t.Errorf("%s: %+v, %v, want %v", tt.name, now, err, tt.err)
		}
	}
	none := record.NewKey("shop", "", "pay 10")
	if none != (record.Key{}) {
		t.Errorf("no key is %+v", none)
	}
}

// TestKeyTellsNothing: neither key nor request can be read in what is kept.
func TestKeyTellsNothing(t *testing.T) {
	t.Parallel()
	k := record.NewKey("shop", "payment of alice", "pay 10 to bob")
	text, err := json.Marshal(k)
	if err != nil || strings.Contains(string(text)+k.Name, "alice") || strings.Contains(string(text), "bob") {
		t.Errorf("%s, %s, %v", k.Name, text, err)
	}
}

// TestExternalKey: two clients may have the same reference.
func TestExternalKey(t *testing.T) {
	t.Parallel()
	one := record.ExternalKey("shop", "order 1")
	if one != record.ExternalKey("shop", "order 1") || one == record.ExternalKey("bank", "order 1") || one == record.ExternalKey("shop", "order 2") || strings.Contains(one, "order") {
		t.Errorf("it is %s", one)
	}
}
