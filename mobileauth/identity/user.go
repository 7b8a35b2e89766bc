// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Limits on a user's record. They keep it well under what a storage engine takes, and leave room in its transaction for
// what [Config].OnRevoke writes.
const (
	MaxLogins         = 8        // login names of one user
	MaxExternalRef    = 256      // bytes
	MaxAttributes     = 64       // attributes of one user
	MaxAttributeKey   = 64       // bytes
	MaxAttributeValue = 1 << 10  // bytes
	MaxAttributeBytes = 16 << 10 // bytes of all keys and values together
	MaxReason         = 256      // bytes
	MaxPassword       = 1 << 10  // bytes
	// maxEncodedAttributes bounds the JSON form, in which one byte can become six.
	maxEncodedAttributes = 40 << 10
)

// Status says whether a user may log in.
type Status string

// The states of a user. Locked is temporary and ends with Unlock; deactivated is final, and the login names stay taken.
const (
	Active      Status = "active"
	Locked      Status = "locked"
	Deactivated Status = "deactivated"
)

// may reports whether a user can pass from s to next. Staying is allowed, so that a repeated command is no failure.
func (s Status) may(next Status) bool {
	switch s {
	case Active, Locked:
		return next == Active || next == Locked || next == Deactivated
	case Deactivated:
		return next == Deactivated
	}
	return false
}

// Profile is what may be changed about a user without consequences for credentials and sessions.
type Profile struct {
	// ExternalRef is the user's key in another system; unique unless empty, compared byte by byte.
	ExternalRef string `json:"external_ref,omitempty"`
	// Logins are canonical and unique over all users. The first one is the name to show. Only a user with an external
	// reference may have none.
	Logins []string `json:"logins"`
	// Attributes are free text for claims, headers and messages.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// User is what the rest of the program sees of a person. It holds no secret and can be logged and encoded.
type User struct {
	ID string `json:"id"`
	Profile
	Status       Status `json:"status"`
	StatusReason string `json:"status_reason,omitempty"`
	// PasswordSetAt is zero for a user without password.
	PasswordSetAt time.Time `json:"password_set_at,omitzero"`
	// SessionsNotBefore voids every session and grant that began before it.
	SessionsNotBefore time.Time `json:"sessions_not_before,omitzero"`
	// Version counts the changes; [Store.Update] takes it as its precondition.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// DeletedAt is set of what [Store.Delete] leaves of a user.
	DeletedAt time.Time `json:"deleted_at,omitzero"`
}

// HasPassword reports whether the user can log in with a password at all.
func (u *User) HasPassword() bool { return !u.PasswordSetAt.IsZero() }

// NewUser describes a user to add. At most one of Password and PasswordHash may be set; with neither, the user cannot log
// in by password until one is set.
type NewUser struct {
	Profile
	// Status defaults to [Active].
	Status       Status
	StatusReason string
	// Password is hashed on the way in.
	Password string
	// PasswordHash is one made elsewhere: see [phc.Parse] for the kinds.
	PasswordHash string
	// Also runs in the transaction of [Store.Add], before the user is written, and may refuse. It has four writes.
	Also func(tx storage.Tx, userID string) error
}

// normalize returns a copy in canonical form, or the first rule the profile breaks.
func (p Profile) normalize() (Profile, error) {
	out := Profile{ExternalRef: p.ExternalRef, Logins: make([]string, 0, len(p.Logins))}
	if len(p.ExternalRef) > MaxExternalRef || !printable(p.ExternalRef, "") {
		return Profile{}, invalid("external_ref", fmt.Sprintf("want at most %d bytes of printable text", MaxExternalRef))
	}
	if len(p.Logins) > MaxLogins {
		return Profile{}, invalid("logins", fmt.Sprintf("more than %d names", MaxLogins))
	}
	for i, login := range p.Logins {
		name, err := Canonical(login)
		var field *FieldError
		if errors.As(err, &field) {
			return Profile{}, &FieldError{Field: loginField(i), Problem: field.Problem, Err: field.Err}
		}
		if !slices.Contains(out.Logins, name) {
			out.Logins = append(out.Logins, name)
		}
	}
	if len(out.Logins) == 0 && p.ExternalRef == "" {
		return Profile{}, invalid("logins", "no login name")
	}
	var err error
	out.Attributes, err = checkAttributes(p.Attributes)
	return out, err
}

func loginField(i int) string { return fmt.Sprintf("logins[%d]", i) }

func checkAttributes(attributes map[string]string) (map[string]string, error) {
	if len(attributes) == 0 {
		return nil, nil
	}
	if len(attributes) > MaxAttributes {
		return nil, invalid("attributes", fmt.Sprintf("more than %d", MaxAttributes))
	}
	out, total := make(map[string]string, len(attributes)), 0
	for key, value := range attributes {
		if err := checkAttribute(key, value); err != nil {
			return nil, err
		}
		total += len(key) + len(value)
		out[key] = value
	}
	if total > MaxAttributeBytes {
		return nil, invalid("attributes", fmt.Sprintf("larger than %d bytes together", MaxAttributeBytes))
	}
	encoded, err := json.Marshal(out)
	if err != nil || len(encoded) > maxEncodedAttributes {
		return nil, invalid("attributes", "too large once escaped")
	}
	return out, nil
}

func checkAttribute(key, value string) error {
	if key == "" || len(key) > MaxAttributeKey || !printable(key, "") {
		problem := fmt.Sprintf("want keys of 1 to %d bytes of printable text", MaxAttributeKey)
		return invalid(attributeField(key), problem)
	}
	if len(value) > MaxAttributeValue || !printable(value, "\t\r\n") {
		return invalid(attributeField(key), fmt.Sprintf("want at most %d bytes of printable text", MaxAttributeValue))
	}
	return nil
}

// attributeField quotes the key, shortened where it is itself what is wrong.
func attributeField(key string) string {
	if len(key) > MaxAttributeKey {
		key = strings.ToValidUTF8(key[:MaxAttributeKey], "") + "…"
	}
	return fmt.Sprintf("attributes[%q]", key)
}

// checkReason refuses a status reason that would not fit a line of the audit trail.
func checkReason(reason string) error {
	if len(reason) > MaxReason || !printable(reason, "") {
		return invalid("status_reason", fmt.Sprintf("want at most %d bytes of printable text", MaxReason))
	}
	return nil
}

// printable refuses control characters, which forge lines in logs and headers, except those in allowed.
func printable(s, allowed string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !strings.ContainsRune(allowed, r)
	})
}
