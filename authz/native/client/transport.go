// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Transport returns a [http.RoundTripper] for requests to protected resources. It adds the access token; and when a resource
// answers that it wants more (401 of RFC 9470 3, 403 of RFC 6750 3.1), or does not know the token any more, it has that proven
// and sends the request once more. A request with a body is sent again only if it has GetBody, as those of [http.NewRequest]
// do. The base sends the requests.
func (c *Client) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{client: c, base: base}
}

type transport struct {
	client *Client
	base   http.RoundTripper
}

// RoundTrip sends a request, and once more when the resource wanted more and got it.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tokens, err := t.client.current(r.Context())
	if err != nil {
		return nil, err
	}
	response, err := t.send(r, r.Body, tokens)
	if err != nil {
		return nil, err
	}
	want, more := wanted(response, tokens)
	if !more || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return response, nil
	}
	tokens, err = t.client.raise(r.Context(), want, tokens)
	if err != nil {
		_ = response.Body.Close() // what could not be proven is the answer
		return nil, err
	}
	body := r.Body
	if r.GetBody != nil {
		if body, err = r.GetBody(); err != nil {
			return response, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // so that the connection can be used again
	_ = response.Body.Close()
	return t.send(r, body, tokens)
}

func (t *transport) send(r *http.Request, body io.ReadCloser, tokens Tokens) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Body = body
	sent.Header.Set("Authorization", "Bearer "+tokens.Access)
	return t.base.RoundTrip(sent)
}

// raise has proven what a resource wants. Of several requests that found it out with the same tokens, the first does, and the
// others take what it got.
func (c *Client) raise(ctx context.Context, r Request, with Tokens) (Tokens, error) {
	return c.exclusively(ctx, func() (Tokens, error) {
		if now := c.Tokens(); now.Access != with.Access && now.Access != "" {
			return now, nil
		}
		return c.authorize(ctx, r)
	})
}

// wanted reads from a refusal what would be enough.
func wanted(response *http.Response, have Tokens) (Request, bool) {
	want := Request{Scopes: have.Scopes}
	for _, header := range response.Header.Values("WWW-Authenticate") {
		challenge := parseBearer(header)
		switch {
		case response.StatusCode == http.StatusForbidden && challenge["error"] == "insufficient_scope":
			for _, scope := range strings.Fields(challenge["scope"]) {
				if !slices.Contains(want.Scopes, scope) {
					want.Scopes = append(slices.Clone(want.Scopes), scope)
				}
			}
			return want, true
		case response.StatusCode == http.StatusUnauthorized && challenge["error"] == "insufficient_user_authentication":
			want.ACRValues = strings.Fields(challenge["acr_values"])
			if seconds, err := strconv.ParseInt(challenge["max_age"], 10, 32); err == nil {
				age := time.Duration(seconds) * time.Second
				want.MaxAge = &age
			}
			return want, true
		case response.StatusCode == http.StatusUnauthorized && challenge["error"] == "invalid_token":
			return want, true
		}
	}
	return want, false
}

// parseBearer reads the parameters of a Bearer challenge (RFC 6750 3): nothing of one of another scheme.
func parseBearer(header string) map[string]string {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	parameters := map[string]string{}
	if !strings.EqualFold(scheme, "Bearer") {
		return parameters
	}
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		var value string
		value, rest = parseValue(after)
		parameters[strings.ToLower(strings.Trim(name, " ,\t"))] = value
	}
	return parameters
}

// parseValue reads a token or a quoted string, and returns what follows it.
func parseValue(text string) (value, rest string) {
	if !strings.HasPrefix(text, `"`) {
		value, rest, _ = strings.Cut(text, ",")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), strings.TrimLeft(text[i+1:], " ,\t")
		case '\\':
			if i++; i == len(text) {
				return b.String(), ""
			}
		}
		b.WriteByte(text[i])
	}
	return b.String(), ""
}
