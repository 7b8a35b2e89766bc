// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

const callback = "com.example.app:/cb"

var accepted = step{http.StatusCreated, `{"request_uri":"urn:ietf:params:oauth:request_uri:req_1.s","expires_in":60}`}

// holding returns a client that is signed in.
func holding(t *testing.T, s *issuer) *client.Client {
	t.Helper()
	c := s.client(map[string]client.Handler{})
	if _, err := c.Authorize(t.Context(), client.Request{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// answered is where the browser comes back to, changed by pairs of name and value.
func answered(s *issuer, state string, pairs ...string) string {
	query := url.Values{"iss": {s.URL}, "state": {state}, "code": {"c-1"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	return callback + "?" + query.Encode()
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	s.pushed = []step{accepted}
	c := holding(t, s)
	h, err := c.HandOver(t.Context(), client.Request{Scopes: []string{"read", "write"}, ACRValues: []string{"gold"}}, callback)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"client_id": {"app"}, "request_uri": {"urn:ietf:params:oauth:request_uri:req_1.s"}}
	if diff := cmp.Diff(want, at.Query()); diff != "" || at.Path != "/authorize" || !h.Expires.Equal(noon.Add(time.Minute)) {
		t.Errorf("the browser is to go to %s until %s:\n%s", h.URL, h.Expires, diff)
	}
	forms := s.asked()
	pushed := forms[len(forms)-1]
	challenge, state := pushed.Get("code_challenge"), pushed.Get("state")
	if len(challenge) != 43 || len(state) < 22 {
		t.Errorf("the challenge is %q, the state %q", challenge, state)
	}
	pushed.Del("code_challenge")
	pushed.Del("state")
	want = url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "code_challenge_method": {"S256"}, "scope": {"read write"}, "acr_values": {"gold"},
		"ui_locales": {"nl en"}, "auth_session": {"s-end"}, "redirect_uri": {callback},
	}
	if diff := cmp.Diff(want, pushed); diff != "" {
		t.Errorf("pushed (-want +got):\n%s", diff)
	}

	tokens, err := c.Finish(t.Context(), h, answered(s, state))
	if err != nil || tokens.Access != "a2" || c.Tokens().Access != "a2" {
		t.Errorf("Finish = %+v, %v", tokens, err)
	}
	forms = s.asked()
	redeemed := forms[len(forms)-1]
	if len(redeemed.Get("code_verifier")) < 43 {
		t.Errorf("the verifier is %q", redeemed.Get("code_verifier"))
	}
	redeemed.Del("code_verifier")
	want = url.Values{"grant_type": {"authorization_code"}, "code": {"c-1"}, "redirect_uri": {callback}, "client_id": {"app"}}
	if diff := cmp.Diff(want, redeemed); diff != "" {
		t.Errorf("redeemed (-want +got):\n%s", diff)
	}
}

// An address that somebody else has made up leads to no tokens, and not to the server.
func TestFinishRefusesForeignAnswers(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	s.pushed = []step{accepted}
	c := holding(t, s)
	h, err := c.HandOver(t.Context(), client.Request{}, callback)
	if err != nil {
		t.Fatal(err)
	}
	forms := s.asked()
	state := forms[len(forms)-1].Get("state")
	for name, address := range map[string]string{
		"another state":  answered(s, "another"),
		"no state":       answered(s, ""),
		"another issuer": answered(s, state, "iss", "https://evil.example"),
		"no issuer":      answered(s, state, "iss", ""),
		"no address":     "%",
		"nothing":        callback,
	} {
		if tokens, err := c.Finish(t.Context(), h, address); !errors.Is(err, client.ErrForeignAnswer) || tokens.Access != "" {
			t.Errorf("%s: Finish = %+v, %v", name, tokens, err)
		}
	}
	if got := len(s.asked()); got != len(forms) {
		t.Errorf("the server was asked %d times more", got-len(forms))
	}
	_, err = c.Finish(t.Context(), h, answered(s, state, "error", "access_denied", "code", ""))
	if e := (*client.Error)(nil); !errors.As(err, &e) || e.Code != "access_denied" {
		t.Errorf("after a no: %v", err)
	}
}

func TestHandOverFails(t *testing.T) {
	t.Parallel()
	s := newIssuer(t, step{http.StatusOK, granted})
	s.pushed = []step{{http.StatusBadRequest, `{"error":"invalid_session"}`}}
	if h, err := s.client(map[string]client.Handler{}).HandOver(t.Context(), client.Request{}, callback); !errors.Is(err, client.ErrNoSession) || h != nil {
		t.Errorf("without a session: %v, %v", h, err)
	}
	c := holding(t, s)
	h, err := c.HandOver(t.Context(), client.Request{}, callback)
	if e := (*client.Error)(nil); !errors.As(err, &e) || e.Code != "invalid_session" || h != nil {
		t.Errorf("with a session that has ended: %v, %v", h, err)
	}
	if _, err := c.HandOver(t.Context(), client.Request{}, callback); !errors.Is(err, client.ErrNoSession) {
		t.Errorf("it is not forgotten: %v", err)
	}
}
