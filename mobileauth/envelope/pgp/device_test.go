// SPDX-License-Identifier: Apache-2.0

package pgp_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
)

// The phone's half speaks with the server's.
func TestDevice(t *testing.T) {
	t.Parallel()
	phone := pgp.Device{Key: newKey(t, pgp.V6)}
	private, public, err := pgp.Pair(phone.Public(), noon)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pgp.NewChannel(private, phone.Public())
	if err != nil {
		t.Fatal(err)
	}
	m, err := phone.Seal([]byte(wait), public, noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := server.Unwrap(encode(t, pgp.Body{PGP: m}), noon); err != nil || string(got) != wait {
		t.Errorf("the server reads %s, %v", got, err)
	}
	body, err := server.Wrap(json.RawMessage(wait), noon)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := phone.Open(body.PGP, public, noon); err != nil || string(got) != wait {
		t.Errorf("the phone reads %s, %v", got, err)
	}
	if _, err := phone.Open(m, public, noon); !errors.Is(err, pgp.ErrMessage) {
		t.Errorf("its own message: %v", err)
	}
	for name, key := range map[string][]byte{"no key": nil, "a private key": private} {
		if _, err := phone.Seal([]byte(wait), key, noon); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("sealing to %s: %v", name, err)
		}
		if _, err := phone.Open(body.PGP, key, noon); !errors.Is(err, pgp.ErrKey) {
			t.Errorf("opening of %s: %v", name, err)
		}
	}
	if (pgp.Device{}).Public() != nil {
		t.Error("no key has a public half")
	}
	if _, err := (pgp.Device{}).Seal([]byte(wait), public, noon); !errors.Is(err, pgp.ErrKey) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := pgp.Seal(make([]byte, pgp.MaxMessage), phone.Key, phone.Key.Public(), noon); !errors.Is(err, pgp.ErrMessage) {
		t.Errorf("too much: %v", err)
	}
}
