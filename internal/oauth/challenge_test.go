// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestWWWAuthenticate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		value oauth.WWWAuthenticate
		want  string
	}{
		{"RFC6750/3 challenge without credentials", oauth.WWWAuthenticate{Scheme: "Bearer", Realm: "example"}, `Bearer realm="example"`},
		{
			"RFC6750/3 expired", oauth.WWWAuthenticate{
				Scheme: "Bearer", Realm: "example", Error: oauth.InvalidToken, Description: "The access token expired",
			}, `Bearer realm="example", error="invalid_token", error_description="The access token expired"`,
		},
		{
			"RFC6750/3.1 insufficient scope", oauth.WWWAuthenticate{Scheme: "Bearer", Error: oauth.InsufficientScope, Scopes: oauth.Scopes{"a", "b"}},
			`Bearer error="insufficient_scope", scope="a b"`,
		},
		{
			"RFC9470/3 challenge", oauth.WWWAuthenticate{
				Scheme: "Bearer", Error: oauth.InsufficientUserAuth, Description: "A different authentication level is required",
				ACRValues: []string{"gold", "phone"}, MaxAge: 5 * time.Second, HasMaxAge: true,
			}, `Bearer error="insufficient_user_authentication", ` +
				`error_description="A different authentication level is required", acr_values="gold phone", max_age="5"`,
		},
		{"RFC9470/3 max_age zero", oauth.WWWAuthenticate{Scheme: "Bearer", HasMaxAge: true}, `Bearer max_age="0"`},
		{"RFC9470/3 max_age is never negative", oauth.WWWAuthenticate{Scheme: "Bearer", MaxAge: -time.Hour, HasMaxAge: true}, `Bearer max_age="0"`},
		{"RFC9470/3 max_age that is not asked", oauth.WWWAuthenticate{Scheme: "Bearer", Realm: "r", MaxAge: time.Hour}, `Bearer realm="r"`},
		{
			"RFC9728/5.1 param", oauth.WWWAuthenticate{Scheme: "Bearer", ResourceMetadata: "https://a.example/.well-known/oauth-protected-resource"},
			`Bearer resource_metadata="https://a.example/.well-known/oauth-protected-resource"`,
		},
		{"RFC6750/3 at least one parameter", oauth.WWWAuthenticate{Scheme: "Bearer"}, `Bearer realm=""`},
		{"RFC6749/5.2 invalid-client-401", oauth.WWWAuthenticate{Scheme: "Basic", Realm: "token"}, `Basic realm="token"`},
		{
			"RFC6750/3 charset", oauth.WWWAuthenticate{Scheme: "Bearer", Realm: `a", error="none`, Description: "x\r\nSet-Cookie: y\\\u00e9"},
			`Bearer realm="a, error=none", error_description="xSet-Cookie: y"`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.value.String(); got != test.want {
				t.Errorf("\n got %s\nwant %s", got, test.want)
			}
		})
	}
}

// RFC 6750 3: whatever goes in, the result is one scheme with distinct quoted parameters of allowed characters.
func TestWWWAuthenticateIsAlwaysWellFormed(t *testing.T) {
	t.Parallel()
	const param = `[a-z_]+="[\x20\x21\x23-\x5b\x5d-\x7e]*"`
	grammar := regexp.MustCompile(`^Bearer( ` + param + `(, ` + param + `)*)$`)
	names := regexp.MustCompile(`([a-z_]+)="`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		got := oauth.WWWAuthenticate{
			Scheme: "Bearer", Realm: text.Draw(t, "realm"), Error: oauth.Code(text.Draw(t, "error")), Description: text.Draw(t, "description"),
			Scopes: rapid.SliceOf(text).Draw(t, "scopes"), ACRValues: rapid.SliceOf(text).Draw(t, "acr"),
			MaxAge: time.Duration(rapid.Int64().Draw(t, "age")), HasMaxAge: rapid.Bool().Draw(t, "has"), ResourceMetadata: text.Draw(t, "metadata"),
		}.String()
		if !grammar.MatchString(got) {
			t.Fatalf("%q", got)
		}
		seen := map[string]bool{}
		// A value holds no quote, so that splitting at quotes leaves the names.
		for i, piece := range strings.Split(got, `"`) {
			if i%2 == 1 {
				continue
			}
			if m := names.FindStringSubmatch(piece + `"`); m != nil {
				if seen[m[1]] {
					t.Fatalf("%q stands twice in %q", m[1], got)
				}
				seen[m[1]] = true
			}
		}
	})
}
