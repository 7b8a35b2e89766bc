// SPDX-License-Identifier: Apache-2.0

package database

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Columns that have a meaning. In any case, as databases differ in what they make of it.
const (
	columnID       = "id"
	columnPassword = "password"
	columnName     = "name"
	columnActive   = "active"
	columnStatus   = "status"
)

// column is one value of a row.
type column struct {
	name  string
	value any // as database/sql scans it; nil for NULL
}

// account is what a row says about a user.
type account struct {
	id         string
	hash       string // empty for a user without a password
	name       string
	attributes map[string]string
	// obstacle is why the user is refused whatever the password.
	obstacle string
	// odd names a column whose value makes no sense, for the operator.
	odd string
}

// checkColumns refuses a query whose columns leave open who somebody is.
func checkColumns(names []string) error {
	seen := map[string]bool{}
	for _, name := range names {
		lower := strings.ToLower(name)
		if seen[lower] {
			return fmt.Errorf("the query returns the column %q twice", name)
		}
		seen[lower] = true
		if name == "" || !realm.ValidText(name, realm.MaxAttributeName) {
			return fmt.Errorf("the query returns a column whose name %q cannot be that of an attribute", name)
		}
	}
	if len(names) > realm.MaxAttributes {
		return fmt.Errorf("the query returns more than %d columns", realm.MaxAttributes)
	}
	for _, required := range []string{columnID, columnPassword} {
		if !seen[required] {
			return fmt.Errorf("the query returns no column %q", required)
		}
	}
	return nil
}

// newAccount reads a row. A value that no user may have, such as no id, is an obstacle of this user's.
func newAccount(row []column) *account {
	a := &account{attributes: map[string]string{}}
	for _, c := range row {
		value, ok := text(c.value)
		switch strings.ToLower(c.name) {
		case columnID:
			if !ok || value == "" || !realm.ValidText(value, realm.MaxExternalID) || !countable(c.value) {
				a.refuse(reasonNoID, c)
				continue
			}
			a.id = value
		case columnPassword:
			// A column of fixed length is filled up with blanks, which end no hash.
			a.hash = strings.TrimRight(value, " ")
		case columnName:
			a.name = usable(value, ok)
		case columnActive, columnStatus:
			a.admit(c)
		default:
			a.attributes[c.name] = usable(value, ok)
		}
	}
	return a
}

// refuse keeps the first obstacle, and tells of a value that makes no sense.
func (a *account) refuse(reason string, c column) {
	if a.obstacle == "" {
		a.obstacle = reason
	}
	a.odd = c.name
}

// admit lets nobody in but by a value that is plainly true.
func (a *account) admit(c column) {
	active, known := truth(c.value)
	if active && known {
		return
	}
	odd := a.odd
	a.refuse(reasonInactive, c)
	if known || c.value == nil {
		a.odd = odd
	}
}

// truth reads a boolean as databases have it; the second is false for what is none.
func truth(value any) (is, known bool) {
	switch v := value.(type) {
	case bool:
		return v, true
	case int64:
		return v == 1, v == 0 || v == 1
	case string, []byte:
		s, _ := text(v)
		b, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(s)))
		return b, err == nil
	}
	return false, false
}

// countable tells the values that can be a key from those that stand for a moment, an amount or a truth.
func countable(value any) bool {
	switch value.(type) {
	case string, []byte, int64:
		return true
	}
	return false
}

// text returns a value as text; false for what has none, such as NULL.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), utf8.Valid(v)
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), true
	}
	return "", false
}

// usable is the text of a name or an attribute. What cannot be one is empty, so that it takes the place of an older value.
func usable(value string, ok bool) string {
	if !ok || !realm.ValidText(value, realm.MaxValue) {
		return ""
	}
	return value
}
