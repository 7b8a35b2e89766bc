// SPDX-License-Identifier: Apache-2.0

package callback

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/gatehouse-id/gatehouse/internal/signedpost"
)

// Credentials tell a receiver who is calling. They print as nothing.
type Credentials = signedpost.Credentials

// Receiver is an address that may be called. Its URL is compared letter by letter with what a back end asks for.
type Receiver = signedpost.Receiver

// MaxURL bounds the address of a receiver, in bytes.
const MaxURL = signedpost.MaxURL

// Basic returns a name and a password for the Basic scheme (RFC 7617). It refuses a name with a colon and control characters.
func Basic(name, password string) (Credentials, error) { return signedpost.Basic(name, password) }

// Bearer returns a token for the Bearer scheme (RFC 6750). It refuses what is none by section 2.1.
func Bearer(token string) (Credentials, error) { return signedpost.Bearer(token) }

// laneOf names the receiver in the outbox without telling the address.
func laneOf(address string) string {
	sum := sha256.Sum256([]byte(address))
	return hex.EncodeToString(sum[:12])
}
