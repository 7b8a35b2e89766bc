// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// pointer is a JSON pointer (RFC 6901).
type pointer []string

// readPointer reads a pointer; the empty text is the whole document.
func readPointer(text string) (pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' || len(text) > 256 {
		return nil, errors.New("it is not a JSON pointer, such as /messages/0/id")
	}
	parts := strings.Split(text[1:], "/")
	for i, part := range parts {
		if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(part), "~") {
			return nil, errors.New("it is not a JSON pointer: ~ is written ~0, and / is written ~1")
		}
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
	}
	return parts, nil
}

// find returns what the pointer leads to; nil where there is nothing.
func (p pointer) find(document any) any {
	for _, part := range p {
		switch at := document.(type) {
		case map[string]any:
			document = at[part]
		case []any:
			i, err := strconv.ParseUint(part, 10, 16)
			if err != nil || int(i) >= len(at) || part != strconv.FormatUint(i, 10) {
				return nil
			}
			document = at[i]
		default:
			return nil
		}
	}
	return document
}

// word returns what the pointer leads to as text: a string, or a number or truth value as it was written; empty for anything else.
func (p pointer) word(document any) string {
	switch v := p.find(document).(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// decode reads a document; nil where it is none.
func decode(body []byte) any {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var document any
	if d.Decode(&document) != nil || d.More() {
		return nil
	}
	return document
}
