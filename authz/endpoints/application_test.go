// SPDX-License-Identifier: Apache-2.0

package endpoints_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// off are the versions that are switched off.
type off map[string]bool

func (o off) Disabled(_, _, version string) bool { return o[version] }

// TestIntrospectionTellsWhatTheClientHasShown: the grade of the instance that a token was issued to, which is not what its user's device has
// shown.
func TestIntrospectionTellsWhatTheClientHasShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	for client, want := range map[string]any{"attested": "tee", "web": nil} {
		var body map[string]any
		check(t, json.Unmarshal([]byte(w.introspect(t, "api", w.issue(t, client, s, "accounts:read").Access)), &body))
		if body["client_attestation"] != want || body["attestation"] != nil {
			t.Errorf("%s: %v", client, body)
		}
	}
}

func TestIntrospectionNamesTheApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, _ := w.login(t, "usr_1")
	grant := w.issue(t, "web", s, "accounts:read").grant
	grant.ID = randid.New("gra")
	grant.Authn.Application = &realm.Application{ID: "bank", Platform: "ios", Version: "1.0"}
	code, record := authz.NewCode(w.store.Now())
	record.ClientID, record.RedirectURI, record.GrantID = "web", "https://app.example.com/cb", grant.ID
	record.Challenge = oauth.Challenge(verifier)
	_, err := w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	check(t, err)
	var got issued
	check(t, json.Unmarshal(w.redeem(t, "web", code).Body.Bytes(), &got))
	var body map[string]any
	check(t, json.Unmarshal([]byte(w.introspect(t, "api", got.Access)), &body))
	if diff := cmp.Diff(map[string]any{"id": "bank", "platform": "ios", "version": "1.0"}, body["application"]); diff != "" {
		t.Error(diff)
	}
	switched := off{}
	w.handler.Applications = switched
	if !w.active(t, "web", got.Refresh) {
		t.Error("a refresh token is dead before its version is switched off")
	}
	switched["1.0"] = true
	if w.active(t, "web", got.Refresh) {
		t.Error("a refresh token is alive after its version was switched off")
	}
	delete(switched, "1.0")
	if !w.active(t, "web", got.Refresh) {
		t.Error("a refresh token is dead although its version is back")
	}
}
