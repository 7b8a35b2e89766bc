// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/caddymodule/approvals"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/profile"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// check finds what contradicts itself in the configuration alone, so that a Caddyfile is refused with file and line. It loads
// no guest and needs no file, secret or store: a configuration may be adapted where there are none. An error begins with the
// option that it is about, as the operator wrote it.
func (a *App) check() error {
	if err := oauth.CheckIssuer(a.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", a.Issuer, err)
	}
	if err := a.checkProfile(); err != nil {
		return err
	}
	if _, err := a.Passwords.Hasher(); err != nil {
		return err
	}
	if _, err := a.keyRing(absent{}, absent{}); err != nil {
		return err
	}
	if err := apps.Check(a.Applications); err != nil {
		return err
	}
	if err := apps.CheckUnused(a.Applications, a.asksEvidence()); err != nil {
		return err
	}
	if err := phones.Check(a.Mobile, a.Applications, a.Keys.Algorithms); err != nil {
		return err
	}
	if err := provision.Check(a.Provisioning, a.Applications); err != nil {
		return err
	}
	if _, err := a.securityModel(a.sketch); err != nil {
		return err
	}
	if err := a.checkTokens(); err != nil {
		return err
	}
	if err := approvals.Check(a.DetailTypes, a.approves); err != nil {
		return err
	}
	if err := a.MutualTLS.Check(a.Issuer); err != nil {
		return err
	}
	if _, err := a.registry(pretend); err != nil {
		return err
	}
	_, err := a.registration(nil)
	return err
}

// asksEvidence reports whether anything but the registration of phones asks apps for evidence.
func (a *App) asksEvidence() bool {
	return a.Provisioning != nil && a.Provisioning.Attestation != nil || a.Registration.AsksEvidence() || slices.ContainsFunc(a.Realms, func(r RealmConfig) bool { return apps.AsksEvidence(r.AuthenticatorRaw) })
}

// approves refuses a realm by which nothing can be approved in detail.
func (a *App) approves(name string) error {
	i := slices.IndexFunc(a.Realms, func(r RealmConfig) bool { return r.Name == name })
	if i < 0 {
		return errors.New("it is not defined")
	}
	authenticator := a.Realms[i].AuthenticatorRaw
	if !realm.Approves(kind("gatehouse.authenticators.", authenticator)) {
		return fmt.Errorf("its authenticator %q shows nobody what is approved: a phone (mobile) and a page (form) do", typeOf(authenticator))
	}
	return phones.CheckApproval(authenticator, a.Mobile)
}

// profiled returns what a profile looks at and tightens.
func (a *App) profiled() *profile.Subject {
	s := &profile.Subject{
		Development: a.Development, Idle: &a.Sessions.Idle, Lifetime: &a.Sessions.Lifetime, Applications: a.Applications, Mobile: a.Mobile,
	}
	for i := range a.Realms {
		r := &a.Realms[i]
		s.Realms = append(s.Realms, profile.Realm{Name: r.Name, MaxAge: &r.MaxAge, AuthenticatorRaw: r.AuthenticatorRaw})
	}
	return s
}

func (a *App) checkProfile() error { return profile.Check(a.Profile, a.profiled()) }

// CheckRoute refuses a rule of a protected site that is below the profile of the configuration. Its realms are those of scopes and levels,
// as far as these are defined.
func (a *App) CheckRoute(scopes, levels []string, r profile.Route) error {
	if a.Profile == "" {
		return nil
	}
	model, err := a.securityModel(a.sketch)
	if err != nil {
		return err
	}
	required := model.ForScopes(scopes)
	for _, acr := range levels {
		of, _ := model.ForACR(acr)
		required = append(required, of...)
	}
	for _, of := range required {
		r.Realms = append(r.Realms, of.Realm)
	}
	return profile.CheckRoute(a.Profile, a.profiled(), &r)
}

// checkTokens refuses lifetimes that no client could have, and what is no choice.
func (a *App) checkTokens() error {
	t := a.Tokens
	if access := cmp.Or(time.Duration(t.Access), time.Second); access < time.Second || access > authz.MaxAccessTTL {
		return fmt.Errorf("tokens: access is %v; it is a second at least and %v at most", access, authz.MaxAccessTTL)
	}
	if refresh := cmp.Or(time.Duration(t.Refresh), time.Second); refresh < time.Second || refresh > authz.MaxRefreshTTL {
		return fmt.Errorf("tokens: refresh is %v; it is a second at least and %v at most", refresh, authz.MaxRefreshTTL)
	}
	if idle := cmp.Or(time.Duration(t.RefreshIdle), time.Second); idle < time.Second {
		return fmt.Errorf("tokens: refresh_idle is %v; it is a second at least", idle)
	}
	if most := cmp.Or(time.Duration(t.MaxStaleness), revocation.StaleAfter); most < revocation.StaleAfter {
		return fmt.Errorf("tokens: max_staleness is %v; it is %v at least", most, revocation.StaleAfter)
	}
	if at := cmp.Or(t.DPoPReplays, proofsByNode); at != proofsByNode && at != proofsShared {
		return fmt.Errorf("tokens: dpop_replays is %q; it is %s or %s", at, proofsByNode, proofsShared)
	}
	return nil
}

// absent stands for the store where none is asked.
type absent struct {
	storage.DB
	storage.Sealer
}

// unloaded stands for the guests of a realm where only its name matters.
type unloaded struct {
	realm.Authenticator
	realm.LoginModule
}

// sketch returns a realm without its guests.
func (a *App) sketch(c *RealmConfig) (*realm.Realm, error) {
	if c.AuthenticatorRaw == nil {
		return nil, errNoAuthenticator
	}
	collects, verifies := kind("gatehouse.authenticators.", c.AuthenticatorRaw), kind("gatehouse.login_modules.", c.LoginModuleRaw)
	if _, judges := collects.(realm.LoginModule); collects != nil && !judges && c.LoginModuleRaw == nil {
		return nil, errNoLoginModule
	}
	if err := development.Admit(a.Development, c.Name, slog.New(slog.DiscardHandler), collects, verifies); err != nil {
		return nil, err
	}
	return &realm.Realm{
		Name: c.Name, Authenticator: unloaded{}, LoginModule: unloaded{}, MaxAge: cmp.Or(time.Duration(c.MaxAge), time.Hour), Timeout: time.Duration(c.TimeOut),
	}, nil
}

// checkedRealm looks at what a realm's parts say before it loads them, after which nothing says it any more.
func (a *App) checkedRealm(c *RealmConfig, load func(*RealmConfig) (*realm.Realm, error)) (*realm.Realm, error) {
	if err := c.checkPatience(); err != nil {
		return nil, err
	}
	if err := apps.CheckRealm(c.AuthenticatorRaw, a.Applications, slices.Contains(a.UserIdentity, c.Name)); err != nil {
		return nil, err
	}
	if err := phones.CheckRealm(c.AuthenticatorRaw, c.LoginModuleRaw, a.Mobile, a.Applications); err != nil {
		return nil, err
	}
	if err := provision.CheckRealm(c.AuthenticatorRaw, c.LoginModuleRaw, a.Provisioning, slices.Contains(a.UserIdentity, c.Name)); err != nil {
		return nil, err
	}
	a.asks.Realm(c.Name, c.AuthenticatorRaw, c.LoginModuleRaw)
	return load(c)
}

// checkPatience refuses a realm of which a part may take longer than a round: it would be given up before.
func (c *RealmConfig) checkPatience() error {
	for _, raw := range []json.RawMessage{c.AuthenticatorRaw, c.LoginModuleRaw} {
		var part struct {
			TimeOut caddy.Duration `json:"time_out"`
		}
		if round := cmp.Or(time.Duration(c.TimeOut), realm.DefaultTimeout); json.Unmarshal(raw, &part) == nil && time.Duration(part.TimeOut) > round {
			return fmt.Errorf("time_out of a part of it is %v; a round of the realm, by its own time_out, has %v", time.Duration(part.TimeOut), round)
		}
	}
	return nil
}

// kind returns an empty guest of the kind that a configuration names; nil when there is none or it is not known, which loading
// it tells.
func kind(namespace string, config json.RawMessage) any {
	info, err := caddy.GetModule(namespace + typeOf(config))
	if err != nil {
		return nil
	}
	return info.New()
}

// typeOf returns the name of a guest; empty where none can be read.
func typeOf(config json.RawMessage) string {
	var guest struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(config, &guest) != nil {
		return ""
	}
	return guest.Type
}

// pretend gives a client a secret where it has credentials of its own, which are not looked at.
func pretend(c *ClientConfig, client *authz.Client) error {
	if len(c.Secrets) > 0 || c.JWKSFile != "" || c.Authenticates() {
		client.Auth = authz.AuthClientSecretBasic
		client.SecretHashes = []string{randid.Hash("unknown")}
	}
	return nil
}
