// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
)

// bytesOf makes a request of texts.
func bytesOf(method, origin, asked, path, query, typ, header, body string) *confirm.Request {
	return &confirm.Request{
		Method: method, Origin: origin, Asked: asked, Path: path, Query: query, Body: []byte(body),
		Header: func(name string) []string {
			switch name {
			case "content-type":
				return []string{typ}
			case "x-bound":
				return []string{header}
			}
			return nil
		},
	}
}

// FuzzBind: two requests have one binding only when they are the same, however their parts are cut.
func FuzzBind(f *testing.F) {
	f.Add("POST", "https://a", "/a", "/a", "q", "t", "h", "b", "POST", "https://a", "/a", "/aq", "", "t", "h", "b")
	f.Add("POST", "https://a", "/a", "/a", "", "", "h", "b", "POST", "https://a", "/a", "/a", "", "h", "", "b")
	f.Fuzz(func(t *testing.T, m, o, a, p, q, c, h, b, m2, o2, a2, p2, q2, c2, h2, b2 string) {
		bound := []string{"X-Bound", "x-bound"}
		first := confirm.Bind(bytesOf(m, o, a, p, q, c, h, b), bound)
		if first != confirm.Bind(bytesOf(m, o, a, p, q, c, h, b), bound[:1]) {
			t.Error("the same request is bound differently")
		}
		same := [8]string{m, o, a, p, q, c, h, b} == [8]string{m2, o2, a2, p2, q2, c2, h2, b2}
		if second := confirm.Bind(bytesOf(m2, o2, a2, p2, q2, c2, h2, b2), bound); (first == second) != same {
			t.Errorf("same: %v, and bound: %v", same, first == second)
		}
	})
}

// TestBindHeaders: a field that is absent is another one than an empty one, and so is one that stands there twice.
func TestBindHeaders(t *testing.T) {
	t.Parallel()
	values := [][]string{nil, {""}, {"a"}, {"a", "b"}, {"a,b"}, {"b", "a"}, {"ab"}}
	seen := map[confirm.Binding]int{}
	for i, v := range values {
		r := bytesOf("GET", "", "/", "/", "", "", "", "")
		r.Header = func(name string) []string {
			if name == "x" {
				return v
			}
			return nil
		}
		b := confirm.Bind(r, []string{"X"})
		if other, found := seen[b]; found {
			t.Errorf("%q is bound as %q", v, values[other])
		}
		seen[b] = i
		if b.Method == "" || b.Target == "" || b.Header == "" || b.Body == "" {
			t.Errorf("a part is empty: %+v", b)
		}
	}
}

// TestContentDigest is the example of RFC 9530, section 2.
func TestContentDigest(t *testing.T) {
	t.Parallel()
	if got := confirm.ContentDigest([]byte(`{"hello": "world"}` + "\n")); got != "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:" {
		t.Error(got)
	}
}
