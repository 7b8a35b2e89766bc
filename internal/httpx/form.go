// SPDX-License-Identifier: Apache-2.0

package httpx

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// MaxBody bounds the body of a request in bytes.
const MaxBody = 64 << 10

// Content types: that of a body with parameters, and that of a JSON object.
const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// Form reads the parameters of a POST. Anything in the query is refused: credentials never stand in a URI (RFC 6749 2.3.1),
// and a parameter has one place. A refusal is an *[oauth.Error] with the status to send: 405 for another method, 415 for
// another content type, 413 for a body above [MaxBody], else 400.
func Form(r *http.Request) (oauth.Params, error) {
	if r.Method != http.MethodPost {
		return nil, refuse(http.StatusMethodNotAllowed, "the method must be POST")
	}
	if r.URL.RawQuery != "" {
		return nil, refuse(http.StatusBadRequest, "parameters are taken from the body only")
	}
	body, err := readForm(r)
	if err != nil {
		return nil, err
	}
	return oauth.ParseParams(body)
}

// QueryOrForm reads the parameters of a GET from its query, or those of a POST from query and body as one set
// (OpenID Connect Core 3.1.2.1): a parameter that stands in both is repeated. Refusals are those of [Form].
func QueryOrForm(r *http.Request) (oauth.Params, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return query(r)
	case http.MethodPost:
		body, err := readForm(r)
		if err != nil {
			return nil, err
		}
		if len(r.URL.RawQuery) > MaxBody {
			return nil, refuse(http.StatusRequestURITooLong, "the query is too long")
		}
		return oauth.ParseParams(r.URL.RawQuery, body)
	}
	return nil, refuse(http.StatusMethodNotAllowed, "the method must be GET or POST")
}

func query(r *http.Request) (oauth.Params, error) {
	if len(r.URL.RawQuery) > MaxBody {
		return nil, refuse(http.StatusRequestURITooLong, "the query is too long")
	}
	return oauth.ParseParams(r.URL.RawQuery)
}

// readForm returns the encoded body. net/http's own ParseForm is not used: it merges query and body and lets a body of
// another type pass as empty.
func readForm(r *http.Request) (string, error) {
	body, err := readBody(r, formType, MaxBody)
	return string(body), err
}

// JSON reads the body of a request that is JSON, at most limit bytes of it. Its refusals have the status of those of [Form].
func JSON(r *http.Request, limit int64) ([]byte, error) { return readBody(r, jsonType, limit) }

func readBody(r *http.Request, contentType string, limit int64) ([]byte, error) {
	if !isType(r.Header, contentType) {
		return nil, refuse(http.StatusUnsupportedMediaType, "the content type must be "+contentType)
	}
	body, err := bounded(r, limit)
	switch {
	case errors.Is(err, ErrTooLarge):
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body is too large")
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body could not be read")
	}
	return body.Bytes(), nil
}

// isType admits exactly one content type, with UTF-8 or no charset, and no content coding: a body that is spelled in
// another way could be read in another way by whatever stands before us.
func isType(h http.Header, contentType string) bool {
	types := h["Content-Type"]
	if len(types) != 1 || len(h["Content-Encoding"]) > 0 {
		return false
	}
	if types[0] == contentType {
		return true
	}
	name, params, err := mime.ParseMediaType(types[0])
	if err != nil || name != contentType {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

func refuse(status int, description string) error {
	e := oauth.NewError(oauth.InvalidRequest, description)
	e.Status = status
	return e
}
