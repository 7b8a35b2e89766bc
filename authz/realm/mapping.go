// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a [Mapping] lets into an identity, in bytes.
const (
	// MaxExternalID leaves room for the name of the population within what the identity store takes as a reference.
	MaxExternalID = 200
	// MaxValue is the longest name or attribute.
	MaxValue = 1 << 10
	// MaxAttributes is how many attributes a mapping names.
	MaxAttributes = 32
	// MaxAttributeName is the longest name of an attribute.
	MaxAttributeName = 64
	maxMethods       = 8
	maxMethod        = 32
)

// Mapping says which of the values that a guest knows about somebody become what of an [Identity].
type Mapping struct {
	// ID names the value that becomes the external id. It must not be empty.
	ID string
	// Name names the value that is shown; empty for none.
	Name string
	// Attributes are the identity's, each with the name of the value that it holds.
	Attributes map[string]string
	// AMR are the authentication methods (RFC 8176) that the identity is stated to have been proven by.
	AMR []string
}

// Check returns an error that names the first thing that no identity could have.
func (m Mapping) Check() error {
	if m.ID == "" {
		return errors.New("no value is named that becomes the id")
	}
	if len(m.Attributes) > MaxAttributes {
		return fmt.Errorf("%d attributes are more than %d", len(m.Attributes), MaxAttributes)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		if name == "" || !ValidText(name, MaxAttributeName) {
			return fmt.Errorf("attribute %q is no name of 1 to %d bytes of printable text", name, MaxAttributeName)
		}
		if m.Attributes[name] == "" {
			return fmt.Errorf("attribute %q names no value", name)
		}
	}
	return CheckMethods(m.AMR)
}

// CheckMethods refuses what cannot stand in amr: RFC 8176 has short words, and tokens carry them.
func CheckMethods(methods []string) error {
	if len(methods) > maxMethods {
		return fmt.Errorf("%d authentication methods are more than %d", len(methods), maxMethods)
	}
	for _, method := range methods {
		if len(method) > maxMethod || !validName(method) {
			return fmt.Errorf("authentication method %q is not one short word", method)
		}
	}
	return nil
}

// Identity returns the identity that the values make; false when the value that becomes the id is missing or is none: empty,
// too long, or no printable text. A name or an attribute without a usable value is left out.
func (m Mapping) Identity(values map[string]string) (Identity, bool) {
	id := values[m.ID]
	if m.ID == "" || id == "" || !ValidText(id, MaxExternalID) {
		return Identity{}, false
	}
	identity := Identity{ExternalID: id, AMR: slices.Clone(m.AMR)}
	if name := values[m.Name]; m.Name != "" && ValidText(name, MaxValue) {
		identity.Name = name
	}
	for attribute, from := range m.Attributes {
		value := values[from]
		if value == "" || !ValidText(value, MaxValue) {
			continue
		}
		if identity.Attributes == nil {
			identity.Attributes = map[string]string{}
		}
		identity.Attributes[attribute] = value
	}
	return identity, true
}

// ValidText reports whether s is UTF-8 of at most limit bytes without control characters, which forge lines in logs and
// headers.
func ValidText(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
