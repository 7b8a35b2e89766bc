// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/ciba"
	"github.com/gatehouse-id/gatehouse/caddymodule/instances"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// weakSecret is the length below which a client secret is pointed out: ours are 43 characters.
const weakSecret = 24

// registry builds the registry of clients, which get their credentials as told.
func (a *App) registry(credentials func(*ClientConfig, *authz.Client) error) (*authz.Clients, error) {
	var clients []*authz.Client
	for i := range a.Clients {
		c, err := a.client(&a.Clients[i])
		if err != nil {
			return nil, err
		}
		if err := credentials(&a.Clients[i], c); err != nil {
			return nil, fmt.Errorf("client %q: %w", c.ID, err)
		}
		clients = append(clients, c)
	}
	sites := authz.Sites{Allowed: a.allowed, Scopes: a.ScopeNames(), Audience: a.Audience}
	all, err := authz.NewClients(sites, clients...)
	if err == nil {
		a.asked, err = a.asks.Side(ciba.Parts{
			Users: a.users, Hasher: a.hasher, Clients: all, Identity: a.UserIdentity, Mobile: a.Mobile, ScopeTexts: a.scopeTexts(), Read: os.ReadFile,
		})
	}
	return all, err
}

// registration builds what instances of apps may register for, with the files that read returns; nil reads none.
func (a *App) registration(read func(path string) ([]byte, error)) (*server.Registration, error) {
	if open := a.Registration.Open(); open != "" && read != nil {
		a.logger.Warn("registration: " + open)
	}
	if a.Registration != nil {
		for i := range a.Registration.Applications {
			app := &a.Registration.Applications[i]
			if app.Attestation == "" {
				continue
			}
			if err := apps.CheckAsked(a.Applications, app.ID, attestation.Grade(app.Attestation)); err != nil {
				return nil, fmt.Errorf("registration: application %q: %w", app.ID, err)
			}
		}
	}
	return a.Registration.Server(instances.Parts{
		Judge:  a.genuine.Instance,
		Issuer: a.Issuer, DB: a.node, Algorithms: a.Keys.Algorithms, Terms: a.terms, Read: read, Now: time.Now,
	})
}

// terms returns a client that may do what an instance of an app may, in the ways of the configured ones.
func (a *App) terms(app *instances.Application) (*authz.Client, error) {
	return a.client(&ClientConfig{
		ID: app.ID, Name: cmp.Or(app.Name, app.ID), RedirectURIs: app.RedirectURIs, PostLogoutRedirectURIs: app.PostLogoutRedirectURIs,
		Grants: app.Grants, Scopes: app.Scopes, DefaultScopes: app.DefaultScopes, DetailTypes: app.DetailTypes, Audience: app.Audience,
		FirstParty: app.FirstParty, Native: app.Native, BoundTokens: app.BoundTokens, AccessTTL: app.AccessTTL, RefreshTTL: app.RefreshTTL, IDTokenAlg: app.IDTokenAlg,
	})
}

// clientIDs are those of the configuration.
func (a *App) clientIDs() (ids []string) {
	for i := range a.Clients {
		ids = append(ids, a.Clients[i].ID)
	}
	return ids
}

func (a *App) client(c *ClientConfig) (*authz.Client, error) {
	networks, err := option.Networks("allowed_networks", c.AllowedNetworks)
	if err != nil {
		return nil, fmt.Errorf("client %q: %w", c.ID, err)
	}
	client := &authz.Client{
		ID: c.ID, Name: c.Name, Auth: authz.AuthNone,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		Scopes: c.Scopes, DefaultScopes: a.defaultScopes(c), Audience: c.Audience,
		Networks: networks, FirstParty: c.FirstParty, Native: c.Native, Introspect: c.Introspect, BoundTokens: c.BoundTokens, CertificateBound: c.CertificateBound,
		DetailTypes:    c.DetailTypes,
		AccessTTL:      cmp.Or(time.Duration(c.AccessTTL), time.Duration(a.Tokens.Access), 5*time.Minute),
		RefreshTTL:     cmp.Or(time.Duration(c.RefreshTTL), time.Duration(a.Tokens.Refresh), 30*24*time.Hour),
		RefreshIdleTTL: cmp.Or(time.Duration(a.Tokens.RefreshIdle), 14*24*time.Hour),
		IDTokenAlg:     jose.Algorithm(c.IDTokenAlg), IntrospectionAlg: jose.Algorithm(c.IntrospectionAlg),
	}
	if len(client.Audience) == 0 {
		client.Audience = a.Audience
	}
	if err := a.checkProofs(c); err != nil {
		return nil, fmt.Errorf("client %q: %w", c.ID, err)
	}
	return client, a.permissions(c, client)
}

// checkProofs refuses ways of proving something that contradict one another.
func (a *App) checkProofs(c *ClientConfig) error {
	pushed := c.Backchannel != nil && c.Backchannel.Mode == "push"
	switch {
	case pushed && c.BoundTokens:
		return errors.New("dpop_bound_access_tokens and backchannel push contradict one another: who is sent tokens proves no key")
	case pushed && c.CertificateBound:
		return errors.New("tls_client_certificate_bound_access_tokens and backchannel push contradict one another: who is sent tokens shows no certificate")
	case len(c.Secrets) > 0 && c.JWKSFile != "":
		return errors.New("it has both a secret and a jwks_file: choose one")
	case c.Authenticates() && (len(c.Secrets) > 0 || c.JWKSFile != ""):
		return errors.New("it has both certificates and a secret or a jwks_file: choose one")
	}
	return c.Check(a.MutualTLS)
}

// defaultScopes are the client's own, or else those of the issuer that it may have.
func (a *App) defaultScopes(c *ClientConfig) oauth.Scopes {
	if len(c.DefaultScopes) > 0 {
		return c.DefaultScopes
	}
	return slices.DeleteFunc(slices.Clone(a.DefaultScope), func(s string) bool { return !slices.Contains(c.Scopes, s) })
}

// credentials sets how the client authenticates: by what it has.
func (a *App) credentials(c *ClientConfig, client *authz.Client) error {
	for _, text := range c.Secrets {
		secret, err := a.secret(text, "client "+c.ID)
		if err != nil {
			return fmt.Errorf("secret: %w", err)
		}
		if len(secret) < weakSecret {
			a.logger.Warn("a client secret is short and can be guessed: use 32 random bytes", "client_id", c.ID)
		}
		client.Auth = authz.AuthClientSecretBasic
		client.SecretHashes = append(client.SecretHashes, randid.Hash(secret))
	}
	if c.JWKSFile == "" {
		return c.Apply(a.MutualTLS, client)
	}
	data, err := os.ReadFile(c.JWKSFile)
	if err != nil {
		return fmt.Errorf("jwks_file: %w", err)
	}
	client.Auth = authz.AuthPrivateKeyJWT
	if client.Keys, err = jose.ParseSet(data); err != nil {
		return fmt.Errorf("jwks_file %q: %w", c.JWKSFile, err)
	}
	return nil
}

// permissions sets what the client may do and refuses what does not exist.
func (a *App) permissions(c *ClientConfig, client *authz.Client) error {
	known := []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken, authz.GrantClientCredentials}
	for _, name := range c.Grants {
		if !slices.Contains(known, authz.GrantType(name)) {
			return fmt.Errorf("client %q: unknown grant %q, expected one of: %v", c.ID, name, known)
		}
		client.Grants = append(client.Grants, authz.GrantType(name))
	}
	if len(c.Grants) == 0 && (len(c.RedirectURIs) > 0 || c.Native) {
		client.Grants = []authz.GrantType{authz.GrantAuthorizationCode}
	}
	if a.asks.Client(c.ID, c.Backchannel) {
		client.Grants = append(client.Grants, authz.GrantCIBA)
	}
	scopes := a.ScopeNames()
	for _, s := range slices.Concat(c.Scopes, c.DefaultScopes) {
		if !scopes.Has(s) {
			return fmt.Errorf("client %q: scope %q is not defined: add \"scope %s <realm...>\"", c.ID, s, s)
		}
	}
	for _, name := range c.DetailTypes {
		if _, ok := approvals.Find(a.DetailTypes, name); !ok {
			return fmt.Errorf("client %q: authorization_details %q is not defined", c.ID, name)
		}
	}
	if !oauth.Scopes(c.DefaultScopes).Within(c.Scopes) {
		return fmt.Errorf("client %q: its default_scopes are not all among its scopes", c.ID)
	}
	if client.AccessTTL > authz.MaxAccessTTL || client.RefreshTTL > authz.MaxRefreshTTL {
		return fmt.Errorf("client %q: access tokens live at most %v and refresh tokens at most %v",
			c.ID, authz.MaxAccessTTL, authz.MaxRefreshTTL)
	}
	for option, alg := range map[string]string{"id_token_alg": c.IDTokenAlg, "introspection_alg": c.IntrospectionAlg} {
		if alg != "" && !slices.Contains(a.Keys.Algorithms, alg) {
			return fmt.Errorf("client %q: there are no keys for %s %s: add it to keys algorithms", c.ID, option, alg)
		}
	}
	return nil
}
