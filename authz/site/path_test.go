// SPDX-License-Identifier: Apache-2.0

package site_test

import (
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/site"
)

func TestCheckPath(t *testing.T) {
	t.Parallel()
	const plain, lenient, never = 0, 1, 2
	cases := []struct {
		name, path string
		want       int
	}{
		{"root", "/", plain},
		{"file", "/a/b.c/.well-known/...x", plain},
		{"directory", "/a/", plain},
		{"percent sign", "/100%25/a", plain},
		{"question mark and hash", "/what%3F/c%23", plain},
		{"letters beyond ASCII", "/caf%C3%A9/ü", plain},
		{"at the end of the alphabet", "/~%7E:@!$&'()*+,=", plain},
		{"encoded slash", "/a%2Fb", lenient},
		{"encoded slash in lower case", "/a%2fb", lenient},
		{"empty segment", "/a//b", lenient},
		{"empty first segment", "//a", lenient},
		{"empty last segment", "/a//", lenient},
		{"parameter", "/a;b=c/d", lenient},
		{"encoded parameter", "/a%3Bb", lenient},
		{"dot encoded twice", "/a/%252e%252E/b", lenient},
		{"slash encoded twice", "/a%252fb", lenient},
		{"backslash encoded twice", "/a%255cb", lenient},
		{"encoded three times", "/a%25252fb", lenient},
		{"zero encoded twice", "/a%2500", lenient},
		{"overlong dot", "/a/%c0%ae%c0%ae/b", lenient},
		{"up", "/a/../b", never},
		{"up at the end", "/a/..", never},
		{"stay", "/./a", never},
		{"encoded up", "/a/%2e%2E/b", never},
		{"half encoded up", "/a/.%2e/b", never},
		{"up with encoded slash", "/a/..%2fb", never},
		{"up with parameter", "/a/..;/b", never},
		{"stay with parameter", "/a/.;x=y/b", never},
		{"backslash", `/a\b`, never},
		{"encoded backslash", "/a%5Cb", never},
		{"zero", "/a%00", never},
		{"line feed", "/a%0Ab", never},
		{"delete", "/a%7f", never},
		{"asterisk", "*", never},
		{"nothing", "", never},
		{"no slash", "a/b", never},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := &url.URL{}
			decoded, err := url.PathUnescape(c.path)
			must(t, err)
			if u.Path = decoded; u.EscapedPath() != c.path {
				u.RawPath = c.path
			}
			strict, loose := site.CheckPath(u, false), site.CheckPath(u, true)
			if got := errors.Is(strict, site.ErrPath); got != (c.want > plain) {
				t.Errorf("strictly: %v", strict)
			}
			if got := errors.Is(loose, site.ErrPath); got != (c.want > lenient) {
				t.Errorf("leniently: %v", loose)
			}
		})
	}
}

// FuzzCheckPath holds accepted paths to the property that counts: cleaning them, as matchers do, changes nothing but a
// slash at the end, however often and in whatever way an upstream decodes them.
func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "/a/../b", "/a%2f..%2fb", "/%252e%252e/", "//a", "/a;b", "/100%25", `/\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.ParseRequestURI(text)
		if err != nil || site.CheckPath(u, false) != nil {
			return
		}
		for seen := u.Path; ; {
			if cleaned := path.Clean(seen); cleaned != seen && cleaned+"/" != seen {
				t.Fatalf("%q is read as %q", text, cleaned)
			}
			if strings.Count(seen, "/") != strings.Count(u.EscapedPath(), "/") {
				t.Fatalf("%q has other segments as %q", text, seen)
			}
			decoded, err := url.PathUnescape(seen)
			if err != nil || decoded == seen {
				return
			}
			seen = decoded
		}
	})
}

func BenchmarkCheckPath(b *testing.B) {
	u := &url.URL{Path: "/api/v1/accounts/0123456789/transactions.json"}
	b.ReportAllocs()
	for b.Loop() {
		if err := site.CheckPath(u, false); err != nil {
			b.Fatal(err)
		}
	}
}
