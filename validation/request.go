// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// FromRequest returns the bearer token of a request; false when the request has none, which is no error. The Authorization
// header is the only place it is taken from (RFC 6750 2.1; RFC 9700 4.3.2): never the query, the body or a cookie. A
// request with more than one credential, or one that is not of the form "Bearer b64token", is invalid_request with status
// 400. Credentials of another scheme are none for us. Where the request came over TLS with a certificate of the client, the
// credential shows that too (RFC 8705 3).
//
// Of the grammar only what could hide a second credential is judged here; the characters of the token itself are judged
// together with the token, once for each token instead of once for each request.
func FromRequest(r *http.Request) (c Credential, found bool, err error) {
	_, raw, found, err := tokenOf(r, oauth.Bearer)
	if err != nil || !found {
		return Credential{}, false, err
	}
	return bearerOf(r, raw), true, nil
}

// bearerOf returns a token with what the connection shows of its sender.
func bearerOf(r *http.Request, raw string) Credential {
	c := Credential{Token: raw}
	if chain := httpx.Certificates(r); len(chain) > 0 {
		c.certificate = chain[0]
	}
	return c
}

// tokenOf returns the token of a request and by which of the schemes it is presented.
func tokenOf(r *http.Request, schemes ...string) (name, raw string, found bool, err error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", "", false, nil
	}
	refuse := func(text string) (string, string, bool, error) {
		return "", "", false, oauth.NewError(oauth.InvalidRequest, text)
	}
	if len(values) > 1 {
		return refuse("the request has more than one Authorization header")
	}
	name, rest := cutScheme(values[0])
	if !slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s, name) }) {
		return "", "", false, nil
	}
	raw = strings.TrimLeft(rest, " ")
	switch {
	case raw == "":
		return refuse("the Authorization header has no token")
	case separated(raw):
		return refuse("the Authorization header does not hold exactly one token")
	case r.URL.RawQuery != "" && queryHasToken(r.URL.RawQuery):
		return refuse("the request has a second token in its query")
	}
	return name, raw, true, nil
}

// presents reports whether a request presents a token by a scheme.
func presents(r *http.Request, scheme string) bool {
	name, _ := cutScheme(strings.Join(r.Header["Authorization"], ","))
	return strings.EqualFold(name, scheme)
}

// cutScheme splits a credential at the first character that does not belong to the name of its scheme (RFC 9110 11.1).
func cutScheme(credential string) (name, rest string) {
	i := strings.IndexAny(credential, " \t,;=\"")
	if i < 0 {
		return credential, ""
	}
	return credential[:i], credential[i:]
}

// separated reports whether a token holds a character that ends one: no b64token does.
func separated(token string) bool {
	for _, c := range []byte(" \t,;\"") {
		if strings.IndexByte(token, c) >= 0 {
			return true
		}
	}
	return false
}

// queryHasToken reports whether a query has a parameter that RFC 6750 2.3 reads as a token. Its value is not looked at.
func queryHasToken(query string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if strings.IndexByte(name, '%') >= 0 {
			if plain, err := url.QueryUnescape(name); err == nil {
				name = plain
			}
		}
		if name == "access_token" {
			return true
		}
	}
	return false
}
