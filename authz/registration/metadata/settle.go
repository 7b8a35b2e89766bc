// SPDX-License-Identifier: Apache-2.0

package metadata

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Application is an app whose instances may register.
type Application struct {
	// ID is the software_id of its instances.
	ID string
	// Terms is the most that an instance may have. Neither id nor credentials of it count.
	Terms client.Client
	// Attestation is the least grade that an instance has to show of its app and key; empty asks for none.
	Attestation string
}

// Reader reads what clients say of themselves, and keeps it within what the operator allows. It is safe for concurrent use.
type Reader struct {
	// Issuer is the audience of a software statement that has one.
	Issuer       string
	Applications []*Application
	Authorities  []*Authority
	// Algorithms are those that ID tokens can be signed with, the default first.
	Algorithms []jose.Algorithm
	Now        func() time.Time
}

// Check refuses what could not be kept to, with an error that says what to mend.
func (r *Reader) Check() error {
	if r.Issuer == "" || r.Now == nil || len(r.Applications) == 0 {
		return errors.New("it needs an issuer, a clock and an application whose instances may register")
	}
	seen := map[string]bool{}
	for _, a := range r.Applications {
		if !printable(a.ID) || a.ID == "" || seen[a.ID] {
			return fmt.Errorf("application %q: its name is empty, too long, not printable, or stands twice", a.ID)
		}
		seen[a.ID] = true
		if err := a.check(); err != nil {
			return fmt.Errorf("application %q %w", a.ID, err)
		}
	}
	for _, a := range r.Authorities {
		if err := r.checkAuthority(a); err != nil {
			return fmt.Errorf("software_statement %q: %w", a.Issuer, err)
		}
	}
	return nil
}

func (a *Application) check() error {
	terms := a.Terms
	terms.Auth = client.AuthPrivateKeyJWT
	if len(terms.Grants) == 0 {
		return errors.New("has no grants")
	}
	if terms.May(client.GrantCIBA) || terms.Introspect || terms.Site {
		return errors.New("may not ask people on their phones, nor introspect: an instance is an app in the hands of its user")
	}
	return terms.CheckTerms()
}

func (r *Reader) checkAuthority(a *Authority) error {
	if a.Issuer == "" || len(a.Keys) == 0 {
		return errors.New("it needs the iss of its statements and a key")
	}
	if slices.ContainsFunc(r.Authorities, func(b *Authority) bool { return a != b && a.Issuer == b.Issuer }) {
		return errors.New("it stands twice")
	}
	for _, name := range a.May {
		if !slices.Contains(settable, name) {
			return fmt.Errorf("a statement cannot set %q: it can set %s", name, strings.Join(settable, ", "))
		}
	}
	if !slices.Contains(a.May, "software_id") {
		return errors.New("its statements must be allowed to set software_id: by that they say for which application they are")
	}
	for _, name := range a.Applications {
		if r.find(name) == nil {
			return fmt.Errorf("the application %q is not defined", name)
		}
	}
	return nil
}

func (r *Reader) find(id string) *Application {
	i := slices.IndexFunc(r.Applications, func(a *Application) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return r.Applications[i]
}

// Asks returns the least grade that instances of an application have to show; empty for none.
func (r *Reader) Asks(application string) string {
	if a := r.find(application); a != nil {
		return a.Attestation
	}
	return ""
}

// AsksAny reports whether the instances of any application have to show something.
func (r *Reader) AsksAny() bool {
	return slices.ContainsFunc(r.Applications, func(a *Application) bool { return a.Attestation != "" })
}

// Key returns the one key of an instance, and its name: the SHA-256 of the SubjectPublicKeyInfo in base64url. Several keys are refused: what
// is shown is shown of one.
func (m *Metadata) Key() (key crypto.PublicKey, name string, err error) {
	keys, err := jose.ParseSet(m.JWKS)
	if err != nil || len(keys) != 1 {
		return nil, "", invalid("jwks has to hold one key, of which the attestation speaks")
	}
	der, err := x509.MarshalPKIXPublicKey(keys[0].Key)
	if err != nil {
		return nil, "", invalid("jwks holds a key that cannot be named").WithCause(fmt.Errorf("naming a key: %w", err))
	}
	sum := sha256.Sum256(der)
	return keys[0].Key, base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// Knows reports whether instances of an application may register.
func (r *Reader) Knows(application string) bool { return r.find(application) != nil }

// Settle decides what is registered: within what the application may have, and completed by defaults. Whoever was admitted as an
// instance of one application names no other; empty text admits any. Refusals are *[oauth.Error] with the codes of RFC 7591 3.2.2.
func (r *Reader) Settle(told Told, admitted string) (Metadata, error) {
	m := told.Metadata
	a, err := r.application(m.SoftwareID, admitted)
	if err != nil {
		return Metadata{}, err
	}
	m.SoftwareID = a.ID
	for _, settle := range []func(*Application, *Metadata) error{settleKeys, settleGrants, settleURIs, settleScopes, r.settleRest} {
		if err := settle(a, &m); err != nil {
			return Metadata{}, err
		}
	}
	return m, nil
}

func (r *Reader) application(named, admitted string) (*Application, error) {
	switch {
	case named == "" && admitted != "":
		named = admitted
	case named == "" && len(r.Applications) == 1:
		return r.Applications[0], nil
	case named == "":
		return nil, invalid("software_id is missing: it names the application")
	case admitted != "" && named != admitted:
		return nil, invalid("software_id is not the application that may be registered")
	}
	a := r.find(named)
	if a == nil {
		return nil, invalid("software_id names no application whose instances may register")
	}
	return a, nil
}

// settleKeys has an instance sign for itself: a secret that stands in an app is none, and a public client is everybody's.
func settleKeys(_ *Application, m *Metadata) error {
	if m.TokenAuthMethod != "" && m.TokenAuthMethod != string(client.AuthPrivateKeyJWT) {
		return invalid("token_endpoint_auth_method must be private_key_jwt")
	}
	m.TokenAuthMethod = string(client.AuthPrivateKeyJWT)
	if !given(m.JWKS) {
		return invalid("jwks is missing: an instance has a key of its own")
	}
	keys, err := jose.ParseSet(m.JWKS)
	switch {
	case err != nil:
		return invalid("jwks holds what is not a sound public key").WithCause(fmt.Errorf("reading the keys of a client: %w", err))
	case len(keys) == 0:
		return invalid("jwks holds no key for ES256, EdDSA, RS256 or PS256")
	case len(keys) > maxKeys:
		return invalid("jwks holds too many keys")
	}
	for i, key := range keys {
		switch {
		case m.TokenAuthAlg != "" && string(key.Alg) != m.TokenAuthAlg:
			return invalid("token_endpoint_auth_signing_alg is not that of the keys")
		case key.Costly():
			return invalid("jwks holds a key that costs too much to check with: RSA has 4096 bits at most, and the exponent 65537")
		case slices.ContainsFunc(keys[:i], func(other jose.PublicKey) bool { return mistakable(key, other) }):
			return invalid("jwks holds keys for one algorithm that no kid tells apart")
		}
	}
	if m.JWKS, err = jose.MarshalSet(keys); err != nil {
		return invalid("jwks holds what is not a sound public key").WithCause(err)
	}
	return nil
}

// mistakable reports whether a signature would have to be tried with both keys.
func mistakable(a, b jose.PublicKey) bool {
	return a.Alg == b.Alg && (a.KID == "" || b.KID == "" || a.KID == b.KID)
}

// settleGrants settles the grants and the response types that go with them (RFC 7591 2.1).
func settleGrants(a *Application, m *Metadata) error {
	var may []string
	for _, grant := range a.Terms.Grants {
		may = append(may, string(grant))
	}
	const code = string(client.GrantAuthorizationCode)
	switch {
	case len(m.GrantTypes) > 0:
	case slices.Contains(may, code):
		m.GrantTypes = []string{code}
	default:
		m.GrantTypes = may
	}
	var ok bool
	if m.GrantTypes, ok = within(m.GrantTypes, may); !ok {
		return invalid("grant_types has what the application may not use")
	}
	want := []string{}
	if slices.Contains(m.GrantTypes, code) {
		want = []string{"code"}
	}
	if m.ResponseTypes == nil {
		m.ResponseTypes = want
	}
	if !slices.Equal(m.ResponseTypes, want) {
		return invalid("response_types does not go with grant_types")
	}
	if slices.Contains(m.GrantTypes, string(client.GrantRefreshToken)) && len(want) == 0 {
		return invalid("grant_types has refresh_token without authorization_code")
	}
	return nil
}

// settleURIs admits the redirect URIs of the application and no others. Who is sent there uses one of them, so they are not optional
// (RFC 7591 2).
func settleURIs(a *Application, m *Metadata) (err error) {
	for _, uri := range slices.Concat(m.RedirectURIs, m.PostLogoutRedirectURIs) {
		if oauth.CheckRedirectURI(uri) != nil {
			return oauth.NewError(oauth.InvalidRedirectURI, "a redirect URI is not one that may be registered")
		}
	}
	var login, logout bool
	m.RedirectURIs, login = within(m.RedirectURIs, a.Terms.RedirectURIs)
	m.PostLogoutRedirectURIs, logout = within(m.PostLogoutRedirectURIs, a.Terms.PostLogoutRedirectURIs)
	if !login || !logout {
		return oauth.NewError(oauth.InvalidRedirectURI, "a redirect URI is not one of the application")
	}
	if len(m.RedirectURIs) == 0 && slices.Contains(m.GrantTypes, string(client.GrantAuthorizationCode)) && !a.Terms.Native {
		return oauth.NewError(oauth.InvalidRedirectURI, "redirect_uris is missing")
	}
	return nil
}

func settleScopes(a *Application, m *Metadata) error {
	scopes := a.Terms.Scopes
	if m.Scope != "" {
		var err error
		if scopes, err = oauth.ParseScopes(m.Scope); err != nil {
			return invalid("scope is malformed")
		}
	}
	if !scopes.Within(a.Terms.Scopes) {
		return invalid("scope has what the application may not ask for")
	}
	m.Scope = scopes.String()
	types, ok := within(m.DetailTypes, a.Terms.DetailTypes)
	if !ok {
		return invalid("authorization_details_types has what the application may not ask for")
	}
	m.DetailTypes = types
	return nil
}

func (r *Reader) settleRest(a *Application, m *Metadata) error {
	if !printable(m.ClientName) || !printable(m.SoftwareVersion) {
		return invalid("client_name or software_version is too long, or not printable")
	}
	if m.IDTokenAlg == "" {
		m.IDTokenAlg = string(r.idTokenAlg(a, ""))
	}
	if m.IDTokenAlg != "" && !slices.Contains(r.Algorithms, jose.Algorithm(m.IDTokenAlg)) {
		return invalid("id_token_signed_response_alg is not one that is used here")
	}
	return nil
}

// idTokenAlg is what ID tokens are signed with: what an instance has asked for, or else what its application has.
func (r *Reader) idTokenAlg(a *Application, asked jose.Algorithm) jose.Algorithm {
	switch {
	case slices.Contains(r.Algorithms, asked):
		return asked
	case a.Terms.IDTokenAlg != "" || len(r.Algorithms) == 0:
		return a.Terms.IDTokenAlg
	}
	return r.Algorithms[0]
}

// Client returns the client that a registered instance is: never more than its application may have by now. It is none where that has no
// instances any more.
func (r *Reader) Client(id string, m *Metadata) (c client.Client, ok bool, err error) {
	a := r.find(m.SoftwareID)
	if a == nil {
		return c, false, nil
	}
	keys, err := jose.ParseSet(m.JWKS)
	if err != nil {
		return c, false, fmt.Errorf("reading the keys of the client %q: %w", id, err)
	}
	c = a.Terms
	c.ID, c.Auth, c.Keys, c.Registered, c.SecretHashes = id, client.AuthPrivateKeyJWT, keys, true, nil
	scopes := strings.Fields(m.Scope)
	c.Scopes, c.DefaultScopes = common(a.Terms.Scopes, scopes), common(a.Terms.DefaultScopes, scopes)
	c.RedirectURIs = common(a.Terms.RedirectURIs, m.RedirectURIs)
	c.PostLogoutRedirectURIs = common(a.Terms.PostLogoutRedirectURIs, m.PostLogoutRedirectURIs)
	c.DetailTypes = common(a.Terms.DetailTypes, m.DetailTypes)
	c.IDTokenAlg = r.idTokenAlg(a, jose.Algorithm(m.IDTokenAlg))
	c.Grants = slices.DeleteFunc(slices.Clone(a.Terms.Grants), func(g client.GrantType) bool {
		return !slices.Contains(m.GrantTypes, string(g))
	})
	return c, true, nil
}

// common returns those of a list that are in another.
func common(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(item string) bool { return !slices.Contains(other, item) })
}

// within returns a list without repetitions, and whether all of it is in another.
func within(list, other []string) (once []string, ok bool) {
	for _, item := range list {
		if !slices.Contains(other, item) {
			return nil, false
		}
		if !slices.Contains(once, item) {
			once = append(once, item)
		}
	}
	return once, true
}

// printable reports whether a text can be shown to an operator as it stands. No text at all can.
func printable(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxText &&
		!strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}
