// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/demo/wire"
)

// TestShown: what is said is shown, what proves something is not, and the message arrives as it was.
func TestShown(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 80)
	for _, c := range []struct {
		name, contentType, sent, answerType, answer string
		shows, hides                                []string
	}{
		{
			name: "a form", contentType: "application/x-www-form-urlencoded", sent: "code=c0de-of-the-app&client_id=demo&code_verifier=ver1fier",
			answerType: "application/json; charset=utf-8", answer: `{"access_token":"t0ken","token_type":"Bearer"}`,
			shows: []string{`"client_id":"demo"`, `"token_type":"Bearer"`, "‹5 characters›"},
			hides: []string{"c0de-of-the-app", "ver1fier", "t0ken"},
		},
		{
			name: "a problem", contentType: "application/json", sent: `{"amount":500,"list":[{"password":"wonder1and"}]}`,
			answerType: "application/problem+json", answer: `{"code":"confirmation_refused","long":"` + long + `"}`,
			shows: []string{`"amount":500`, `"code":"confirmation_refused"`, "x…"},
			hides: []string{"wonder1and", long},
		},
		{
			name: "an envelope", contentType: "application/jose", sent: "eyJz.ea1ed", answerType: "text/html", answer: "<html>page</html>",
			shows: []string{"(10 bytes, sealed", "(17 bytes of text/html)"}, hides: []string{"ea1ed", "<html>"},
		},
		{
			name: "what is no JSON", contentType: "application/json", sent: `{"password":"wonder1and"`, answerType: "application/json", answer: "",
			shows: []string{"(24 bytes of application/json)"}, hides: []string{"wonder1and"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var arrived string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // what did not arrive is missing below
				arrived = string(body)
				w.Header().Set("Content-Type", c.answerType)
				_, _ = io.WriteString(w, c.answer) // so is that
			}))
			defer server.Close()
			var out strings.Builder
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/path?login=ann&password=inthequery", strings.NewReader(c.sent))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", c.contentType)
			r.Header.Set("Authorization", "Bearer secret0fthebearer")
			shown := &wire.Wire{Party: "app", Base: http.DefaultTransport, Show: func(e wire.Exchange) { out.WriteString(e.String()) }}
			response, err := shown.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(response.Body)
			if err != nil || string(got) != c.answer || arrived != c.sent {
				t.Errorf("sent %q, got %q, %v", arrived, got, err)
			}
			for _, want := range append(c.shows, "app      → POST "+server.URL+"/path?", "login=ann", "app      ← 200 OK", "Authorization: Bearer ‹17 characters›") {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q does not show %q", out.String(), want)
				}
			}
			for _, not := range append(c.hides, "inthequery", "secret0fthebearer") {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q shows %q", out.String(), not)
				}
			}
		})
	}
}
