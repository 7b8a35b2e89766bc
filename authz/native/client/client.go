// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Config describes a [Client]. Issuer, Handlers, HTTP and Now are required, and ClientID or Registration.
type Config struct {
	// Issuer is the URL of the authorization server, from which everything else is discovered.
	Issuer string
	// ClientID is that of the app, which all its installations share.
	ClientID string
	// Registration makes each installation a client of its own, instead.
	Registration *Registration
	// Scopes are those to ask for at first; a resource may want more later. Default: those of the server for the client.
	Scopes []string
	// Handlers answer challenges by the name of the realm.
	Handlers map[string]Handler
	// Notify, unless nil, shows what a realm has to say to somebody whom it has accepted.
	Notify func(ctx context.Context, n Notice)
	// UILocales are the languages of the person, best first, as BCP 47 tags.
	UILocales []string
	// DPoP, unless nil, has tokens bound to a key. A client that is to have bound tokens takes no others.
	DPoP *DPoP
	// HTTP sends the requests to the server. It should have a time-out. Of redirects it follows those of the metadata alone.
	HTTP *http.Client
	Now  func() time.Time
}

// Client is an app's way to tokens. It is safe for concurrent use; one authorization is under way at a time.
type Client struct {
	config Config
	proofs *prover // nil where tokens are for whoever bears them

	turn      chan struct{} // held by whoever changes what follows
	mu        sync.Mutex
	endpoints *endpoints
	session   string // auth_session
	instance  Instance
	tokens    Tokens
}

// Tokens are what the server has issued.
type Tokens struct {
	Access string
	// Type is "DPoP" for an access token that is bound to a key, which goes with a proof and which [Client.Transport] therefore has to send,
	// and otherwise "Bearer".
	Type    string
	Refresh string
	ID      string
	Scopes  []string
	Expires time.Time
}

// Request is what to ask for beyond the usual.
type Request struct {
	Scopes    []string
	ACRValues []string
	// MaxAge, unless nil, is how old the login may be.
	MaxAge    *time.Duration
	LoginHint string
	// Login has the user prove again who he is.
	Login bool
}

// maxRounds ends an authorization in which the server keeps asking.
const maxRounds = 50

// ErrTooManyRounds says that the server kept asking.
var ErrTooManyRounds = errors.New("the server keeps asking")

// New returns a client. It sends nothing yet.
func New(c Config) (*Client, error) {
	if c.Issuer == "" || (c.ClientID == "") == (c.Registration == nil) || c.Handlers == nil || c.HTTP == nil || c.Now == nil {
		return nil, errors.New("building a client: issuer, handlers, HTTP client and clock are required, and either a client id or a registration")
	}
	proofs, err := newProver(c.DPoP, c.Now)
	if err != nil {
		return nil, fmt.Errorf("building a client: %w", err)
	}
	client := &Client{config: c, proofs: proofs, turn: make(chan struct{}, 1)}
	if c.Registration != nil {
		if err := c.Registration.check(); err != nil {
			return nil, err
		}
		client.instance = c.Registration.Instance
	}
	client.turn <- struct{}{}
	return client, nil
}

// Tokens returns the tokens there are; the zero value before the first authorization.
func (c *Client) Tokens() Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

// Authorize has what a request needs proven, and returns the tokens. What was proven before, and is fresh, is not asked
// again. An [*Error] is the server's refusal, a [*RealmError] a challenge that the app cannot answer.
func (c *Client) Authorize(ctx context.Context, r Request) (Tokens, error) {
	return c.exclusively(ctx, func() (Tokens, error) { return c.authorize(ctx, r) })
}

// exclusively runs fn when nobody else does.
func (c *Client) exclusively(ctx context.Context, fn func() (Tokens, error)) (Tokens, error) {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return Tokens{}, ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	return fn()
}

// authorize begins anew, once, when the server has forgotten this installation meanwhile.
func (c *Client) authorize(ctx context.Context, r Request) (Tokens, error) {
	tokens, err := c.authorizeOnce(ctx, r)
	if c.forgotten(ctx, err) {
		return c.authorizeOnce(ctx, r)
	}
	return tokens, err
}

func (c *Client) authorizeOnce(ctx context.Context, r Request) (Tokens, error) {
	verifier := newVerifier()
	code, err := c.challenge(ctx, c.ask(r, verifier))
	if lost(err) && c.session != "" { // the server does not know the session any more: begin anew, once
		c.session = ""
		code, err = c.challenge(ctx, c.ask(r, verifier))
	}
	if err != nil {
		return Tokens{}, err
	}
	return c.exchange(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "code_verifier": {verifier},
	})
}

// newVerifier draws a code verifier: 52 characters of base32 (RFC 7636 4.1).
func newVerifier() string { return rand.Text() + rand.Text() }

func lost(err error) bool { return refused(err, "invalid_session") }

// ask is the first message of an authorization (5.1).
func (c *Client) ask(r Request, verifier string) url.Values {
	sum := sha256.Sum256([]byte(verifier))
	form := url.Values{
		"response_type": {"code"}, "code_challenge_method": {"S256"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])},
	}
	set := func(name, value string) {
		if value != "" {
			form.Set(name, value)
		}
	}
	scopes := r.Scopes
	if len(scopes) == 0 {
		scopes = c.config.Scopes
	}
	set("scope", strings.Join(scopes, " "))
	set("acr_values", strings.Join(r.ACRValues, " "))
	set("ui_locales", strings.Join(c.config.UILocales, " "))
	set("login_hint", r.LoginHint)
	set("auth_session", c.session)
	if c.proofs != nil {
		set("dpop_jkt", c.proofs.thumbprint)
	}
	if r.MaxAge != nil {
		set("max_age", strconv.FormatInt(int64(*r.MaxAge/time.Second), 10))
	}
	if r.Login {
		set("prompt", "login")
	}
	return form
}

// challenge answers what the server asks until it hands out a code.
func (c *Client) challenge(ctx context.Context, form url.Values) (code string, err error) {
	for range maxRounds {
		var answer struct {
			Code       string                `json:"authorization_code"`
			Session    string                `json:"auth_session"`
			Challenges map[string]*Challenge `json:"challenges"`
			Notices    []Notice              `json:"notices"`
		}
		err := c.post(ctx, func(e *endpoints) string { return e.Challenge }, form, &answer)
		if answer.Session != "" {
			c.session = answer.Session
		}
		c.notify(ctx, answer.Notices)
		if err == nil {
			return answer.Code, nil
		}
		if !refused(err, "insufficient_authorization") {
			return "", err
		}
		answers, err := c.answer(ctx, answer.Challenges)
		if err != nil {
			return "", err
		}
		form = url.Values{"auth_session": {c.session}, "answers": {answers}}
	}
	return "", ErrTooManyRounds
}

func (c *Client) notify(ctx context.Context, notices []Notice) {
	if c.config.Notify == nil {
		return
	}
	for _, n := range notices {
		c.config.Notify(ctx, n)
	}
}

// answer has each challenge answered by the handler of its realm.
func (c *Client) answer(ctx context.Context, challenges map[string]*Challenge) (string, error) {
	all := map[string]map[string]string{}
	for realm, asked := range challenges {
		handler := c.config.Handlers[realm]
		if handler == nil {
			return "", &RealmError{Realm: realm}
		}
		if asked == nil {
			return "", fmt.Errorf("the realm %q asks nothing", realm)
		}
		asked.Realm, asked.Issuer = realm, c.config.Issuer
		all[realm] = asked.takeHidden()
		given, err := handler.Answer(ctx, *asked)
		if err != nil {
			return "", fmt.Errorf("answering the realm %q: %w", realm, err)
		}
		maps.Copy(all[realm], given)
	}
	text, err := json.Marshal(all)
	return string(text), err
}
