// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxParams bounds the parameters of one request and MaxParam the bytes of one value.
const (
	MaxParams = 100
	MaxParam  = 8 << 10
)

// Params are the parameters of a request after the rules of RFC 6749 3.1 and 3.2: none occurs twice and one sent without a
// value counts as absent.
type Params map[string]string

// ParseParams reads one or more encoded parameter strings (a query, a form body) as one set. A parameter that occurs twice,
// also across the strings, is invalid_request. Bad encoding,
// characters outside UTF-8 and control characters are invalid_request.
func ParseParams(encoded ...string) (Params, error) {
	params := Params{}
	for _, text := range encoded {
		values, err := url.ParseQuery(text)
		if err != nil {
			return nil, NewError(InvalidRequest, "the parameters are not well encoded")
		}
		if err := params.merge(values); err != nil {
			return nil, err
		}
	}
	return params, nil
}

func (p Params) merge(values url.Values) error {
	if len(p)+len(values) > MaxParams {
		return NewError(InvalidRequest, "too many parameters")
	}
	for name, all := range values {
		if _, twice := p[name]; twice || len(all) > 1 {
			return NewError(InvalidRequest, "a parameter is repeated")
		}
		value := all[0]
		if name == "authorization_details" { // JSON, in which line breaks and tabs may stand between the values
			value = jsonSpace.Replace(value)
		}
		if !validParam(name) || !validParam(value) {
			return NewError(InvalidRequest, "a parameter holds forbidden characters or is too long")
		}
		p[name] = value
	}
	return nil
}

var jsonSpace = strings.NewReplacer("\t", " ", "\n", " ", "\r", " ")

// validParam admits UTF-8 without control characters. A tab or line break has no place in any parameter we read and would
// otherwise travel into headers and logs.
func validParam(text string) bool {
	if len(text) > MaxParam || !utf8.ValidString(text) {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}

// Get returns a parameter's value; absent and empty are the same.
func (p Params) Get(name string) string { return p[name] }

// Visible returns a parameter that RFC 6749 Appendix A limits to printable ASCII (%x20-7E), such as state or code.
// Anything else is invalid_request, so that what is echoed can never break a header.
func (p Params) Visible(name string) (string, error) {
	value := p[name]
	for i := range len(value) {
		if value[i] < 0x20 || value[i] > 0x7e {
			return "", NewError(InvalidRequest, "the "+name+" parameter holds forbidden characters")
		}
	}
	return value, nil
}
