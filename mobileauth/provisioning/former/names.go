// SPDX-License-Identifier: Apache-2.0

package former

import (
	"bufio"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Attribute is a part of a subject, or an extension that holds a text, by its object identifier.
type Attribute struct {
	name string
	oid  asn1.ObjectIdentifier
}

// known are the parts of subjects that have names (RFC 4519 2, RFC 4514 3).
var known = map[string]asn1.ObjectIdentifier{
	"CN": {2, 5, 4, 3}, "SERIALNUMBER": {2, 5, 4, 5}, "C": {2, 5, 4, 6}, "L": {2, 5, 4, 7}, "ST": {2, 5, 4, 8}, "O": {2, 5, 4, 10},
	"OU": {2, 5, 4, 11}, "UID": {0, 9, 2342, 19200300, 100, 1, 1}, "DC": {0, 9, 2342, 19200300, 100, 1, 25},
}

var dotted = regexp.MustCompile(`^[0-2](\.(0|[1-9][0-9]{0,8})){1,15}$`)

// ParseAttribute reads the name of a part, such as CN or UID, or an object identifier in numbers with dots.
func ParseAttribute(text string) (Attribute, error) {
	if oid, ok := known[strings.ToUpper(text)]; ok {
		return Attribute{strings.ToUpper(text), oid}, nil
	}
	if !dotted.MatchString(text) {
		return Attribute{}, fmt.Errorf("%q is none of CN, OU, O, L, ST, C, DC, UID and serialNumber, and no object identifier such as 1.3.6.1.4.1.2", text)
	}
	a := Attribute{name: text}
	for part := range strings.SplitSeq(text, ".") {
		n := 0
		for _, c := range part {
			n = 10*n + int(c-'0')
		}
		a.oid = append(a.oid, n)
	}
	return a, nil
}

// String returns its name.
func (a Attribute) String() string { return a.name }

// IsZero reports whether it names nothing.
func (a Attribute) IsZero() bool { return len(a.oid) == 0 }

// Equal reports whether two attributes are the same, whatever they are called.
func (a Attribute) Equal(other Attribute) bool { return a.oid.Equal(other.oid) }

// maxText is the most characters of a value.
const maxText = 256

// of returns the value that a certificate has of it. One that has none, several, or one that does not show what it holds, is refused.
func (a Attribute) of(c *x509.Certificate) (string, error) {
	var values []string
	for _, name := range c.Subject.Names {
		if name.Type.Equal(a.oid) {
			text, _ := name.Value.(string)
			values = append(values, text)
		}
	}
	for _, extension := range c.Extensions {
		if extension.Id.Equal(a.oid) {
			values = append(values, textOf(extension.Value))
		}
	}
	if len(values) != 1 || !shows(values[0]) {
		return "", refuse(ReasonNames)
	}
	return values[0], nil
}

// textOf reads an extension that is one string; empty for another one.
func textOf(der []byte) (text string) {
	if rest, err := asn1.Unmarshal(der, &text); err != nil || len(rest) > 0 {
		return ""
	}
	return text
}

func shows(text string) bool {
	return text != "" && len(text) <= maxText && utf8.ValidString(text) && strings.TrimSpace(text) == text &&
		!strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) })
}

// Blocked are the devices that a former system has blocked, and certificates that it has revoked. Its zero value is nobody. Names of
// devices are compared without case: a list out of a database is not always written as certificates are, and a blocked device would be let in.
type Blocked struct{ serials, devices map[string]bool }

func (b Blocked) has(serial, device string) bool {
	return b.serials[serial] || b.devices[strings.ToLower(device)]
}

// Len is how many there are.
func (b Blocked) Len() int { return len(b.serials) + len(b.devices) }

// Bounds of a list.
const (
	maxBlocked = 1_000_000
	maxLine    = maxText + 64
)

var serialHex = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

// ReadBlocked reads a list, of which each line is "serial" with a number in hex or "device" with a name; empty lines and those that begin
// with # say nothing. It refuses the list for a line that it cannot read, and one of more than a million.
func ReadBlocked(from io.Reader) (Blocked, error) {
	b := Blocked{map[string]bool{}, map[string]bool{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if b.Len() == maxBlocked {
			return Blocked{}, fmt.Errorf("line %d: there are more than %d", n, maxBlocked)
		}
		if err := b.add(line); err != nil {
			return Blocked{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return Blocked{}, err
	}
	return b, nil
}

func (b Blocked) add(line string) error {
	what, name, _ := strings.Cut(line, " ")
	name = strings.TrimSpace(name)
	serial := strings.TrimLeft(strings.ReplaceAll(strings.ToLower(name), ":", ""), "0")
	switch {
	case what == "serial" && serialHex.MatchString(serial):
		if len(serial)%2 == 1 {
			serial = "0" + serial // as whole bytes, which records have
		}
		b.serials[serial] = true
	case what == "device" && shows(name):
		b.devices[strings.ToLower(name)] = true
	default:
		return errors.New("it is neither serial with a number in hex, nor device with a name")
	}
	return nil
}
