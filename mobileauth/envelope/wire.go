// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// Version is the version of the protocol; every signed object carries it as "v".
const Version = 1

// ContentType is the media type of requests and answers.
const ContentType = "application/jose"

// Window is how far the clock of a device may be off, either way.
const Window = 60 * time.Second

// Limits on messages as they are sent, in bytes.
const (
	MaxRequest      = 16 << 10
	MaxRegistration = 32 << 10
	MaxAnswer       = 64 << 10
)

// The endpoints, below the issuer. All take POST.
const (
	PathRegistrations = "/mobile/v1/registrations"
	PathPending       = "/mobile/v1/pending"
	PathFetch         = "/mobile/v1/fetch"
	PathClaim         = "/mobile/v1/claim"
	PathAnswer        = "/mobile/v1/answer"
	PathPush          = "/mobile/v1/push"
	PathFactor        = "/mobile/v1/factor"
	PathKeys          = "/mobile/v1/keys"
	PathDevice        = "/mobile/v1/device"
	PathTransfer      = "/mobile/v1/transfer"
	PathDisconnect    = "/mobile/v1/disconnect"
	PathRelease       = "/mobile/v1/devices/release"
	PathAttestation   = "/mobile/v1/attestation"
)

// method is the only one; it is signed so that the same body is nothing under another one.
const method = "POST"

// The types of objects. No two of them can stand for one another.
const (
	typEncrypted = "gatehouse-device+jwe"
	typRequest   = "gatehouse-request+jws"
	typAnswer    = "gatehouse-answer+jws"
	typStatement = "gatehouse-statement+jws"
)

// Limit returns how large a request to the endpoint may be.
func Limit(path string) int {
	switch path {
	case PathRegistrations, PathAttestation, PathKeys: // they may carry evidence
		return MaxRegistration
	}
	return MaxRequest
}

func encryption(limit int) jose.Encryption {
	return jose.Encryption{Typ: typEncrypted, CTY: "JWT", Limit: limit}
}

var b64 = base64.RawURLEncoding.Strict()

// The words of the protocol. Those with "_-" are of what base64url is made of.
var (
	validID     = word{22, 64, "_-"} // 128 bits or more
	validLookup = word{22, 22, "_-"} // 128 bits
	validHash   = word{43, 43, "_-"} // SHA-256
	validRef    = word{1, 128, "_.:-"}
)

// word is a text of least to most characters, which are letters and digits of ASCII and the others that it names. Every message
// has a dozen; a regular expression says the same and takes ten times as long.
type word struct {
	least, most int
	others      string
}

// MatchString reports whether a text is such a word.
func (w word) MatchString(text string) bool {
	if len(text) < w.least || len(text) > w.most {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte(w.others, c) < 0 {
			return false
		}
	}
	return true
}

// NewID returns a fresh identifier for a request, answer or statement: 256 random bits. An answer proves by naming it that
// its maker could read the request, so it is a secret as long as the answer is awaited.
func NewID() string { return randid.Secret() }

// Bytes are bytes that stand in JSON as base64url without padding, in the one spelling.
type Bytes []byte

// MarshalText encodes the bytes.
func (b Bytes) MarshalText() ([]byte, error) { return b64.AppendEncode(nil, b), nil }

// UnmarshalText decodes the bytes and refuses every spelling but the one.
func (b *Bytes) UnmarshalText(text []byte) error {
	data, err := b64.AppendDecode(nil, text)
	if err != nil || b64.EncodeToString(data) != string(text) {
		return refuse(ReasonMalformed, "reading base64url")
	}
	*b = data
	return nil
}

// decode reads a JSON object strictly and refuses it for the given reason.
func decode(data []byte, into any, reason Reason) error {
	if err := jose.UnmarshalObject(data, into); err != nil {
		return refuse(reason, "decoding: %w", err)
	}
	return nil
}

// isObject tells an object from other values in JSON that was checked.
func isObject(data []byte) bool { return bytes.HasPrefix(data, []byte("{")) }

// encode writes a body. A nil body is an empty object.
func encode(body any) (json.RawMessage, error) {
	switch b := body.(type) {
	case nil:
		return json.RawMessage(`{}`), nil
	case json.RawMessage:
		return b, nil
	}
	return json.Marshal(body)
}

// unixTime is a time in whole seconds, as "iat" says it.
type unixTime int64

func toUnix(t time.Time) unixTime { return unixTime(t.Unix()) }

func (u unixTime) time() time.Time { return time.Unix(int64(u), 0).UTC() }

// within reports whether a signed time is inside the window around now.
func (u unixTime) within(now time.Time) bool {
	const window = int64(Window / time.Second)
	// Compared without a difference, which a hostile value would overflow.
	at := now.Unix()
	return int64(u) >= at-window && int64(u) <= at+window
}
