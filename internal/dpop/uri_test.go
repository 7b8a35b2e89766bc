// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// TestRFC9449Addresses are spellings of one address, and of others (RFC 9449 4.3-9, RFC 3986 6.2.2, 6.2.3).
func TestRFC9449Addresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, said, real string
		same             bool
	}{
		{"the same", "https://api.example/a/b", "https://api.example/a/b", true},
		{"scheme and host in upper case", "HTTPS://API.example/a", "https://api.example/a", true},
		{"default port", "https://api.example:443/a", "https://api.example/a", true},
		{"default port of http", "http://api.example/a", "http://api.example:80/a", true},
		{"empty port", "https://api.example:/a", "https://api.example/a", true},
		{"other port", "https://api.example:8443/a", "https://api.example/a", false},
		{"port of the other scheme", "https://api.example:80/a", "https://api.example/a", false},
		{"a host that ends with the port", "https://api443/a", "https://api/a", false},
		{"IPv6", "https://[::1]:443/a", "https://[::1]/a", true},
		{"IPv6 of another", "https://[::1]:443/a", "https://[::2]/a", false},
		{"no path", "https://api.example", "https://api.example/", true},
		{"escape of what needs none", "https://api.example/%7Eme/%61", "https://api.example/~me/a", true},
		{"escape in lower case", "https://api.example/a%2fb", "https://api.example/a%2Fb", true},
		{"escaped slash", "https://api.example/a%2Fb", "https://api.example/a/b", false},
		{"escaped percent", "https://api.example/%2561", "https://api.example/%61", false},
		{"path in another case", "https://api.example/A", "https://api.example/a", false},
		{"dot segments", "https://api.example/b/../a", "https://api.example/a", false},
		{"slash at the end", "https://api.example/a/", "https://api.example/a", false},
		{"somebody before the host", "https://api.example@evil.example/a", "https://evil.example/a", false},
		{"fragment", "https://api.example/a#b", "https://api.example/a", true},
		{"relative", "//api.example/a", "https://api.example/a", false},
		{"opaque", "https:api.example/a", "https://api.example/a", false},
		{"nothing", "", "", false},
		{"a query alone", "?a", "?a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.said["htu"], w.r.URI = c.said, c.real
			_, err := w.check()
			if same := err == nil; same != c.same || !same && !errors.Is(err, dpop.ErrProof) {
				t.Errorf("%q for %q: %v", c.said, c.real, err)
			}
		})
	}
}

// FuzzCheck: whatever stands in the header, nobody panics and nothing that is not signed by its own key for this request passes.
func FuzzCheck(f *testing.F) {
	w := newWorld(f)
	good := w.proof()
	f.Add(good, address)
	f.Add(exampleAtResource, "https://resource.example.org/protectedresource")
	f.Add(strings.ToUpper(good), "https://api.example:443/%74ransfers")
	f.Fuzz(func(t *testing.T, proof, uri string) {
		p, err := w.checker.Check(dpop.Request{Proofs: []string{proof}, Method: "GET", URI: uri, Token: token})
		switch {
		case err == nil && !signedByItself(proof):
			t.Errorf("%q passes for %q", proof, uri)
		case err == nil && (p.Thumbprint == "" || p.ID == ""):
			t.Errorf("%+v", p)
		case err != nil && errors.Is(err, dpop.ErrProof) == errors.Is(err, dpop.ErrNonce):
			t.Errorf("neither or both: %v", err)
		}
	})
}

func signedByItself(proof string) bool {
	token, key, err := jose.NewSelfSigned(dpop.MaxProof).Parse(proof)
	return err == nil && token.Verify(key.PublicKey) == nil
}
