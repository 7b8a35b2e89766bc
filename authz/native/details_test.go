// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

const (
	payAnn = `[{"type":"payment_initiation","to":"Ann"}]`
	payBob = `[{"type":"payment_initiation","to":"Bob"}]`
)

func detailed(t testing.TB) *faces.World {
	t.Helper()
	schema := []byte(`{"properties":{"to":{"type":"string"}},"required":["to"]}`)
	registry, err := details.New(
		details.Type{Name: "payment_initiation", Realms: []string{"pin"}, Schema: schema, Messages: map[string]string{"": "Pay {to}"}},
		details.Type{Name: "account_information", Schema: schema, Messages: map[string]string{"": "Show {to}"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return faces.New(t, faces.Options{Seed: 11, Details: registry})
}

// RFC 9396 at the authorization challenge endpoint: an app's request is approved by the realm its details name, each by itself.
func TestRFC9396Details(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	a := w.App(t)
	a.SignIn(faces.AliceLogin)
	a.Ask("authorization_details", payAnn).Asks("pin")
	a.Answer(pin("0000")).Asks("pin")
	grant := redeem(t, w, "mobile", a.Answer(pin(faces.PIN)).Granted())
	equal(t, "what was granted", grant.Details.String(), `[{"to":"Ann","type":"payment_initiation"}]`)
	w.Clock.Advance(time.Second)
	a.Ask("authorization_details", payAnn).Asks("pin") // once more is another approval
	a.Ask("authorization_details", payBob).Asks("pin") // and this takes its place
	grant = redeem(t, w, "mobile", a.Answer(pin(faces.PIN)).Granted())
	equal(t, "what was granted", grant.Details.String(), `[{"to":"Bob","type":"payment_initiation"}]`)
}

func TestRFC9396DetailsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := detailed(t)
	a := w.App(t)
	a.SignIn(faces.AliceLogin)
	for _, text := range []string{"{", `[{"type":"other"}]`, `[{"type":"payment_initiation"}]`} {
		a.Ask("authorization_details", text).Refuses(http.StatusBadRequest, "invalid_authorization_details")
	}
	// There is no page on which somebody could agree.
	a.Ask("authorization_details", `[{"type":"account_information","to":"Ann"}]`).Refuses(http.StatusBadRequest, "consent_required")
	newWorld(t).App(t).Ask("authorization_details", payAnn).Refuses(http.StatusBadRequest, "invalid_authorization_details")
}
