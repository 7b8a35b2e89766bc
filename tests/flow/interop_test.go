// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gatehouse-id/gatehouse/validation"
)

// foreign is a context in which clients of others reach the issuer.
func foreign(t *testing.T, w *world) context.Context {
	return oidc.ClientContext(t.Context(), &http.Client{Transport: w})
}

func TestClientsOfOthers(t *testing.T) { // coreos/go-oidc and golang.org/x/oauth2
	each(t, func(t *testing.T, w *world) {
		ctx := foreign(t, w)
		provider, err := oidc.NewProvider(ctx, issuer)
		must(t, err)
		config := oauth2.Config{
			ClientID: "app", ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: callback,
			Scopes: []string{"openid", "email", "read"},
		}
		b := w.browser(t)
		p := b.login(b.get(config.AuthCodeURL("a state & more", oidc.Nonce("a nonce"), oauth2.S256ChallengeOption(verifier))))
		if got := p.url.Query().Get("state"); got != "a state & more" {
			t.Errorf("state is %q", got)
		}
		token, err := config.Exchange(ctx, p.url.Query().Get("code"), oauth2.VerifierOption(verifier))
		must(t, err)
		raw, _ := token.Extra("id_token").(string)
		idToken, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "app", Now: w.clock.Now, SupportedSigningAlgs: []string{"ES256"}}).Verify(ctx, raw)
		must(t, err)
		if idToken.Subject != w.alice.ID || idToken.Nonce != "a nonce" {
			t.Errorf("the ID token says %+v", idToken)
		}
		must(t, idToken.VerifyAccessToken(token.AccessToken))
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		must(t, err)
		if info.Subject != w.alice.ID || info.Email != "alice@example.com" {
			t.Errorf("userinfo says %+v", info)
		}
		token.Expiry = time.Now().Add(-time.Hour) // by the clock of that library
		fresh, err := config.TokenSource(ctx, token).Token()
		must(t, err)
		if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
			t.Error("the library did not refresh")
		}
	})
}

func TestMachineClientOfOthers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := foreign(t, w)
		config := clientcredentials.Config{ClientID: "machine", ClientSecret: secret, TokenURL: issuer + "/token", Scopes: []string{"read"}}
		token, err := config.Token(ctx)
		must(t, err)
		want(t, "the API", w.call(t, api+"/", token.AccessToken).status, http.StatusOK)
		want(t, "more than it may", w.call(t, api+"/pay", token.AccessToken).status, http.StatusForbidden)
		config.Scopes = []string{"pay"}
		if _, err := config.Token(ctx); err == nil {
			t.Error("a scope beyond the client's was granted")
		}
	})
}

// TestResourceServerElsewhere validates the issuer's tokens as others do: by the published keys, and by introspection.
func TestResourceServerElsewhere(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, tokens := w.tokens(t, "app")
		raw := tokens.text("access_token")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/jwks", nil)
		must(t, err)
		response, err := w.RoundTrip(r)
		must(t, err)
		keys := make([]byte, response.ContentLength)
		_, err = response.Body.Read(keys)
		must(t, err)
		set, err := validation.ParseKeySet(keys)
		must(t, err)
		elsewhere, err := validation.New(validation.Config{Issuer: issuer, Audience: []string{api}, Keys: set, Now: w.clock.Now})
		must(t, err)
		who, err := elsewhere.Inspect(t.Context(), raw)
		must(t, err)
		if who.Subject != w.alice.ID || who.ClientID != "app" || !who.Scopes.Has("read") {
			t.Errorf("the token says %+v", who)
		}
		told := w.form(t, "/introspect", "machine", "token", raw)
		if told.body["active"] != true || told.body["sub"] != who.Subject || told.body["client_id"] != "app" {
			t.Errorf("introspection says %v", told.body)
		}
		want(t, "introspection by nobody", w.form(t, "/introspect", "public", "token", raw).status, http.StatusUnauthorized)
	})
}
