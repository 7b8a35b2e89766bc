// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Whole is [Mapping.Identity] for a place that was asked for everything: an attribute without a usable value is empty and not
// left out, so that the issuer's user forgets what was there before.
func (m Mapping) Whole(values map[string]string) (Identity, bool) {
	identity, ok := m.Identity(values)
	if !ok {
		return Identity{}, false
	}
	if identity.Attributes == nil {
		identity.Attributes = map[string]string{}
	}
	for name := range m.Attributes {
		if _, ok := identity.Attributes[name]; !ok {
			identity.Attributes[name] = ""
		}
	}
	return identity, true
}

// Words writes names, such as those of groups, into one attribute: sorted, each once, with a space between two. In a name a
// space is written %20 and a percent sign %25, and so on for all that is white or controls, so that no name can look like two.
func Words(names []string) string {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = word(name)
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

func word(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r != '%' && !unicode.IsSpace(r) && !unicode.IsControl(r) {
			out.WriteRune(r)
			continue
		}
		for _, b := range []byte(string(r)) {
			_, _ = fmt.Fprintf(&out, "%%%02X", b) // a builder takes everything
		}
	}
	return out.String()
}
