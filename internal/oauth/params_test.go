// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// codeOf returns the wire code of an error, empty for none.
func codeOf(err error) oauth.Code {
	if err == nil {
		return ""
	}
	var e *oauth.Error
	if !errors.As(err, &e) {
		return "not an OAuth error"
	}
	return e.Code
}

func TestParseParams(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "p%d=1&", i)
		}
		return strings.TrimSuffix(b.String(), "&")
	}
	tests := []struct {
		name    string
		encoded []string
		want    oauth.Params
		refused bool
	}{
		{name: "RFC6749/3.1 plain", encoded: []string{"client_id=portal&scope=a+b%20c"}, want: oauth.Params{"client_id": "portal", "scope": "a b c"}},
		{name: "RFC6749/3.1 empty-param", encoded: []string{"scope=&code_challenge"}, want: oauth.Params{"scope": "", "code_challenge": ""}},
		{name: "RFC6749/3.1 unknown-param", encoded: []string{"foo=bar"}, want: oauth.Params{"foo": "bar"}},
		{name: "RFC6749/3.1 nothing", encoded: nil, want: oauth.Params{}},
		{name: "RFC6749/3.1 empty strings", encoded: []string{"", ""}, want: oauth.Params{}},
		{name: "RFC6749/3.1 query and body", encoded: []string{"a=1", "b=2"}, want: oauth.Params{"a": "1", "b": "2"}},
		{name: "RFC6749/App.A UTF-8 value", encoded: []string{"login_hint=Ren%C3%A9"}, want: oauth.Params{"login_hint": "René"}},
		{name: "at most MaxParams", encoded: []string{many(oauth.MaxParams)}, want: manyParams(oauth.MaxParams)},
		{name: "value of MaxParam bytes", encoded: []string{"a=" + strings.Repeat("x", oauth.MaxParam)}, want: oauth.Params{"a": strings.Repeat("x", oauth.MaxParam)}},

		{name: "RFC6749/3.1 dup-param", encoded: []string{"client_id=a&client_id=b"}, refused: true},
		{name: "RFC6749/3.1 dup-param with equal values", encoded: []string{"redirect_uri=a&redirect_uri=a"}, refused: true},
		{name: "RFC6749/3.1 dup-param with empty values", encoded: []string{"scope=&scope="}, refused: true},
		{name: "RFC6749/3.1 dup-param under an escape", encoded: []string{"code=a&c%6Fde=b"}, refused: true},
		{name: "RFC6749/3.1 dup-param that nobody knows", encoded: []string{"foo=1&foo=2"}, refused: true},
		{name: "RFC6749/3.2 dup-param across body and query", encoded: []string{"code=a", "code=a"}, refused: true},
		{name: "bad escape", encoded: []string{"a=%zz"}, refused: true},
		{name: "cut escape", encoded: []string{"a=%4"}, refused: true},
		{name: "semicolon", encoded: []string{"a=1;b=2"}, refused: true},
		{name: "RFC6749/App.A NUL", encoded: []string{"state=%00"}, refused: true},
		{name: "RFC6749/App.A line break", encoded: []string{"state=a%0d%0aLocation:+x"}, refused: true},
		{name: "RFC6749/App.A tab", encoded: []string{"state=a%09b"}, refused: true},
		{name: "RFC6749/App.A DEL", encoded: []string{"state=%7f"}, refused: true},
		{name: "RFC6749/App.A control character in a name", encoded: []string{"st%0aate=1"}, refused: true},
		{name: "not UTF-8", encoded: []string{"state=%ff%fe"}, refused: true},
		{name: "overlong UTF-8", encoded: []string{"state=%c0%af"}, refused: true},
		{name: "surrogate in UTF-8", encoded: []string{"state=%ed%a0%80"}, refused: true},
		{name: "too many", encoded: []string{many(oauth.MaxParams + 1)}, refused: true},
		{name: "too many across the strings", encoded: []string{many(oauth.MaxParams), "another=1"}, refused: true},
		{name: "value too long", encoded: []string{"a=" + strings.Repeat("x", oauth.MaxParam+1)}, refused: true},
		{name: "name too long", encoded: []string{strings.Repeat("x", oauth.MaxParam+1) + "=1"}, refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParseParams(test.encoded...)
			if test.refused {
				if codeOf(err) != oauth.InvalidRequest || got != nil {
					t.Fatalf("got %v, %v, want invalid_request", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func manyParams(n int) oauth.Params {
	params := oauth.Params{}
	for i := range n {
		params[fmt.Sprintf("p%d", i)] = "1"
	}
	return params
}

func TestParamsGet(t *testing.T) {
	t.Parallel()
	params, err := oauth.ParseParams("scope=&state=x")
	if err != nil {
		t.Fatal(err)
	}
	// RFC 6749 3.1: a parameter sent without a value counts as omitted.
	if params.Get("scope") != params.Get("absent") || params.Get("state") != "x" {
		t.Errorf("scope %q, absent %q, state %q", params.Get("scope"), params.Get("absent"), params.Get("state"))
	}
}

func TestParamsVisible(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value string
		refused     bool
	}{
		{name: "RFC6749/4.1.2 state-echo bytes", value: `+%&=#"\ ~!`},
		{name: "RFC6749/4.1.2 absent", value: ""},
		{name: "RFC6749/App.A.5 not ASCII", value: "é", refused: true},
		{name: "RFC6749/App.A.5 C1 control", value: "\u0085", refused: true},
		{name: "RFC6749/App.A.5 line separator", value: "\u2028", refused: true},
		{name: "RFC6749/App.A.5 line break", value: "a\r\nb", refused: true},
		{name: "RFC6749/App.A.5 DEL", value: "\x7f", refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.Params{"state": test.value}.Visible("state")
			if test.refused {
				if codeOf(err) != oauth.InvalidRequest || got != "" || strings.Contains(err.Error(), test.value) {
					t.Fatalf("got %q, %v", got, err)
				}
				return
			}
			if err != nil || got != test.value {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// What a well-behaved client encodes comes out as it went in.
func TestParamsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.Rune().Filter(func(r rune) bool { return r >= 0x20 && r != 0x7f && r != utf8.RuneError }))
		want := oauth.Params(rapid.MapOfN(text, text, 0, 20).Draw(t, "params"))
		values := url.Values{}
		for name, value := range want {
			values.Set(name, value)
		}
		got, err := oauth.ParseParams(values.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParseParams(f *testing.F) {
	for _, seed := range []string{"a=1&b=2", "a=1&a=2", "a=%00", "a=%C3%A9&b", "&&&", "=x", "a=%zz", "a;b", "+=+"} {
		f.Add(seed, "")
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		params, err := oauth.ParseParams(first, second)
		if err != nil {
			if codeOf(err) != oauth.InvalidRequest || params != nil {
				t.Fatalf("got %v, %v", params, err)
			}
			return
		}
		values := url.Values{}
		for name, value := range params {
			if !utf8.ValidString(name+value) || strings.ContainsFunc(name+value, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
				t.Fatalf("accepted %q=%q", name, value)
			}
			values.Set(name, value)
		}
		again, err := oauth.ParseParams(values.Encode())
		if err != nil || !cmp.Equal(params, again) {
			t.Fatalf("%q + %q does not round trip: %v, %v", first, second, again, err)
		}
		// Whatever was accepted was said once: saying it again is refused.
		if len(params) > 0 {
			if _, err := oauth.ParseParams(first, second, values.Encode()); err == nil {
				t.Fatal("a repetition passed")
			}
		}
	})
}

// JSON may come with line breaks, and only there.
func TestParamsHoldJSONAsItIsPrinted(t *testing.T) {
	t.Parallel()
	p, err := oauth.ParseParams("authorization_details=%5B%0D%0A%09%7B%7D%5D")
	if err != nil || p.Get("authorization_details") != "[   {}]" {
		t.Errorf("got %q, %v", p.Get("authorization_details"), err)
	}
	for _, text := range []string{"state=a%0Ab", "authorization_details=%5B%00%5D"} {
		if _, err := oauth.ParseParams(text); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}
