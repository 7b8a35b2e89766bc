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
//
// Where an [http.Client] follows a redirect, token and proof go along as long as it stays at the server that the request was for: the same
// scheme, host and port. To another one it goes without, and so does all that comes after, also when that leads back: what is asked there is
// the other server's wish. The answer is handed on as it is.
func (c *Client) Transport(base http.RoundTripper) http.RoundTripper {
	return &transport{client: c, base: base}
}

type transport struct {
	client *Client
	base   http.RoundTripper
}

// RoundTrip sends a request, and once more when the resource wanted more and got it.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if strays(r) {
		return t.base.RoundTrip(r)
	}
	tokens, err := t.client.current(r.Context())
	if err != nil {
		return nil, unsent(r.Body, err)
	}
	response, err := t.send(r, r.Body, tokens)
	if err != nil {
		return nil, err
	}
	want, more := wanted(response, tokens)
	if !more || !repeatable(r) {
		return response, nil
	}
	tokens, err = t.client.raise(r.Context(), want, tokens)
	if err != nil {
		_ = response.Body.Close() // what could not be proven is the answer
		return nil, err
	}
	body, err := bodyAgain(r)
	if err != nil {
		return response, nil
	}
	finish(response)
	return t.send(r, body, tokens)
}

// send sends a request with a token, and once more when its resource wants the proof to carry another nonce (RFC 9449 9).
func (t *transport) send(r *http.Request, body io.ReadCloser, tokens Tokens) (*http.Response, error) {
	response, nonce, err := t.sendOnce(r, body, tokens)
	if err != nil || !wantsNonce(response) || !t.client.proofs.newer(origin(r), nonce) || !repeatable(r) {
		return response, err
	}
	if body, err = bodyAgain(r); err != nil {
		return response, nil
	}
	finish(response)
	response, _, err = t.sendOnce(r, body, tokens)
	return response, err
}

// sendOnce sends a request with a token and, where that is bound to a key, with a proof, whose nonce it returns.
func (t *transport) sendOnce(r *http.Request, body io.ReadCloser, tokens Tokens) (*http.Response, string, error) {
	sent := r.Clone(r.Context())
	sent.Body = body
	sent.Header.Set("Authorization", tokens.Type+" "+tokens.Access)
	nonce, err := t.client.proofs.prove(sent, origin(r), tokens.Access)
	if err != nil {
		return nil, "", unsent(body, err)
	}
	response, err := t.base.RoundTrip(sent)
	if err != nil {
		return nil, "", err
	}
	t.client.proofs.hear(origin(r), response)
	response.Request = r // without the token, and so that the next redirect can be traced back
	return response, nonce, nil
}

// strays reports whether redirects that have led to a request have left its server, or do not say where they were.
func strays(r *http.Request) bool {
	for came := r; came.Response != nil; {
		if came = came.Response.Request; came == nil || !sameServer(came, r) {
			return true
		}
	}
	return false
}

// sameServer reports whether two requests go to one server, by where they are sent and by what they call it.
func sameServer(a, b *http.Request) bool {
	return origin(a) == origin(b) && originOf(a.URL.Scheme, a.URL.Host) == originOf(b.URL.Scheme, b.URL.Host)
}

// repeatable reports whether a request can be sent twice.
func repeatable(r *http.Request) bool {
	return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
}

// bodyAgain is the body of a repeatable request for another time.
func bodyAgain(r *http.Request) (io.ReadCloser, error) {
	if r.GetBody == nil {
		return r.Body, nil // there is nothing in it
	}
	return r.GetBody()
}

// unsent closes the body of a request that is not sent, as whoever sends it would.
func unsent(body io.Closer, err error) error {
	if body != nil {
		_ = body.Close() // the reason is what counts
	}
	return err
}

// finish ends an answer that nobody reads, so that its connection can be used again.
func finish(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	_ = response.Body.Close()
}

// wantsNonce reports whether a resource refuses a proof for its nonce.
func wantsNonce(response *http.Response) bool {
	if response.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, header := range response.Header.Values("WWW-Authenticate") {
		if parseChallenge(header, "DPoP")["error"] == "use_dpop_nonce" {
			return true
		}
	}
	return false
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
		challenge := parseChallenge(header, have.Type)
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

// parseChallenge reads the parameters of the challenge of a scheme (RFC 9110 11.6.1), which may stand beside those of others.
func parseChallenge(header, scheme string) map[string]string {
	parameters, current := map[string]string{}, ""
	for rest := header; rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		words := strings.Fields(name[strings.LastIndex(name, ",")+1:])
		if len(words) > 1 { // the scheme stands before its first parameter
			current = words[0]
		}
		var value string
		value, rest = parseValue(after)
		if len(words) > 0 && strings.EqualFold(current, scheme) {
			parameters[strings.ToLower(words[len(words)-1])] = value
		}
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
