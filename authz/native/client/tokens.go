// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds what is read of a server's answer.
const maxAnswer = 1 << 20

// endpoints are where the server is to be asked, by its metadata (RFC 8414).
type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Challenge string `json:"authorization_challenge_endpoint"`
	Pushed    string `json:"pushed_authorization_request_endpoint"`
	Token     string `json:"token_endpoint"`
	Revoke    string `json:"revocation_endpoint"`
	Register  string `json:"registration_endpoint"`
	// Proofs are the algorithms of DPoP proofs that the server knows (RFC 9449 5.1).
	Proofs []string `json:"dpop_signing_alg_values_supported"`
}

func (c *Client) discover(ctx context.Context) (*endpoints, error) {
	if c.endpoints != nil {
		return c.endpoints, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.config.Issuer+"/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("reading the server's metadata: %w", err)
	}
	found := new(endpoints)
	if err := c.sendBy(c.config.HTTP, r, found); err != nil { // which carries nothing, so that it may be redirected
		return nil, fmt.Errorf("reading the server's metadata: %w", err)
	}
	if found.Issuer != c.config.Issuer { // RFC 8414 3.3
		return nil, fmt.Errorf("the metadata is of the issuer %q and not of %q", found.Issuer, c.config.Issuer)
	}
	if found.Challenge == "" || found.Token == "" {
		return nil, errors.New("the server has no authorization challenge endpoint")
	}
	if err := c.proofs.takes(found); err != nil {
		return nil, err
	}
	c.endpoints = found
	return found, nil
}

// post sends a form to an endpoint, in the name of this client, and reads its answer, also that of an error.
func (c *Client) post(ctx context.Context, endpoint func(*endpoints) string, form url.Values, into any) error {
	known, err := c.discover(ctx)
	if err != nil {
		return err
	}
	address := endpoint(known)
	if address == "" {
		return errors.New("the server does not have the endpoint that is needed")
	}
	nonce, err := c.postOnce(ctx, address, form, into)
	if refused(err, "use_dpop_nonce") && c.proofs.newer(ofIssuer, nonce) {
		_, err = c.postOnce(ctx, address, form, into) // once: another server may demand nonces for ever
	}
	return err
}

// postOnce sends a form, with a proof of the key where tokens are bound to one, and returns the nonce of that.
func (c *Client) postOnce(ctx context.Context, address string, form url.Values, into any) (nonce string, err error) {
	if err := c.identify(ctx, form); err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if address != c.endpoints.Revoke { // where nothing is bound
		if nonce, err = c.proofs.prove(r, ofIssuer, ""); err != nil {
			return "", err
		}
	}
	return nonce, c.send(r, into)
}

// send sends a request to the server, and to nobody else: what it carries is not for those to whom it might be redirected.
func (c *Client) send(r *http.Request, into any) error {
	direct := *c.config.HTTP
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c.sendBy(&direct, r, into)
}

func (c *Client) sendBy(by *http.Client, r *http.Request, into any) error {
	r.Header.Set("Accept", "application/json")
	response, err := by.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	c.proofs.hear(ofIssuer, response)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode/100 == 2 {
		if into == nil || len(body) == 0 {
			return nil
		}
		return json.Unmarshal(body, into)
	}
	refusal := &Error{Status: response.StatusCode}
	if json.Unmarshal(body, refusal) != nil || refusal.Code == "" {
		return fmt.Errorf("%s answers %d", r.URL.Path, response.StatusCode)
	}
	if into != nil {
		_ = json.Unmarshal(body, into) // what an error says beyond its code
	}
	return refusal
}

// ErrTokenType says that the server has issued a token of another type than this client can use: one that is bound to a key where [DPoP] is
// not configured, or one that is not where it is.
var ErrTokenType = errors.New("the server has issued a token that is of no use")

// refused reports whether an error is the server's, with that code.
func refused(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// exchange turns a grant into tokens and keeps them.
func (c *Client) exchange(ctx context.Context, form url.Values) (Tokens, error) {
	var answer struct {
		Access  string `json:"access_token"`
		Type    string `json:"token_type"`
		Refresh string `json:"refresh_token"`
		ID      string `json:"id_token"`
		Scope   string `json:"scope"`
		Seconds int64  `json:"expires_in"`
		Session string `json:"auth_session"`
	}
	asked := c.config.Now()
	if err := c.post(ctx, func(e *endpoints) string { return e.Token }, form, &answer); err != nil {
		return Tokens{}, err
	}
	if answer.Session != "" {
		c.session = answer.Session
	}
	if !strings.EqualFold(answer.Type, c.proofs.kind()) { // RFC 6749 7.1, RFC 9449 5
		return Tokens{}, fmt.Errorf("%w: the token is of the type %q, and not %q", ErrTokenType, answer.Type, c.proofs.kind())
	}
	tokens := Tokens{
		Access: answer.Access, Type: c.proofs.kind(), Refresh: answer.Refresh, ID: answer.ID, Scopes: strings.Fields(answer.Scope),
		Expires: asked.Add(time.Duration(answer.Seconds) * time.Second),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = tokens
	return tokens, nil
}

// soon is how long before its end a token is taken for expired: it has to reach the resource.
const soon = 10 * time.Second

// current returns tokens that are good for a while: those there are, refreshed ones, or new ones.
func (c *Client) current(ctx context.Context) (Tokens, error) {
	if t := c.Tokens(); c.good(t) {
		return t, nil
	}
	return c.exclusively(ctx, func() (Tokens, error) {
		t := c.Tokens()
		if c.good(t) { // whoever was before us has seen to it
			return t, nil
		}
		return c.renew(ctx, t)
	})
}

func (c *Client) good(t Tokens) bool {
	return t.Access != "" && c.config.Now().Add(soon).Before(t.Expires)
}

// renew refreshes tokens and, where that does not work any more, has everything proven that is not fresh.
func (c *Client) renew(ctx context.Context, t Tokens) (Tokens, error) {
	if t.Refresh == "" {
		return c.authorize(ctx, Request{Scopes: t.Scopes})
	}
	renewed, err := c.exchange(ctx, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {t.Refresh},
	})
	if refused(err, "invalid_grant") || c.forgotten(ctx, err) {
		return c.authorize(ctx, Request{Scopes: t.Scopes})
	}
	return renewed, err
}

// Logout revokes the tokens and forgets them and the session.
func (c *Client) Logout(ctx context.Context) error {
	_, err := c.exclusively(ctx, func() (Tokens, error) {
		t := c.Tokens()
		token := t.Refresh
		if token == "" {
			token = t.Access
		}
		c.mu.Lock()
		c.tokens, c.session = Tokens{}, ""
		c.mu.Unlock()
		if token == "" {
			return Tokens{}, nil
		}
		return Tokens{}, c.post(ctx, func(e *endpoints) string { return e.Revoke },
			url.Values{"token": {token}}, nil)
	})
	return err
}
