// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func newWorld(t testing.TB) *faces.World {
	t.Helper()
	return faces.New(t, faces.Options{})
}

// redeem spends a code of the request that params describe.
func redeem(t *testing.T, w *faces.World, params map[string]string, code string) authz.RedeemResult {
	t.Helper()
	result, err := w.Store.Redeem(t.Context(), authz.Redemption{
		Code: code, ClientID: params["client_id"], RedirectURI: params["redirect_uri"], Verifier: faces.Verifier,
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Outcome != authz.Redeemed {
		t.Fatalf("redeeming the code: %s", result.Outcome)
	}
	return result
}

// third are parameters of the client that does not belong to the operator.
func third(pairs ...string) map[string]string {
	return faces.Params(append([]string{"client_id", "third", "redirect_uri", "https://third.example.org/cb"}, pairs...)...)
}

// wantError checks that the client got an error, with the parameters that every answer has.
func wantError(t *testing.T, p *faces.Page, code oauth.Code, state string) {
	t.Helper()
	answer := p.Answer()
	if got := answer.Get("error"); got != string(code) {
		t.Errorf("error is %q (%s), want %q", got, answer.Get("error_description"), code)
	}
	if answer.Get("iss") != faces.DefaultIssuer || answer.Get("state") != state {
		t.Errorf("iss %q and state %q, want the issuer and %q", answer.Get("iss"), answer.Get("state"), state)
	}
	if answer.Has("code") {
		t.Error("an error came with a code")
	}
	for _, c := range answer.Get("error_description") {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("the description holds %q (RFC 6749 4.1.2.1)", c)
		}
	}
}

// wantPage checks that the browser got a page and was sent nowhere.
func wantPage(t *testing.T, p *faces.Page, status int, says string) {
	t.Helper()
	if p.Left != nil || p.Header.Get("Location") != "" {
		t.Fatalf("the browser was sent to %v, want a page", p.Left)
	}
	if p.Status != status || !strings.Contains(p.Body, says) {
		t.Errorf("status %d, want %d with a page that says %q:\n%s", p.Status, status, says, p.Body)
	}
	if status >= http.StatusBadRequest && strings.Contains(p.Body, "<form") {
		t.Error("the error page holds a form")
	}
	if got := p.Header.Get("Content-Security-Policy"); !strings.Contains(got, "frame-ancestors 'none'") {
		t.Errorf("the page can be framed: %q", got)
	}
}

// wantLogin checks that the browser is asked to sign in.
func wantLogin(t *testing.T, p *faces.Page) {
	t.Helper()
	if p.Left != nil || !strings.Contains(p.At, authz.PathLogin+"?") || p.Status != http.StatusOK {
		t.Fatalf("the browser is at %s with status %d (left %v), want the login page", p.At, p.Status, p.Left)
	}
}

// wantConsent checks that the browser is asked to agree.
func wantConsent(t *testing.T, p *faces.Page) {
	t.Helper()
	if p.Left != nil || !strings.Contains(p.At, authz.PathConsent+"?") || p.Status != http.StatusOK {
		t.Fatalf("the browser is at %s with status %d (left %v), want the consent page", p.At, p.Status, p.Left)
	}
}
