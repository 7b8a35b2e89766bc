// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// wireClaims are the claims that are read of a token (RFC 9068 2.2) or of an answer about one (RFC 7662 2.2).
type wireClaims struct {
	Issuer    string      `json:"iss"`
	Subject   string      `json:"sub"`
	Audience  stringList  `json:"aud"`
	ExpiresAt numericDate `json:"exp"`
	NotBefore numericDate `json:"nbf"`
	IssuedAt  numericDate `json:"iat"`
	ID        string      `json:"jti"`
	ClientID  string      `json:"client_id"`
	Party     string      `json:"azp"`
	AuthTime  numericDate `json:"auth_time"`
	ACR       string      `json:"acr"`
	AMR       []string    `json:"amr"`

	// What an issuer means by these is read where a claim is needed, so that one that means something else is not refused.
	Scope   json.RawMessage `json:"scope"`
	Session json.RawMessage `json:"sid"`
	Grant   json.RawMessage `json:"gid"`
	Realms  json.RawMessage `json:"realms"`

	Confirmation json.RawMessage `json:"cnf"`

	// Marks of tokens that are not access tokens.
	Nonce         json.RawMessage `json:"nonce"`
	TokenHash     json.RawMessage `json:"at_hash"`
	CodeHash      json.RawMessage `json:"c_hash"`
	StateHash     json.RawMessage `json:"s_hash"`
	Events        json.RawMessage `json:"events"`
	Introspection json.RawMessage `json:"token_introspection"`
}

// anotherKind reports whether the claims are those of an ID token, a logout token or an introspection response. It counts
// where the type of the token does not say what it is.
func (c *wireClaims) anotherKind() bool {
	for _, mark := range []json.RawMessage{c.Nonce, c.TokenHash, c.CodeHash, c.StateHash, c.Events, c.Introspection} {
		if mark != nil {
			return true
		}
	}
	return false
}

func readClaims(payload []byte) (*wireClaims, error) {
	c := new(wireClaims)
	if err := jose.UnmarshalObject(payload, c); err != nil {
		return nil, fmt.Errorf("reading claims: %w: %w", ErrClaims, err)
	}
	// A confirmation says that the bearer alone is not enough (RFC 7800 3.1): whoever cannot check it must not go on.
	if c.Confirmation != nil {
		return nil, fmt.Errorf("reading claims: %w", ErrBound)
	}
	return c, nil
}

// principal builds what the claims say, on one copy of the payload: the strings of a principal are parts of it.
func (c *wireClaims) principal(payload []byte) (*Principal, error) {
	scopes, err := readScopes(c.Scope)
	if err != nil {
		return nil, err
	}
	text := string(payload)
	// A slice for all three lists saves two allocations per token that is kept.
	lists := slices.Concat([]string(c.Audience), scopes, c.AMR)
	for i := range lists {
		lists[i] = within(text, lists[i])
	}
	auds, auth := len(c.Audience), len(c.Audience)+len(scopes)
	clientID := c.ClientID
	if clientID == "" {
		clientID = c.Party
	}
	return &Principal{
		Issuer: within(text, c.Issuer), Subject: within(text, c.Subject), ClientID: within(text, clientID),
		TokenID: within(text, c.ID), GrantID: within(text, readString(c.Grant)), SessionID: within(text, readString(c.Session)),
		ACR:      within(text, c.ACR),
		Audience: slices.Clip(lists[:auds]), Scopes: slices.Clip(lists[auds:auth]), AMR: slices.Clip(lists[auth:]),
		AuthTime: c.AuthTime.Time, IssuedAt: c.IssuedAt.Time, NotBefore: c.NotBefore.Time, ExpiresAt: c.ExpiresAt.Time,
		Realms: readRealms(text, c.Realms), claims: text,
	}, nil
}

// within returns part as a piece of whole where it occurs there as it is, so that it needs no memory of its own.
func within(whole, part string) string {
	if i := strings.Index(whole, part); i >= 0 {
		return whole[i : i+len(part)]
	}
	return part
}

// readString returns a JSON string, and nothing for anything else.
func readString(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	return text
}

// readScopes reads a scope claim: a string (RFC 9068 2.2.3), or a list as some issuers have it.
func readScopes(raw json.RawMessage) (oauth.Scopes, error) {
	var list stringList
	if raw == nil {
		return nil, nil
	}
	if err := list.UnmarshalJSON(raw); err != nil {
		return nil, fmt.Errorf("reading scopes: %w", ErrClaims)
	}
	scopes, err := oauth.ParseScopes(strings.Join(list, " "))
	if err != nil {
		return nil, fmt.Errorf("reading scopes: %w: %w", ErrClaims, err)
	}
	return scopes, nil
}

// readRealms reads the realms claim, which is Gatehouse's own: when each realm was proven. Whatever is not that proves
// nothing.
func readRealms(text string, raw json.RawMessage) Realms {
	var times map[string]numericDate
	if json.Unmarshal(raw, &times) != nil || len(times) == 0 {
		return nil
	}
	realms := make(Realms, 0, len(times))
	for name, at := range times {
		realms = append(realms, Proof{Realm: within(text, name), At: at.Time})
	}
	slices.SortFunc(realms, func(a, b Proof) int { return strings.Compare(a.Realm, b.Realm) })
	return realms
}

// stringList is a string or a list of strings (RFC 7519 4.1.3).
type stringList []string

// UnmarshalJSON reads either form.
func (l *stringList) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]string)(l))
	}
	var one string
	if len(data) == 0 || data[0] != '"' || json.Unmarshal(data, &one) != nil {
		return fmt.Errorf("reading a string or a list of them: %w", ErrClaims)
	}
	*l = stringList{one}
	return nil
}

// numericDate is a number of seconds since 1970 (RFC 7519 2), with or without a fraction. What lies outside the years 1 to
// 9999 becomes their first or last second: a time far away must not wrap around to one nearby.
type numericDate struct{ time.Time }

var (
	firstSecond = time.Time{}
	lastSecond  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// UnmarshalJSON reads a number and nothing else.
func (d *numericDate) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '-' && (data[0] < '0' || data[0] > '9') {
		return fmt.Errorf("reading a time: %w", ErrClaims)
	}
	// A number beyond float64 comes back as infinite, together with an error that says so.
	seconds, err := strconv.ParseFloat(string(data), 64)
	if err != nil && !math.IsInf(seconds, 0) {
		return fmt.Errorf("reading a time: %w", ErrClaims)
	}
	switch {
	case seconds <= float64(firstSecond.Unix()):
		d.Time = firstSecond
	case seconds >= float64(lastSecond.Unix()):
		d.Time = lastSecond
	default:
		whole, fraction := math.Modf(seconds)
		d.Time = time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()
	}
	return nil
}

// rawClaim returns one claim as it stands.
func rawClaim(payload []byte, name string) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := jose.UnmarshalObject(payload, &all); err != nil {
		return nil, fmt.Errorf("reading claims: %w: %w", ErrClaims, err)
	}
	return all[name], nil
}
