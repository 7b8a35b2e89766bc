// SPDX-License-Identifier: Apache-2.0

package site

import (
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"
)

// ErrPath is returned for a path that the gate and an upstream may read differently.
var ErrPath = errors.New("the path can be read in more than one way")

// ErrMethod is returned for a method that a rule and an upstream may read differently.
var ErrMethod = errors.New("the method is not in upper case")

// CheckMethod refuses a method with lower case letters: methods are case-sensitive (RFC 9110, section 9.1), so a rule for POST does not
// match one, and some upstreams take it for POST all the same.
func CheckMethod(method string) error {
	if method != strings.ToUpper(method) {
		return ErrMethod
	}
	return nil
}

// CheckPath refuses a path that need not mean the same to the gate, which decides on it, and to the upstream, which acts on
// it: dot segments, backslashes, control characters and whatever does not begin with a slash. Unless it is lenient it also
// refuses what many upstreams read differently but some applications need: encoded slashes, empty segments, path
// parameters, characters encoded twice, and what is not UTF-8.
func CheckPath(u *url.URL, lenient bool) error {
	path := u.Path
	if !strings.HasPrefix(path, "/") {
		return ErrPath
	}
	special := strings.Contains(path, "//")
	for i := range len(path) {
		switch classes[path[i]] {
		case refused:
			return ErrPath
		case suspect:
			special = true
		}
	}
	if special && dotSegment(path) {
		return ErrPath
	}
	if lenient {
		return nil
	}
	if special && unusual(path) || u.RawPath != "" && strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		return ErrPath
	}
	return nil
}

// What a byte of a path tells.
const (
	innocent = iota
	suspect
	refused
)

var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b < 0x20 || b == 0x7f || b == '\\':
			c[b] = refused
		case b == '.' || b == ';' || b == '%' || b >= utf8.RuneSelf:
			c[b] = suspect
		}
	}
	return c
}()

// dotSegment reports whether a path goes up or stays, parameters of a segment aside: "..;x" is ".." to some upstreams.
func dotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

func unusual(path string) bool {
	return strings.Contains(path, "//") || strings.Contains(path, ";") || !utf8.ValidString(path) || encodedTwice(path)
}

// encodedTwice reports whether a decoded path still holds an encoded separator, dot, percent sign or control character.
func encodedTwice(path string) bool {
	for {
		_, after, found := strings.Cut(path, "%")
		if !found {
			return false
		}
		if len(after) >= 2 {
			switch code := strings.ToLower(after[:2]); {
			case code == "2e" || code == "2f" || code == "5c" || code == "25" || code == "3b" || code[0] == '0' || code[0] == '1':
				return true
			}
		}
		path = after
	}
}
