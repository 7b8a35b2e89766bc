// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// claims is what is read of a token (RFC 9068 2.2) or of an answer about one (RFC 7662 2.2). The strings in it are pieces
// of the text it was read from, which is kept: a token that is remembered is in memory once.
type claims struct {
	Principal
	// party is the client where client_id is missing (OpenID Connect Core 2).
	party string
	// anotherKind is set by marks of an ID token, a logout token, an introspection response. It counts where the type of
	// the token does not say what it is.
	anotherKind bool
}

// readNames are the claims that mean something here.
var readNames = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "azp", "auth_time", "acr", "amr", "scope", "sid", "gid", "realms",
	"application", "device", "cnf", "nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection",
}

// readClaims reads a payload that is known to be a well-formed object; scopeClaim is where the scopes are.
func readClaims(payload []byte, scopeClaim string) (*claims, error) {
	c := &claims{Principal: Principal{claims: string(payload)}}
	for name, value := range members(c.claims) {
		var err error
		if name == scopeClaim {
			c.Scopes, err = readScopes(value)
		} else if err = c.set(name, value); err == nil {
			err = misspelled(name)
		}
		if err != nil {
			return nil, err
		}
	}
	if c.ClientID == "" {
		c.ClientID = c.party
	}
	return c, nil
}

// set takes one claim over. An unknown one is nobody's business.
func (c *claims) set(name, value string) (err error) {
	switch name {
	case "iss":
		c.Issuer, err = readString(value)
	case "sub":
		c.Subject, err = readString(value)
	case "jti":
		c.TokenID, err = readString(value)
	case "client_id":
		c.ClientID, err = readString(value)
	case "azp":
		c.party, err = readString(value)
	case "acr":
		c.ACR, err = readString(value)
	case "aud":
		c.Audience, err = readStrings(value)
	case "amr":
		if !strings.HasPrefix(value, "[") {
			return fmt.Errorf("reading amr: %w", ErrClaims)
		}
		c.AMR, err = readStrings(value)
	case "exp":
		c.ExpiresAt, err = readTime(value)
	case "nbf":
		c.NotBefore, err = readTime(value)
	case "iat":
		c.IssuedAt, err = readTime(value)
	case "auth_time":
		c.AuthTime, err = readTime(value)
	case "sid", "gid", "realms", "name", "application", "device":
		c.setOwn(name, value)
	case "cnf":
		// It says that the bearer alone is not enough (RFC 7800 3.1): whoever cannot check it must not go on.
		c.Confirmation, err = readConfirmation(value)
		return err
	case "nonce", "at_hash", "c_hash", "s_hash", "events", "token_introspection":
		c.anotherKind = true
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// setOwn takes over a claim that only Gatehouse gives its meaning, or that is no more than a name to show. From another
// issuer it may mean anything: what is not of our form is as good as absent, and proves nothing.
func (c *claims) setOwn(name, value string) {
	switch name {
	case "sid":
		c.SessionID, _ = readString(value)
	case "gid":
		c.GrantID, _ = readString(value)
	case "name":
		c.Name, _ = readString(value)
	case "realms":
		c.Realms = readRealms(value)
	case "application":
		c.Application = readApplication(value)
	case "device":
		c.Devices, _ = readStrings(value)
	}
}

// misspelled refuses a claim that differs from one we read in case only: another reader might take it for that.
func misspelled(name string) error {
	if strings.IndexFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) < 0 {
		return nil
	}
	if slices.ContainsFunc(readNames, func(read string) bool { return strings.EqualFold(name, read) }) {
		return fmt.Errorf("reading a claim in the wrong case: %w", ErrClaims)
	}
	return nil
}

// readScopes reads a scope claim: a string (RFC 9068 2.2.3), or a list as some issuers have it.
func readScopes(value string) (oauth.Scopes, error) {
	list, err := readStrings(value)
	if err != nil {
		return nil, fmt.Errorf("reading scopes: %w", err)
	}
	text := strings.Join(list, " ")
	if len(list) == 1 {
		text = list[0]
	}
	scopes, err := oauth.ParseScopes(text)
	if err != nil {
		return nil, fmt.Errorf("reading scopes: %w: %w", ErrClaims, err)
	}
	return scopes, nil
}

// readRealms reads the realms claim: when each realm was proven.
func readRealms(value string) Realms {
	if !strings.HasPrefix(value, "{") {
		return nil
	}
	var realms Realms
	for name, at := range members(value) {
		when, err := readTime(at)
		if err != nil {
			return nil
		}
		realms = append(realms, Proof{Realm: name, At: when})
	}
	slices.SortFunc(realms, func(a, b Proof) int { return strings.Compare(a.Realm, b.Realm) })
	return slices.Clip(realms)
}

// readApplication reads the application claim. One without all of its parts is none.
func readApplication(value string) *Application {
	if !strings.HasPrefix(value, "{") {
		return nil
	}
	var app Application
	for name, text := range members(value) {
		switch name {
		case "id":
			app.ID, _ = readString(text)
		case "platform":
			app.Platform, _ = readString(text)
		case "version":
			app.Version, _ = readString(text)
		}
	}
	if app.ID == "" || app.Platform == "" || app.Version == "" {
		return nil
	}
	return &app
}

// claim returns one claim of a well-formed object as it stands, empty when it is absent.
func claim(object, name string) string {
	for member, value := range members(object) {
		if member == name {
			return value
		}
	}
	return ""
}

// wellFormed reports whether data is one JSON object by the rules for tokens.
func wellFormed(data []byte) error {
	if err := jose.UnmarshalObject(data, &struct{}{}); err != nil {
		return fmt.Errorf("reading claims: %w: %w", ErrClaims, err)
	}
	return nil
}
