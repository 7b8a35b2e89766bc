// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// maxCursor bounds a cursor. Ids of ours are short.
const maxCursor = 512

// Cursor returns the text by which a list is continued after an id. It is bound to the list, that is, to the path and
// whatever narrows it down, so that one of another list is refused and not misread. It is no secret.
func Cursor(list, after string) string {
	return base64.RawURLEncoding.EncodeToString(append(mark(list), after...))
}

// After returns the id after which a list goes on; the empty cursor is the beginning.
func After(list, cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	refused := New(InvalidCursor, "begin anew without a cursor").With("cursor", "is not one of this list")
	if len(cursor) > maxCursor {
		return "", refused
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || strings.ContainsAny(cursor, "\r\n") {
		return "", refused
	}
	after, ok := strings.CutPrefix(string(raw), string(mark(list)))
	if !ok || after == "" || strings.ContainsFunc(after, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", refused
	}
	return after, nil
}

func mark(list string) []byte {
	sum := sha256.Sum256([]byte("gatehouse cursor 1\x00" + list))
	return sum[:6]
}
