// SPDX-License-Identifier: Apache-2.0

package jose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"unicode/utf8"
)

// Limits on JSON. They bound the work that an unsigned token can ask for: names are compared pairwise.
const (
	MaxDepth   = 16  // objects and arrays inside one another
	MaxMembers = 128 // members of one object
)

// checkObject reports whether data is one JSON object and nothing else, more strictly than encoding/json does: UTF-8,
// no duplicate members after unescaping, no unpaired surrogates, limited depth and width (RFC 8725 section 3.7, RFC 7493).
func checkObject(data []byte) error {
	return visitObject(data, nil)
}

// visitObject is checkObject that also hands each member of the outermost object to visit, with its raw value.
func visitObject(data []byte, visit func(name, value []byte) error) error {
	s := scanner{data: data}
	return s.document(visit)
}

// scanner walks one JSON text. names is a stack of hashes: each open object owns the tail that begins where it was opened.
type scanner struct {
	data  []byte
	pos   int
	depth int
	names []uint64
}

// seed makes the hashes of names unknown outside the process. Two names are then taken for one with a chance of 2^-64,
// and nobody can bring that about; to compare the names themselves costs the reader of a hostile token four times as much.
var seed = maphash.MakeSeed()

func (s *scanner) document(visit func(name, value []byte) error) error {
	if !utf8.Valid(s.data) {
		return fmt.Errorf("JSON is not UTF-8: %w", ErrMalformed)
	}
	var room [24]uint64 // enough for a usual token without growing
	s.names = room[:0]
	s.space()
	if s.peek() != '{' {
		return s.fail("an object")
	}
	if err := s.object(visit); err != nil {
		return err
	}
	s.space()
	if s.pos != len(s.data) {
		return s.fail("the end")
	}
	return nil
}

func (s *scanner) fail(want string) error {
	return fmt.Errorf("JSON at byte %d: want %s: %w", s.pos, want, ErrMalformed)
}

// peek returns the next byte or 0, which is never valid where it is asked for.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) value() error {
	switch c := s.peek(); c {
	case '{':
		return s.object(nil)
	case '[':
		return s.array()
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(visit func(name, value []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	base := len(s.names)
	for first := true; ; first = false {
		done, err := s.next('}', first)
		if done || err != nil {
			s.names = s.names[:base]
			s.depth--
			return err
		}
		name, err := s.name(base)
		if err != nil {
			return err
		}
		start := s.pos
		if err := s.value(); err != nil {
			return err
		}
		if visit == nil {
			continue
		}
		if err := visit(name, s.data[start:s.pos]); err != nil {
			return err
		}
	}
}

func (s *scanner) array() error {
	if err := s.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		done, err := s.next(']', first)
		if done || err != nil {
			s.depth--
			return err
		}
		if err := s.value(); err != nil {
			return err
		}
	}
}

func (s *scanner) enter() error {
	s.pos++
	if s.depth++; s.depth > MaxDepth {
		return s.fail(fmt.Sprintf("at most %d levels", MaxDepth))
	}
	return nil
}

// next consumes what stands before the next element: nothing before the first, a comma before others, or the closer.
func (s *scanner) next(closer byte, first bool) (done bool, err error) {
	s.space()
	switch {
	case s.peek() == closer:
		s.pos++
		return true, nil
	case first:
		return false, nil
	case s.peek() != ',':
		return false, s.fail("a comma or the end of the list")
	}
	s.pos++
	s.space()
	return false, nil
}

// name reads a member's name and colon and refuses a name that the object already has.
func (s *scanner) name(base int) ([]byte, error) {
	raw, err := s.str()
	if err != nil {
		return nil, err
	}
	name := unquote(raw)
	hash := maphash.Bytes(seed, name)
	if slices.Contains(s.names[base:], hash) {
		return nil, s.fail("no duplicate member")
	}
	if len(s.names)-base == MaxMembers {
		return nil, s.fail(fmt.Sprintf("at most %d members", MaxMembers))
	}
	s.names = append(s.names, hash)
	s.space()
	if s.peek() != ':' {
		return nil, s.fail("a colon")
	}
	s.pos++
	s.space()
	return name, nil
}

// str reads a string and returns it with its quotes.
func (s *scanner) str() ([]byte, error) {
	start := s.pos
	if s.peek() != '"' {
		return nil, s.fail("a string")
	}
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start:s.pos], nil
		case c < ' ':
			return nil, s.fail("no control character in a string")
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		}
	}
	return nil, s.fail("the end of a string")
}

// escape reads what follows a backslash and stops on its last byte.
func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return s.fail("an escape")
	}
	switch r := s.hex(s.pos + 1); {
	case r < 0:
		return s.fail("four hexadecimal digits")
	case r >= 0xDC00 && r <= 0xDFFF:
		return s.fail("a high surrogate first")
	case r >= 0xD800 && r <= 0xDBFF:
		if !bytes.HasPrefix(s.data[s.pos+5:], []byte(`\u`)) {
			return s.fail("a low surrogate")
		}
		if low := s.hex(s.pos + 7); low < 0xDC00 || low > 0xDFFF {
			return s.fail("a low surrogate")
		}
		s.pos += 6
	}
	s.pos += 4
	return nil
}

// hex returns the value of the four hexadecimal digits at position at, or -1.
func (s *scanner) hex(at int) int {
	if at+4 > len(s.data) {
		return -1
	}
	v := 0
	for _, c := range s.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | int(c)
	}
	return v
}

func (s *scanner) literal(want string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(want)) {
		return s.fail(want)
	}
	s.pos += len(want)
	return nil
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return s.fail("a value")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return s.fail("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return s.fail("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.peek() >= '0' && s.peek() <= '9' {
		s.pos++
	}
	return s.pos > start
}

// unquote returns what a string that str accepted stands for. Strings without escapes, which is nearly all, are not
// copied.
func unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	var s string
	_ = json.Unmarshal(raw, &s) // cannot fail: str checked the syntax
	return []byte(s)
}
