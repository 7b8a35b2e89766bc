// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

func TestParseScopes(t *testing.T) {
	t.Parallel()
	numbered := func(n int) string {
		var tokens []string
		for i := range n {
			tokens = append(tokens, fmt.Sprintf("s%d", i))
		}
		return strings.Join(tokens, " ")
	}
	tests := []struct {
		name    string
		text    string
		want    oauth.Scopes
		refused bool
	}{
		{name: "RFC6749/3.3 absent", text: "", want: nil},
		{name: "RFC6749/3.3 one", text: "openid", want: oauth.Scopes{"openid"}},
		{name: "RFC6749/3.3 several, in order", text: "b a", want: oauth.Scopes{"b", "a"}},
		{name: "RFC6749/3.3 case-sensitive", text: "A a", want: oauth.Scopes{"A", "a"}},
		{name: "RFC6749/3.3 repeated", text: "a b a", want: oauth.Scopes{"a", "b"}},
		{name: "RFC6749/3.3 every allowed character", text: allowedScopeChars(), want: oauth.Scopes{allowedScopeChars()}},
		{name: "RFC6749/3.3 a URI", text: "https://api.example.com/read:all?x=1#y", want: oauth.Scopes{"https://api.example.com/read:all?x=1#y"}},
		{name: "longest token", text: strings.Repeat("s", 256), want: oauth.Scopes{strings.Repeat("s", 256)}},
		{name: "repetition does not count", text: strings.Repeat("s ", 200) + "s", want: oauth.Scopes{"s"}},

		{name: "RFC6749/3.3 scope-grammar quote", text: `a"b`, refused: true},
		{name: "RFC6749/3.3 scope-grammar backslash", text: `a\b`, refused: true},
		{name: "RFC6749/3.3 scope-grammar control", text: "a\x01", refused: true},
		{name: "RFC6749/3.3 scope-grammar DEL", text: "a\x7f", refused: true},
		{name: "RFC6749/3.3 scope-grammar tab", text: "a\tb", refused: true},
		{name: "RFC6749/3.3 scope-grammar line break", text: "a\nb", refused: true},
		{name: "RFC6749/3.3 scope-grammar not ASCII", text: "caf\u00e9", refused: true},
		{name: "RFC6749/3.3 scope-grammar no-break space", text: "a\u00a0b", refused: true},
		{name: "RFC6749/3.3 two spaces", text: "a  b", refused: true},
		{name: "RFC6749/3.3 leading space", text: " a", refused: true},
		{name: "RFC6749/3.3 trailing space", text: "a ", refused: true},
		{name: "RFC6749/3.3 only a space", text: " ", refused: true},
		{name: "token too long", text: strings.Repeat("s", 257), refused: true},
		{name: "too many", text: numbered(65), refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParseScopes(test.text)
			if test.refused {
				if codeOf(err) != oauth.InvalidScope || got != nil {
					t.Fatalf("got %v, %v, want invalid_scope", got, err)
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
	if got, err := oauth.ParseScopes(numbered(64)); err != nil || len(got) != 64 {
		t.Errorf("64 scopes: got %d, %v", len(got), err)
	}
}

// allowedScopeChars is %x21 / %x23-5B / %x5D-7E.
func allowedScopeChars() string {
	var b strings.Builder
	for c := byte(0x21); c <= 0x7e; c++ {
		if c != '"' && c != '\\' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func TestScopesSetOperations(t *testing.T) {
	t.Parallel()
	s := oauth.Scopes{"openid", "read", "write"}
	tests := []struct {
		name      string
		got, want any
	}{
		{"has", s.Has("read"), true},
		{"has not by prefix", s.Has("rea"), false},
		{"has not by case", s.Has("READ"), false},
		{"has not the empty token", s.Has(""), false},
		{"nil has nothing", oauth.Scopes(nil).Has("read"), false},
		{"within itself", s.Within(s), true},
		{"narrower", oauth.Scopes{"write"}.Within(s), true},
		{"nothing is within all", oauth.Scopes(nil).Within(s), true},
		{"wider is not within", oauth.Scopes{"read", "admin"}.Within(s), false},
		{"nothing holds nothing", s.Within(nil), false},
		{"without", s.Without("openid", "absent"), oauth.Scopes{"read", "write"}},
		{"union", s.Union(oauth.Scopes{"admin", "read"}), oauth.Scopes{"openid", "read", "write", "admin"}},
		{"union with nothing", s.Union(nil), s},
		{"string", s.String(), "openid read write"},
		{"empty string", oauth.Scopes(nil).String(), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("operations leave their operands alone", func(t *testing.T) {
		t.Parallel()
		base := make(oauth.Scopes, 0, 8)
		base = append(base, "a", "b")
		_, _ = base.Without("a"), base.Union(oauth.Scopes{"c"})
		if other := base.Union(oauth.Scopes{"d"}); !slices.Equal(base, oauth.Scopes{"a", "b"}) || !slices.Equal(other, oauth.Scopes{"a", "b", "d"}) {
			t.Errorf("got %v and %v", base, other)
		}
	})
}

func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{"", "a", "a b", "a a", " a", "a ", "a  b", `"`, `\`, "é", "openid accounts:read", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		scopes, err := oauth.ParseScopes(text)
		if err != nil {
			if codeOf(err) != oauth.InvalidScope || scopes != nil {
				t.Fatalf("got %v, %v", scopes, err)
			}
			return
		}
		for i, token := range scopes {
			if !oauth.ValidScope(token) || slices.Contains(scopes[:i], token) {
				t.Fatalf("%q: accepted %q", text, token)
			}
		}
		for token := range strings.SplitSeq(text, " ") {
			if text != "" && !scopes.Has(token) {
				t.Fatalf("%q: lost %q", text, token)
			}
		}
		again, err := oauth.ParseScopes(scopes.String())
		if err != nil || !slices.Equal(again, scopes) {
			t.Fatalf("%q does not round trip: %v, %v", text, again, err)
		}
	})
}
