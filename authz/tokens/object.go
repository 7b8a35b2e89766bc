// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// object is a JSON object under construction. Claims are few and known, and a token is minted for every request of a
// machine client, so they are appended rather than reflected upon. Empty values are left out.
type object []byte

func (o *object) name(name string) {
	if len(*o) > 1 {
		*o = append(*o, ',')
	}
	*o = append(append(append(*o, '"'), name...), '"', ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		*o = appendText(*o, value)
	}
}

func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	*o = append(*o, '[')
	for i, value := range values {
		if i > 0 {
			*o = append(*o, ',')
		}
		*o = appendText(*o, value)
	}
	*o = append(*o, ']')
}

// words writes the values as one string, delimited by spaces.
func (o *object) words(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.name(name)
	*o = append(*o, '"')
	for i, value := range values {
		if i > 0 {
			*o = append(*o, ' ')
		}
		*o = appendEscaped(*o, value)
	}
	*o = append(*o, '"')
}

func (o *object) time(name string, t time.Time) {
	if !t.IsZero() {
		o.name(name)
		*o = strconv.AppendInt(*o, t.Unix(), 10)
	}
}

func (o *object) times(name string, times map[string]time.Time) {
	if len(times) == 0 {
		return
	}
	o.name(name)
	inner := object{'{'}
	for _, key := range slices.Sorted(maps.Keys(times)) {
		if len(inner) > 1 {
			inner = append(inner, ',')
		}
		inner = append(appendText(inner, key), ':')
		inner = strconv.AppendInt(inner, times[key].Unix(), 10)
	}
	*o = append(append(*o, inner...), '}')
}

// raw writes what is JSON already.
func (o *object) raw(name, value string) {
	if value != "" {
		o.name(name)
		*o = append(*o, value...)
	}
}

func (o *object) end() []byte {
	*o = append(*o, '}')
	return *o
}

func appendText(b []byte, text string) []byte {
	return append(appendEscaped(append(b, '"'), text), '"')
}

// appendEscaped appends what stands between the quotes of a JSON string. The common text needs no escapes.
func appendEscaped(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(text)
			if err != nil {
				return b // a string always marshals
			}
			return append(b, quoted[1:len(quoted)-1]...)
		}
	}
	return append(b, text...)
}
