// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestParsePrompt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       oauth.Prompt
		refused    bool
	}{
		{name: "OIDC/3.1.2.1 absent", text: ""},
		{name: "OIDC/3.1.2.1 none", text: "none", want: oauth.Prompt{None: true}},
		{name: "OIDC/3.1.2.1 login", text: "login", want: oauth.Prompt{Login: true}},
		{name: "OIDC/3.1.2.1 all that go together", text: "login consent select_account", want: oauth.Prompt{Login: true, Consent: true, SelectAccount: true}},
		{name: "OIDC/3.1.2.1 unknown", text: "create", want: oauth.Prompt{}},
		{name: "OIDC/3.1.2.1 unknown beside known", text: "create login", want: oauth.Prompt{Login: true}},
		{name: "OIDC/3.1.2.1 case-sensitive", text: "LOGIN", want: oauth.Prompt{}},
		{name: "OIDC/3.1.2.1 none with login", text: "none login", refused: true},
		{name: "OIDC/3.1.2.1 consent with none", text: "consent none", refused: true},
		{name: "OIDC/3.1.2.1 none with unknown", text: "none create", refused: true},
		{name: "OIDC/3.1.2.1 none twice", text: "none none", refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParsePrompt(test.text)
			if test.refused {
				if codeOf(err) != oauth.InvalidRequest {
					t.Fatalf("got %+v, %v, want invalid_request", got, err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestParseMaxAge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       time.Duration
		present    bool
		refused    bool
	}{
		{name: "OIDC/3.1.2.1 absent", text: ""},
		{name: "OIDC/3.1.2.1 zero", text: "0", present: true},
		{name: "OIDC/3.1.2.1 five minutes", text: "300", want: 5 * time.Minute, present: true},
		{name: "OIDC/3.1.2.1 longest", text: "2147483647", want: 2147483647 * time.Second, present: true},
		{name: "negative", text: "-1", refused: true},
		{name: "sign", text: "+1", refused: true},
		{name: "fraction", text: "1.5", refused: true},
		{name: "exponent", text: "1e3", refused: true},
		{name: "hexadecimal", text: "0x10", refused: true},
		{name: "separator", text: "1_000", refused: true},
		{name: "space", text: " 1", refused: true},
		{name: "too large", text: "2147483648", refused: true},
		{name: "far too large", text: "99999999999999999999", refused: true},
		{name: "words", text: "now", refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, present, err := oauth.ParseMaxAge(test.text)
			if test.refused {
				if codeOf(err) != oauth.InvalidRequest || present {
					t.Fatalf("got %v, %t, %v, want invalid_request", got, present, err)
				}
				return
			}
			if err != nil || got != test.want || present != test.present {
				t.Errorf("got %v, %t, %v", got, present, err)
			}
		})
	}
}
