// SPDX-License-Identifier: Apache-2.0

package ltpa

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxFile bounds a key file. Those of servers have about two thousand bytes.
const maxFile = 64 << 10

// parseProperties reads a file in the format of java.util.Properties, as servers write it: with "\=" and "\:" in values. A property
// that stands twice is an error: the format lets the last one win, and a reader would take the first for the right one.
func parseProperties(file []byte) (map[string]string, error) {
	if len(file) > maxFile {
		return nil, fmt.Errorf("the file has more than %d bytes", maxFile)
	}
	properties := map[string]string{}
	for _, line := range logicalLines(string(file)) {
		name, value := splitProperty(line)
		name, err := unescapeProperty(name)
		if err != nil {
			return nil, err
		}
		if value, err = unescapeProperty(value); err != nil {
			return nil, fmt.Errorf("property %q: %w", name, err)
		}
		if _, twice := properties[name]; twice {
			return nil, fmt.Errorf("property %q stands twice", name)
		}
		properties[name] = value
	}
	return properties, nil
}

// logicalLines joins what a backslash at the end of a line continues, and leaves out comments and empty lines.
func logicalLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	var lines []string
	var joined strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimLeft(line, " \t\f")
		if joined.Len() == 0 && (line == "" || line[0] == '#' || line[0] == '!') {
			continue
		}
		end := len(line) - len(strings.TrimRight(line, `\`))
		if end%2 == 1 {
			joined.WriteString(line[:len(line)-1])
			continue
		}
		joined.WriteString(line)
		if joined.Len() > 0 {
			lines = append(lines, joined.String())
		}
		joined.Reset()
	}
	if joined.Len() > 0 {
		lines = append(lines, joined.String())
	}
	return lines
}

// splitProperty splits a line at the first "=", ":" or space that is not escaped. Spaces around it belong to neither side.
func splitProperty(line string) (name, value string) {
	end := 0
	for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
		if line[end] == '\\' {
			end++
		}
		end++
	}
	end = min(end, len(line))
	name, value = line[:end], strings.TrimLeft(line[end:], " \t\f")
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = strings.TrimLeft(value[1:], " \t\f")
	}
	return name, value
}

var errEscape = errors.New(`a \u is not followed by four hexadecimal digits`)

func unescapeProperty(text string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		switch text[i] {
		case 't':
			out.WriteByte('\t')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 'f':
			out.WriteByte('\f')
		case 'u':
			if i+4 >= len(text) {
				return "", errEscape
			}
			code, err := strconv.ParseUint(text[i+1:i+5], 16, 16)
			if err != nil {
				return "", errEscape
			}
			out.WriteRune(rune(code))
			i += 4
		default:
			out.WriteByte(text[i])
		}
	}
	return out.String(), nil
}
