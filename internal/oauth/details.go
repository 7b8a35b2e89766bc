// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Limits on authorization_details. They travel in every token, which has to fit into a header field.
const (
	MaxDetails      = 10
	MaxDetailsBytes = 4 << 10
	maxDetailsDepth = 12
)

// MaxDetailType is how long the name of a type may be.
const MaxDetailType = 128

// Detail is one object of authorization_details (RFC 9396 2): what its type says and the text, compact and in one order of members.
// It is immutable.
type Detail struct {
	typ  string
	text string
}

// Details are the authorization_details of a request, a grant or a token (RFC 9396 2). They marshal as the JSON array they stand for.
type Details []Detail

// errDetails is every fault in the form of authorization_details. Its text says nothing of what was sent.
var errDetails = NewError(InvalidAuthorizationDetails, "authorization_details is not an array of objects that each have a type, or is too large")

// ParseDetails reads an authorization_details parameter (RFC 9396 2, 2.1): a JSON array of objects, each with a type. It refuses
// with invalid_authorization_details what is larger than [MaxDetailsBytes], deeper than twelve levels, more than [MaxDetails], and
// what two readers might read differently: a member that stands twice, a number that is not a [PlainNumber] or longer than 40 characters, text after the array.
func ParseDetails(text string) (Details, error) {
	if len(text) > MaxDetailsBytes {
		return nil, errDetails
	}
	value, err := decode(text)
	if err != nil {
		return nil, errDetails.WithCause(err)
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 || len(list) > MaxDetails {
		return nil, errDetails
	}
	details := make(Details, 0, len(list))
	for _, item := range list {
		detail, err := newDetail(item)
		if err != nil {
			return nil, err
		}
		details = append(details, detail)
	}
	if len(details.String()) > MaxDetailsBytes { // what is escaped may have grown
		return nil, errDetails
	}
	return details, nil
}

func newDetail(item any) (Detail, error) {
	object, ok := item.(map[string]any)
	if !ok {
		return Detail{}, errDetails
	}
	typ, ok := object["type"].(string)
	if !ok || !ValidDetailType(typ) {
		return Detail{}, errDetails
	}
	text, err := encode(object)
	if err != nil {
		return Detail{}, errDetails.WithCause(err)
	}
	return Detail{typ, text}, nil
}

// ValidDetailType admits names of types that can stand in a quoted string of a challenge: printable ASCII without quotes or spaces.
func ValidDetailType(name string) bool {
	return name != "" && len(name) <= MaxDetailType &&
		!strings.ContainsFunc(name, func(c rune) bool { return c < 0x21 || c > 0x7e || c == '"' || c == '\\' })
}

// encode writes a value with the members of each object in one order, and no character escaped that need not be.
func encode(value any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return strings.TrimSuffix(b.String(), "\n"), err
}

var errStrictJSON = errors.New("the JSON is malformed, or could be read in two ways")

// maxNumber is the length of the longest number: what is longer is no amount.
const maxNumber = 40

// decode reads one JSON value strictly. Numbers stay as they are written.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	value, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errStrictJSON
	}
	return value, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if depth++; depth > maxDetailsDepth {
			return nil, errStrictJSON
		}
		if t == '{' {
			return decodeObject(d, depth)
		}
		return decodeArray(d, depth)
	case json.Number:
		if text := t.String(); len(text) > maxNumber || !PlainNumber(text) {
			return nil, errStrictJSON
		}
	}
	return token, nil
}

func decodeObject(d *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, ok := name.(string)
		if _, twice := object[key]; !ok || twice {
			return nil, errStrictJSON
		}
		if object[key], err = decodeValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

func decodeArray(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.Token()
	return list, err
}

// Type returns the type of the detail.
func (d Detail) Type() string { return d.typ }

// String returns the JSON object. Two details that mean the same have the same.
func (d Detail) String() string { return d.text }

// Value returns the decoded object: maps, lists, strings, booleans, nil, and [json.Number] for numbers. It is the caller's.
func (d Detail) Value() map[string]any {
	value, err := decode(d.text)
	if err != nil {
		return nil
	}
	object, _ := value.(map[string]any)
	return object
}

// Scalar returns what stands at a path of member names, delimited by points, as text: a string as it is, a number as it was
// written, true or false. It is false for what is not there, null, an object or a list.
func (d Detail) Scalar(path string) (string, bool) {
	var at any = d.Value()
	for name := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at = object[name]
	}
	return ScalarText(at)
}

// ScalarText returns a decoded JSON scalar as text; false for null, a list, an object and what is no such value.
func ScalarText(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// Narrows reports whether the detail asks for no more than another: for the same, or for fewer of what the named members list.
// Only members that both have and that are lists of strings count as such lists, and one that has become empty asks for
// something else, because to many an API an empty list is no limit.
func (d Detail) Narrows(other Detail, lists []string) bool {
	if d.text == other.text {
		return true
	}
	if d.typ != other.typ {
		return false
	}
	mine, theirs := d.Value(), other.Value()
	if len(mine) != len(theirs) {
		return false
	}
	for name, value := range mine {
		granted, ok := theirs[name]
		if !ok || !reflect.DeepEqual(value, granted) && !(slices.Contains(lists, name) && fewer(value, granted)) {
			return false
		}
	}
	return true
}

// fewer reports whether a list of strings is not empty and holds only what another holds.
func fewer(value, granted any) bool {
	less, ok := texts(value)
	all, also := texts(granted)
	return ok && also && len(less) > 0 && Scopes(less).Within(all)
}

func texts(value any) ([]string, bool) {
	list, ok := value.([]any)
	all := make([]string, 0, len(list))
	for _, item := range list {
		text, isText := item.(string)
		if ok = ok && isText; ok {
			all = append(all, text)
		}
	}
	return all, ok
}

// Within reports whether the details ask for no more than others (RFC 9396 6): each narrows one of them, and no two the same one,
// so that what was granted once is not had twice. Lists says, by type, which members hold lists of which fewer are less.
func (d Details) Within(others Details, lists map[string][]string) bool {
	taken := make([]bool, len(others))
	for _, detail := range d {
		at := others.find(taken, func(other Detail) bool { return detail.text == other.text })
		if at < 0 {
			at = others.find(taken, func(other Detail) bool { return detail.Narrows(other, lists[detail.typ]) })
		}
		if at < 0 {
			return false
		}
		taken[at] = true
	}
	return true
}

// find returns the place of the first detail that is not taken and fits; -1 when there is none.
func (d Details) find(taken []bool, fits func(Detail) bool) int {
	for i, detail := range d {
		if !taken[i] && fits(detail) {
			return i
		}
	}
	return -1
}

// Types returns the types of the details, each once, in the order in which they come first.
func (d Details) Types() []string {
	var types []string
	for _, detail := range d {
		if !slices.Contains(types, detail.typ) {
			types = append(types, detail.typ)
		}
	}
	return types
}

// String returns the JSON array; empty for none.
func (d Details) String() string {
	if len(d) == 0 {
		return ""
	}
	var b strings.Builder
	for i, detail := range d {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(detail.text)
	}
	b.WriteByte(']')
	return b.String()
}

// MarshalJSON returns the JSON array.
func (d Details) MarshalJSON() ([]byte, error) {
	if len(d) == 0 {
		return []byte("[]"), nil
	}
	return []byte(d.String()), nil
}

// UnmarshalJSON reads what [Details.MarshalJSON] wrote, by the rules of [ParseDetails].
func (d *Details) UnmarshalJSON(data []byte) (err error) {
	if text := string(data); text == "null" || text == "[]" {
		*d = nil
		return nil
	}
	*d, err = ParseDetails(string(data))
	return err
}
