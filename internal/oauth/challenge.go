// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strconv"
	"strings"
	"time"
)

// Demand is what a caller has to obtain from the authorization server before its request can pass.
type Demand struct {
	// Scopes are all the scopes the resource requires (RFC 6750 3).
	Scopes Scopes
	// DetailTypes are the types of authorization_details of which something has to be approved.
	DetailTypes []string
	// ACRValues are acceptable levels of authentication in order of preference (RFC 9470 3).
	ACRValues []string
	// MaxAge is how long ago the user may have authenticated, where HasMaxAge (RFC 9470 3).
	MaxAge    time.Duration
	HasMaxAge bool
}

// The schemes by which a token is presented, which are also the types of tokens (RFC 6749 7.1, RFC 6750 2.1, RFC 9449 7.1).
const (
	Bearer = "Bearer"
	DPoP   = "DPoP"
)

// WWWAuthenticate is the value of a WWW-Authenticate header (RFC 6750 3, RFC 9449 7.1, RFC 9470 3, RFC 9728 5.1). Empty members are left out.
type WWWAuthenticate struct {
	Scheme           string
	Algs             []string
	Realm            string
	Error            Code
	Description      string
	Scopes           Scopes
	DetailTypes      []string
	ACRValues        []string
	MaxAge           time.Duration
	HasMaxAge        bool
	ResourceMetadata string
}

// String renders the header value. Each parameter stands at most once and holds only the characters RFC 6749 allows. A
// challenge without any gets an empty realm, because the scheme wants one (RFC 6750 3).
func (c WWWAuthenticate) String() string {
	var b strings.Builder
	b.WriteString(c.Scheme)
	separator := " "
	add := func(name, value string) {
		if value == "" {
			return
		}
		b.WriteString(separator + name + `="` + quotable(value) + `"`)
		separator = ", "
	}
	add("realm", c.Realm)
	add("algs", strings.Join(c.Algs, " "))
	add("error", string(c.Error))
	add("error_description", c.Description)
	add("scope", c.Scopes.String())
	add("authorization_details_types", strings.Join(c.DetailTypes, " "))
	add("acr_values", strings.Join(c.ACRValues, " "))
	if c.HasMaxAge {
		add("max_age", strconv.FormatInt(max(0, int64(c.MaxAge/time.Second)), 10))
	}
	add("resource_metadata", c.ResourceMetadata)
	if b.Len() == len(c.Scheme) {
		b.WriteString(` realm=""`)
	}
	return b.String()
}

// WithoutError returns the challenge as it is for another scheme than the one that was used (RFC 9449 7.2).
func (c WWWAuthenticate) WithoutError() WWWAuthenticate {
	c.Error, c.Description = "", ""
	return c
}

// quotable drops what may not stand in a quoted challenge value, so that no value can end the string or the header.
func quotable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, text)
}
