// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// scope is all that is needed to send.
const scope = "https://www.googleapis.com/auth/firebase.messaging"

// The life of a token: at most what Google gives, and replaced a little before its end.
const (
	maxLife  = time.Hour
	renewal  = time.Minute
	maxToken = 8 << 10 // bytes
)

// access fetches access tokens and hands them out. It is safe for concurrent use.
type access struct {
	config  jwt.Config
	service *provider.Client
	now     func() time.Time

	mu       sync.Mutex
	token    string
	until    time.Time
	fetching *fetching
}

// fetching is a token on its way, that several wait for. The rest is set when done is closed.
type fetching struct {
	done  chan struct{}
	token string
	err   error
}

func newAccess(a *ServiceAccount, service *provider.Client, now func() time.Time) *access {
	return &access{
		config: jwt.Config{
			Email: a.email, PrivateKey: a.key, PrivateKeyID: a.keyID, Scopes: []string{scope}, TokenURL: a.tokenURL,
		},
		service: service, now: func() time.Time { return now().Round(0) },
	}
}

// get returns a token other than the stale one, which may be empty. It waits no longer than ctx.
func (a *access) get(ctx context.Context, stale string) (string, error) {
	a.mu.Lock()
	if a.token != "" && a.token != stale && a.now().Before(a.until) {
		defer a.mu.Unlock()
		return a.token, nil
	}
	f := a.fetching
	if f == nil {
		f = &fetching{done: make(chan struct{})}
		a.fetching = f
		go a.fetch(context.WithoutCancel(ctx), f)
	}
	a.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// fetch gets one token for all who wait. Its time is that of a call to the service.
func (a *access) fetch(ctx context.Context, f *fetching) {
	started := a.now()
	token, life, err := a.exchange(ctx)
	a.mu.Lock()
	f.token, f.err = token, err
	if err == nil {
		a.token, a.until = token, started.Add(life-min(renewal, life/2))
	}
	a.fetching = nil
	a.mu.Unlock()
	close(f.done)
}

// exchange asks for a token. What the library says of a failure is not kept: it flattens causes and repeats answers.
func (a *access) exchange(ctx context.Context) (string, time.Duration, error) {
	seen := &witness{next: a.service}
	client := &http.Client{Transport: seen, CheckRedirect: a.service.HTTP().CheckRedirect}
	got, err := a.config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	var refusal *oauth2.RetrieveError
	switch {
	case errors.As(err, &refusal):
		return "", 0, tokenRefused(refusal.Response.StatusCode, refusal.Body, provider.RetryAfter(refusal.Response.Header, a.now()))
	case seen.err != nil:
		return "", 0, seen.err
	case err != nil, !goodToken(got):
		return "", 0, &push.Failure{Class: push.Transient, Reason: reasonToken}
	}
	seconds, _ := got.Extra("expires_in").(float64)
	life := maxLife
	if seconds > 0 && seconds < maxLife.Seconds() {
		life = time.Duration(seconds * float64(time.Second))
	}
	return got.AccessToken, life, nil
}

// goodToken admits what can stand in a header field (RFC 6750, section 2.1).
func goodToken(t *oauth2.Token) bool {
	return strings.EqualFold(t.Type(), "Bearer") && t.AccessToken != "" && len(t.AccessToken) <= maxToken &&
		!strings.ContainsFunc(t.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' })
}

// tokenRefused says what a refused assertion means: somebody has to look at the account, unless the service has trouble of its own.
func tokenRefused(status int, body []byte, after time.Duration) *push.Failure {
	var said struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &said) // a page of somebody in between has no word
	f := &push.Failure{Class: push.Transient, Reason: push.Word(said.Error), Status: status, RetryAfter: after}
	switch {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		f.Class = push.Overloaded
	case status >= 400 && status < 500:
		f.Class = push.Config
	}
	if f.Reason == "" {
		f.Reason = reasonToken
	}
	return f
}

// witness remembers why a call failed.
type witness struct {
	next http.RoundTripper
	err  error
}

// RoundTrip hands a call on.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	w.err = err
	return response, err
}
