// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

func TestFromRequest(t *testing.T) {
	t.Parallel()
	const path = "https://api.example.com/x"
	tests := []struct {
		name    string
		request *http.Request
		want    string // empty for none
		refused bool
	}{
		{"RFC6750/2.1 header", request(t, path, "Bearer abc.def.ghi"), "abc.def.ghi", false},
		{"RFC6750/2.1 lower case", request(t, path, "bearer abc"), "abc", false},
		{"RFC6750/2.1 upper case", request(t, path, "BEARER abc"), "abc", false},
		{"RFC6750/2.1 two spaces", request(t, path, "Bearer  abc"), "abc", false},
		{"RFC6750/2.1 every character of b64token", request(t, path, "Bearer AZaz09-._~+/=="), "AZaz09-._~+/==", false},
		{"RFC6750/3.1 no-info", request(t, path), "", false},
		{"RFC6750/3.1 empty header", request(t, path, ""), "", false},
		{"RFC6750/3.1 another scheme", request(t, path, "Basic dXNlcjpwYXNz"), "", false},
		{"RFC6750/3.1 a scheme that begins alike", request(t, path, "BearerX abc"), "", false},
		{"RFC6750/3.1 a scheme that is a prefix", request(t, path, "Bear abc"), "", false},
		{"RFC6750/3.1 no scheme", request(t, path, "abc.def.ghi"), "", false},
		{"RFC6750/3.1 DPoP", request(t, path, "DPoP abc"), "", false},
		{"RFC6750/2.1 no token", request(t, path, "Bearer"), "", true},
		{"RFC6750/2.1 empty token", request(t, path, "Bearer "), "", true},
		{"RFC6750/2.1 only spaces", request(t, path, "Bearer    "), "", true},
		{"RFC6750/2.1 comma list", request(t, path, "Bearer abc, Bearer def"), "", true},
		{"RFC6750/2.1 comma list of schemes", request(t, path, "Bearer abc, Basic def"), "", true},
		{"RFC6750/2.1 comma at once", request(t, path, "Bearer,Basic def"), "", true},
		{"RFC6750/2.1 two tokens", request(t, path, "Bearer abc def"), "", true},
		{"RFC6750/2.1 quotes", request(t, path, `Bearer "abc"`), "", true},
		{"RFC6750/2.1 parameter", request(t, path, `Bearer token="abc"`), "", true},
		{"RFC6750/2.1 trailing space", request(t, path, "Bearer abc "), "", true},
		{"RFC6750/2.1 tab", request(t, path, "Bearer\tabc"), "", true},
		{"RFC6750/2.1 tab inside", request(t, path, "Bearer abc\tdef"), "", true},
		{"RFC6750/2.1 semicolon", request(t, path, "Bearer abc;x"), "", true},
		{"RFC6750/2 one-method two headers", request(t, path, "Bearer abc", "Bearer abc"), "", true},
		{"RFC6750/2 one-method two schemes", request(t, path, "Basic abc", "Bearer def"), "", true},
		{"RFC6750/2 one-method an empty one beside", request(t, path, "Bearer abc", ""), "", true},
		{"RFC6750/2 one-method header and query", request(t, path+"?access_token=def", "Bearer abc"), "", true},
		{"RFC6750/2 one-method header and empty query parameter", request(t, path+"?access_token", "Bearer abc"), "", true},
		{"RFC6750/2 one-method header and query under an escape", request(t, path+"?a=1&access%5Ftoken=def", "Bearer abc"), "", true},
		{"RFC6750/2.3 query", request(t, path+"?access_token=abc"), "", false},
		{"RFC6750/2.3 query beside another scheme", request(t, path+"?access_token=abc", "Basic x"), "", false},
		{"RFC6750/2.3 a parameter that is alike", request(t, path+"?my_access_token=x&access_tokens=y&token=z", "Bearer abc"), "abc", false},
		{"RFC6750/2.3 a value that is alike", request(t, path+"?q=access_token", "Bearer abc"), "abc", false},
		{"RFC6750/2.3 a malformed query is the handler's business", request(t, path+"?%zz=1", "Bearer abc"), "abc", false},
		{"RFC6750/2.2 body", formRequest(t, path), "", false},
		{"cookie", cookieRequest(t, path), "", false},
		{"Proxy-Authorization", headerRequest(t, path, "Proxy-Authorization"), "", false},
		{"X-Authorization", headerRequest(t, path, "X-Authorization"), "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, found, err := validation.FromRequest(test.request)
			if test.refused {
				e := wantCode(t, err, oauth.InvalidRequest, 400)
				if found || got.Token != "" || strings.Contains(e.Error(), "abc") {
					t.Errorf("got %q, %t, %v", got.Token, found, err)
				}
				return
			}
			if err != nil || got.Token != test.want || found != (test.want != "") {
				t.Errorf("got %q, %t, %v", got.Token, found, err)
			}
		})
	}
}

func formRequest(t *testing.T, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader("access_token=abc"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func cookieRequest(t *testing.T, target string) *http.Request {
	t.Helper()
	r := request(t, target)
	r.AddCookie(&http.Cookie{Name: "access_token", Value: "abc"})
	return r
}

func headerRequest(t *testing.T, target, name string) *http.Request {
	t.Helper()
	r := request(t, target)
	r.Header.Set(name, "Bearer abc")
	return r
}

// The body is not touched: it may be a stream.
func TestFromRequestLeavesTheBody(t *testing.T) {
	t.Parallel()
	r := formRequest(t, "https://api.example.com/x")
	if _, _, err := validation.FromRequest(r); err != nil {
		t.Fatal(err)
	}
	if r.Form != nil || r.PostForm != nil {
		t.Error("the form was parsed")
	}
	buf := make([]byte, 100)
	if n, _ := r.Body.Read(buf); string(buf[:n]) != "access_token=abc" {
		t.Errorf("the body holds %q", buf[:n])
	}
}

// What passes the header but is no b64token fails as a token: 401 rather than 400.
func TestCharactersOutsideB64Token(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, raw := range []string{"abc$def", "abc\x7f", "abc\u00e9", "{}", "a:b", "<a>", `a\b`, "a\x00b"} {
		got, found, err := validation.FromRequest(request(t, "https://api.example.com/x", "Bearer "+raw))
		if err != nil || !found {
			t.Fatalf("%q: %t, %v", raw, found, err)
		}
		p, err := h.Validate(t.Context(), got)
		wantRefused(t, p, err, validation.ErrMalformed)
	}
}

func FuzzFromRequest(f *testing.F) {
	f.Add("Bearer abc", "")
	f.Add("bearer  a.b.c", "x=1")
	f.Add("Bearer abc, Basic x", "access_token=1")
	f.Add("", "access_token=abc")
	f.Fuzz(func(t *testing.T, header, query string) {
		r := request(t, "https://api.example.com/x", header)
		r.URL.RawQuery = query
		c, found, err := validation.FromRequest(r)
		raw := c.Token
		switch {
		case err != nil:
			wantCode(t, err, oauth.InvalidRequest, 400)
			if found || raw != "" {
				t.Fatalf("got %q, %t and %v", raw, found, err)
			}
		case found:
			// What is taken is the tail of the header, whole and undivided, behind the name of the scheme.
			if !strings.EqualFold(strings.TrimRight(strings.TrimSuffix(header, raw), " "), "Bearer") || raw == "" ||
				strings.ContainsAny(raw, " \t,;\"") {
				t.Fatalf("%q is taken from %q", raw, header)
			}
			if r.URL.Query().Has("access_token") && !strings.Contains(query, ";") {
				t.Fatalf("a second token in %q passes", query)
			}
		case raw != "":
			t.Fatalf("nothing was found: %q", raw)
		}
	})
}
