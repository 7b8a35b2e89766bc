// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// RFC 9396 9.2: a resource server learns from introspection what was approved in detail, as the token has it.
func TestRFC9396_9_2(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	session, _ := w.login(t, "usr_1")
	plain := w.issue(t, "app", session, "accounts:read")
	if got := w.introspect(t, "api", plain.Access); strings.Contains(got, "authorization_details") {
		t.Errorf("without details: %s", got)
	}
	details, err := oauth.ParseDetails(`[{"type":"payment","amount":"1.00","to":"<Ann>"}]`)
	check(t, err)
	client, _ := w.clients.Find("app")
	minted, err := w.tokens.Access(tokens.Access{Client: client, Details: details, Grant: &plain.grant, At: w.store.Now()})
	check(t, err)
	for _, caller := range []string{"api", "all"} {
		if got := w.introspect(t, caller, minted.Token); !strings.Contains(got, `"authorization_details":[{"amount":"1.00","to":"\u003cAnn\u003e","type":"payment"}]`) {
			t.Errorf("%s learns %s", caller, got)
		}
	}
	if got := w.introspect(t, "api2", minted.Token); got != `{"active":false}` {
		t.Errorf("whom the token is not for learns %s", got)
	}
}

// The client of a refresh token learns what its grant is for.
func TestDetailsOfARefreshToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	session, _ := w.login(t, "usr_1")
	details, err := oauth.ParseDetails(`[{"type":"payment","amount":"1.00"}]`)
	check(t, err)
	now := w.store.Now()
	grant := authz.NewGrant(now, 24*time.Hour)
	grant.ClientID, grant.Subject, grant.SessionID, grant.Details = "web", "usr_1", session.ID, details
	code, record := authz.NewCode(now)
	record.ClientID, record.RedirectURI, record.GrantID, record.Challenge = "web", "https://app.example.com/cb", grant.ID, oauth.Challenge(verifier)
	_, err = w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	check(t, err)
	family := authz.NewFamily(now, time.Hour, time.Hour)
	_, err = w.store.Redeem(t.Context(), authz.Redemption{
		Code: code, ClientID: "web", RedirectURI: "https://app.example.com/cb", Verifier: verifier, Family: &family,
	})
	check(t, err)
	if got := w.introspect(t, "web", family.Token()); !strings.Contains(got, `"authorization_details":[{"amount":"1.00","type":"payment"}]`) {
		t.Errorf("the client learns %s", got)
	}
}
