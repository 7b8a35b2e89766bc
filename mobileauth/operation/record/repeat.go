// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/subtle"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// ErrIdempotency says that a key was used for another request.
var ErrIdempotency = errors.New("the idempotency key belongs to another request")

// Key is the memory of an idempotency key: which operation a client has started under it, and by what request. Neither the key nor the
// request can be read in it. The zero Key is that of a request without one, which repeats nothing.
type Key struct {
	Name      string    `json:"-"`
	Request   string    `json:"fingerprint"`
	Operation string    `json:"operation"`
	Until     time.Time `json:"until"`
}

// NewKey returns the key of a client for a request, of which the fingerprint says all that has to be the same. An empty text is no key.
func NewKey(clientID, key, fingerprint string) Key {
	if key == "" {
		return Key{}
	}
	return Key{Name: ofClient(clientID, key), Request: randid.Hash(fingerprint)}
}

// None reports whether it is the key of a request without one.
func (k *Key) None() bool { return k.Name == "" }

// Check refuses another request under the same name with [ErrIdempotency].
func (k *Key) Check(request Key) error {
	if subtle.ConstantTimeCompare([]byte(k.Request), []byte(request.Request)) == 0 {
		return ErrIdempotency
	}
	return nil
}

// ExternalKey names a reference of a client, which another one may use too. References do not stand in it.
func ExternalKey(clientID, externalID string) string { return ofClient(clientID, externalID) }

// ofClient names a text of a client. No id of a client has a NUL in it.
func ofClient(clientID, text string) string { return randid.Hash(clientID + "\x00" + text) }
