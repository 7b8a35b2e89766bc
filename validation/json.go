// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// What follows walks JSON that internal/jose has found well-formed: UTF-8, without duplicates, with nothing behind the end.
// It checks no syntax of its own (of other text it makes nonsense, but never reads past the end) and takes values as pieces
// of the text instead of copies. For a token seen for the first time, reading is what comes on top of the signature; this
// way costs a sixth of encoding/json's.

// members yields the members of an object: each name as it reads, each value as it stands.
func members(object string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		at := next(object, 1+strings.IndexByte(object, '{'))
		for at < len(object) && object[at] == '"' {
			end := skip(object, at)
			name := text(object[at:end])
			at = next(object, end)
			end = skip(object, at)
			if at == end || !yield(name, object[at:end]) {
				return
			}
			at = next(object, end)
		}
	}
}

// next returns where the next value, name or closing bracket begins.
func next(data string, at int) int {
	for ; at < len(data); at++ {
		switch data[at] {
		case ' ', '\t', '\r', '\n', ',', ':':
		default:
			return at
		}
	}
	return at
}

// skip returns where the value that begins at a position ends.
func skip(data string, at int) int {
	if at >= len(data) {
		return len(data)
	}
	switch data[at] {
	case '"':
		return skipString(data, at)
	case '{', '[':
		return skipBrackets(data, at)
	}
	if n := strings.IndexAny(data[at:], ",]} \t\r\n"); n >= 0 {
		return at + n
	}
	return len(data)
}

func skipBrackets(data string, at int) int {
	for depth := 0; at < len(data); at++ {
		switch data[at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		case '"':
			at = skipString(data, at) - 1
		}
	}
	return len(data)
}

func skipString(data string, at int) int {
	for at++; at < len(data); at++ {
		switch data[at] {
		case '"':
			return at + 1
		case '\\':
			at++
		}
	}
	return len(data)
}

// text returns what a string with its quotes stands for.
func text(quoted string) string {
	if len(quoted) >= 2 && strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // it is well-formed
	return s
}

func readString(value string) (string, error) {
	if !strings.HasPrefix(value, `"`) {
		return "", fmt.Errorf("not a string: %w", ErrClaims)
	}
	return text(value), nil
}

// readStrings reads a string or a list of strings (RFC 7519 4.1.3).
func readStrings(value string) ([]string, error) {
	if !strings.HasPrefix(value, "[") {
		one, err := readString(value)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	var list []string
	for at := next(value, 1); at < len(value) && value[at] != ']'; at = next(value, at) {
		end := skip(value, at)
		one, err := readString(value[at:end])
		if err != nil {
			return nil, err
		}
		list, at = append(list, one), end
	}
	return list, nil
}

var (
	firstSecond = time.Time{}
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// readTime reads a number of seconds since 1970 (RFC 7519 2), with or without a fraction. What lies outside the years 1 to
// 9999 becomes their first or last second: a time far away must not wrap around to one nearby.
func readTime(value string) (time.Time, error) {
	if value == "" || value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return time.Time{}, fmt.Errorf("not a number: %w", ErrClaims)
	}
	// A number beyond float64 comes back as infinite, together with an error that says so.
	seconds, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil && !math.IsInf(seconds, 0):
		return time.Time{}, fmt.Errorf("not a number: %w", ErrClaims)
	case seconds <= float64(firstSecond.Unix()):
		return firstSecond, nil
	case seconds >= float64(lastSecond.Unix()):
		return lastSecond, nil
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC(), nil
}
