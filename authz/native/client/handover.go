// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// ErrNoSession says that the app has no session to hand over: nobody has logged in in it.
var ErrNoSession = errors.New("the app has no session")

// ErrForeignAnswer says that what came back is no answer to what was asked (RFC 6749 10.12, RFC 9207 2.4).
var ErrForeignAnswer = errors.New("the answer is not to this request")

// Handover is an authorization request that waits for the system browser.
type Handover struct {
	// URL is where the browser is to go, at once: whoever opens it first is the one who is asked. Nobody else may see it.
	URL string
	// Expires is until when it can be opened, once.
	Expires time.Time

	redirectURI, state, verifier string
}

// HandOver offers the session of the app to the system browser (RFC 9126). The browser asks the person, and goes on in the same session
// with what was proven in the app; then it comes to the redirect URI, which has to be one of the client's, and with which
// [Client.Finish] goes on. It does not have to: the browser has the session either way.
func (c *Client) HandOver(ctx context.Context, r Request, redirectURI string) (*Handover, error) {
	h := &Handover{redirectURI: redirectURI, state: rand.Text(), verifier: newVerifier()}
	_, err := c.exclusively(ctx, func() (Tokens, error) { return Tokens{}, c.push(ctx, r, h) })
	if err != nil {
		return nil, err
	}
	return h, nil
}

// push pushes the request and fills in where to open it.
func (c *Client) push(ctx context.Context, r Request, h *Handover) error {
	if c.session == "" {
		return ErrNoSession
	}
	form := c.ask(r, h.verifier)
	form.Set("redirect_uri", h.redirectURI)
	form.Set("state", h.state)
	var answer struct {
		URI     string `json:"request_uri"`
		Seconds int64  `json:"expires_in"`
	}
	asked := c.config.Now()
	err := c.post(ctx, func(e *endpoints) string { return e.Pushed }, form, &answer)
	if lost(err) || c.forgotten(ctx, err) {
		c.session = ""
	}
	if err != nil {
		return err
	}
	address, err := url.Parse(c.endpoints.Authorize)
	if err != nil {
		return fmt.Errorf("reading the server's metadata: %w", err)
	}
	query := address.Query()
	query.Set("client_id", form.Get("client_id"))
	query.Set("request_uri", answer.URI)
	address.RawQuery = query.Encode()
	h.URL, h.Expires = address.String(), asked.Add(time.Duration(answer.Seconds)*time.Second)
	return nil
}

// Finish turns the address that the browser has come back to into tokens. An [*Error] is the server's refusal, access_denied that of
// the person; [ErrForeignAnswer] means that the address is not an answer to this request.
func (c *Client) Finish(ctx context.Context, h *Handover, callback string) (Tokens, error) {
	address, err := url.Parse(callback)
	if err != nil {
		return Tokens{}, ErrForeignAnswer
	}
	answer := address.Query()
	mine := subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(h.state)) == 1
	if !mine || answer.Get("iss") != c.config.Issuer {
		return Tokens{}, ErrForeignAnswer
	}
	if code := answer.Get("error"); code != "" {
		return Tokens{}, &Error{Code: code, Description: answer.Get("error_description")}
	}
	return c.exclusively(ctx, func() (Tokens, error) {
		return c.exchange(ctx, url.Values{
			"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "code_verifier": {h.verifier},
			"redirect_uri": {h.redirectURI},
		})
	})
}
