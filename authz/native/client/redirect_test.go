// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// roads are servers that send whoever comes to an address on to another one. Where there is no other, they ask for more proof, with a nonce.
type roads struct {
	t    *testing.T
	to   map[string]string
	bare bool // their answers do not say what they are to
	seen []string
}

func (d *roads) RoundTrip(r *http.Request) (*http.Response, error) {
	d.seen = append(d.seen, strings.TrimSpace(r.URL.String()+" "+r.Header.Get("Authorization")+" "+d.proof(r)))
	if r.Body != nil {
		_ = r.Body.Close()
	}
	answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Dpop-Nonce": {"of " + r.URL.Host}}, Body: http.NoBody, Request: r}
	if d.bare {
		answer.Request = nil
	}
	if to := d.to[r.URL.String()]; to != "" {
		answer.StatusCode = http.StatusTemporaryRedirect
		answer.Header.Set("Location", to)
	} else if r.Header.Get("Authorization") == "" {
		answer.StatusCode = http.StatusUnauthorized
		answer.Header["Www-Authenticate"] = []string{
			`Bearer error="insufficient_user_authentication", acr_values="gold"`, `DPoP error="use_dpop_nonce"`,
			`DPoP error="insufficient_user_authentication", acr_values="gold"`,
		}
	}
	return answer, nil
}

// proof says what the proof of a request is for.
func (d *roads) proof(r *http.Request) string {
	parts := strings.Split(r.Header.Get("DPoP"), ".")
	if len(parts) != 3 {
		return ""
	}
	var claims struct{ HTM, HTU, Nonce string }
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		d.t.Error(err)
	}
	if claims.Nonce != "" {
		claims.Nonce = " and the nonce " + claims.Nonce
	}
	return "proven for " + claims.HTM + " " + claims.HTU + claims.Nonce
}

// TestRedirects: token and proof stay at the server that a request is for, and what another one asks for is not for this client to prove.
func TestRedirects(t *testing.T) {
	t.Parallel()
	const a, b = "https://a.example", "https://b.example"
	first := a + "/1 DPoP t1 proven for POST " + a + "/1"
	for _, tt := range []struct {
		name   string
		to     map[string]string
		bare   bool
		status int
		seen   []string
	}{
		{"the same server", map[string]string{a + "/1": "/2"}, false, 200,
			[]string{first, a + "/2 DPoP t1 proven for POST " + a + "/2 and the nonce of a.example"}},
		{"the same server by its port", map[string]string{a + "/1": a + ":443/2"}, false, 200,
			[]string{first, a + ":443/2 DPoP t1 proven for POST " + a + ":443/2 and the nonce of a.example"}},
		{"the same server in other letters", map[string]string{a + "/1": "https://A.EXAMPLE/2"}, false, 200,
			[]string{first, "https://A.EXAMPLE/2 DPoP t1 proven for POST https://A.EXAMPLE/2 and the nonce of a.example"}},
		{"another server", map[string]string{a + "/1": b + "/2"}, false, 401, []string{first, b + "/2"}},
		{"one below it", map[string]string{a + "/1": "https://x.a.example/2"}, false, 401, []string{first, "https://x.a.example/2"}},
		{"another port", map[string]string{a + "/1": a + ":8443/2"}, false, 401, []string{first, a + ":8443/2"}},
		{"without TLS", map[string]string{a + "/1": "http://a.example/2"}, false, 401, []string{first, "http://a.example/2"}},
		{"without TLS at the same port", map[string]string{a + "/1": "http://a.example:443/2"}, false, 401, []string{first, "http://a.example:443/2"}},
		{"there and back", map[string]string{a + "/1": b + "/2", b + "/2": a + "/3"}, false, 401, []string{first, b + "/2", a + "/3"}},
		{"there, and on there", map[string]string{a + "/1": b + "/2", b + "/2": b + "/3"}, false, 401, []string{first, b + "/2", b + "/3"}},
		{"by way of itself", map[string]string{a + "/1": "/2", a + "/2": b + "/3"}, false, 401,
			[]string{first, a + "/2 DPoP t1 proven for POST " + a + "/2 and the nonce of a.example", b + "/3"}},
		{"there and back, and nobody says so", map[string]string{a + "/1": b + "/2", b + "/2": a + "/3"}, true, 401,
			[]string{first, b + "/2", a + "/3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, base := newVerifier(t), &roads{t: t, to: tt.to, bare: tt.bare}
			c := s.client()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a+"/1", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := (&http.Client{Transport: c.Transport(base)}).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if diff := cmp.Diff(tt.seen, base.seen); diff != "" || response.StatusCode != tt.status {
				t.Errorf("status %d, requests (-want +got):\n%s", response.StatusCode, diff)
			}
			if to := response.Request; !tt.bare && (to == nil || to.Header.Get("Authorization")+to.Header.Get("DPoP") != "") {
				t.Error("the answer shows the token, or does not say what it is to")
			}
			if c.Tokens().Access != "t1" {
				t.Errorf("another server has had more proven: %+v", c.Tokens())
			}
		})
	}
}

// TestServersThatSendElsewhere: what goes to the authorization server is for it alone, be it the form or the token of a registration.
func TestServersThatSendElsewhere(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/challenge", "/token", "/register", "/ins_1"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := newRegistrar(t)
			var taken []string
			thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				taken = append(taken, r.URL.Path+" "+r.Header.Get("DPoP")+r.Header.Get("Authorization")+string(body))
			}))
			t.Cleanup(thief.Close)
			a := s.install(func(c *client.Config) {
				c.HTTP = &http.Client{Transport: astray{s.Server.Client().Transport, path, thief.URL}}
			})
			_, err := a.Authorize(t.Context(), client.Request{})
			if path == "/ins_1" {
				err = a.Deregister(t.Context())
			}
			if err == nil || len(taken) > 0 {
				t.Errorf("%v; another server was sent %q", err, taken)
			}
		})
	}
}

// astray has a server send what comes to a path somewhere else.
type astray struct {
	http.RoundTripper
	path, to string
}

func (a astray) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, a.path) {
		return a.RoundTripper.RoundTrip(r)
	}
	return &http.Response{
		StatusCode: http.StatusTemporaryRedirect, Header: http.Header{"Location": {a.to + "/taken"}}, Body: http.NoBody, Request: r,
	}, nil
}
