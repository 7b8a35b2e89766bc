// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Params reads the query strictly: every name is one of those known, and there once.
func Params(r *http.Request, known ...string) (map[string]string, error) {
	query, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return nil, New(InvalidParameter, "the query is malformed, or has a parameter twice").Because(err)
	}
	for name := range query {
		if !slices.Contains(known, name) {
			return nil, New(InvalidParameter, "the call has no such parameter").With(Clip(name), "is not a parameter of this call")
		}
	}
	return query, nil
}

// Page is where a list goes on, and how long it is.
type Page struct {
	After string
	Limit int
	// List names the list, for its cursors.
	List string
}

// Sizes of a page of every list.
const (
	usualPage = 50
	maxPage   = 500
)

// PageOf reads the cursor and the limit of a list. What else narrows the list down belongs to its name.
func PageOf(path string, query map[string]string) (Page, error) {
	p := Page{List: path, Limit: usualPage}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if name != "cursor" && name != "limit" {
			p.List += "\x00" + name + "\x00" + query[name]
		}
	}
	if text := query["limit"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return p, New(InvalidParameter, "").With("limit", fmt.Sprintf("want 1 to %d", maxPage))
		}
		p.Limit = n
	}
	var err error
	p.After, err = After(p.List, query["cursor"])
	return p, err
}

// Next returns the cursor of the page after one on which a list has been read; empty where that one was not full.
func Next[T any](p Page, found []T, id func(*T) string) string {
	if len(found) < p.Limit {
		return ""
	}
	return Cursor(p.List, id(&found[len(found)-1]))
}

// Instant reads a time in the query; the zero time where there is none.
func Instant(query map[string]string, name string) (time.Time, error) {
	text := query[name]
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, New(InvalidParameter, "").With(name, "want a time such as 2026-01-02T15:04:05Z")
	}
	return at, nil
}

// IdempotencyKey returns the Idempotency-Key of a request; empty when there is none.
func IdempotencyKey(r *http.Request) (string, error) {
	lines := r.Header["Idempotency-Key"]
	if len(lines) == 0 {
		return "", nil
	}
	key := strings.Trim(lines[0], `"`)
	if len(lines) > 1 || key == "" || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", New(InvalidParameter, "").With("Idempotency-Key", "want 1 to 255 printable characters, once")
	}
	return key, nil
}
