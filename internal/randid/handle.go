// SPDX-License-Identifier: Apache-2.0

package randid

import (
	"crypto/subtle"
	"strings"
)

// maxHandle bounds what is read as a handle; ours are shorter.
const maxHandle = 128

// Handle names a record and shows that whoever presents it may: an identifier and a [Secret]. Of the secret only the hash is kept.
type Handle struct{ ID, Secret string }

// NewHandle draws a handle of a new record.
func NewHandle(prefix string) Handle { return Handle{ID: New(prefix), Secret: Secret()} }

// ParseHandle reads a handle of records with a prefix; false when it is malformed, or of others.
func ParseHandle(prefix, value string) (Handle, bool) {
	id, secret, ok := strings.Cut(value, ".")
	return Handle{id, secret}, ok && strings.HasPrefix(id, prefix+"_") && len(value) <= maxHandle && secret != ""
}

// String returns what is presented.
func (h Handle) String() string { return h.ID + "." + h.Secret }

// Hash is what is kept of the secret.
func (h Handle) Hash() string { return Hash(h.Secret) }

// Opens reports whether the secret is the one that a hash was kept of. It compares in constant time.
func (h Handle) Opens(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(h.Hash()), []byte(hash)) == 1
}

// Next draws the handle that takes the place of this one.
func (h Handle) Next() Handle { return Handle{ID: h.ID, Secret: Secret()} }
