// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"fmt"
	"strings"
)

// property is a setting of a Java properties file.
type property struct{ name, value string }

// maxProperties bounds a properties file.
const maxProperties = 10_000

// readProperties reads a Java properties file: a name and a value in each line, divided by =, : or a space; what is behind # or ! at the
// beginning says nothing, and a line that ends in one backslash goes on. Other escapes stand for the character behind the backslash. A name
// that stands twice is refused: which of the two counts nobody can tell.
func readProperties(file []byte) (all []property, err error) {
	if len(file) > MaxSize {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrFile, MaxSize)
	}
	seen := map[string]bool{}
	joined := ""
	for n, line := range strings.Split(strings.ReplaceAll(string(file), "\r\n", "\n"), "\n") {
		line = joined + strings.TrimLeft(line, " \t\f")
		joined = ""
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if slashes := len(line) - len(strings.TrimRight(line, `\`)); slashes%2 == 1 {
			joined = line[:len(line)-1]
			continue
		}
		one := cutProperty(line)
		switch {
		case seen[one.name]:
			return nil, faulty(n+1, "%s stands twice", printable(one.name))
		case len(all) == maxProperties:
			return nil, faulty(n+1, "it has more than %d settings", maxProperties)
		}
		seen[one.name] = true
		all = append(all, one)
	}
	return all, nil
}

// cutProperty divides a line.
func cutProperty(line string) property {
	var name, value strings.Builder
	into, escaped := &name, false
	for _, c := range line {
		switch {
		case escaped:
			into.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case into == &name && strings.ContainsRune("=: \t", c):
			into = &value
		default:
			into.WriteRune(c)
		}
	}
	return property{name.String(), strings.TrimLeft(value.String(), "=: \t")}
}
