// SPDX-License-Identifier: Apache-2.0

package grants_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// off are the versions that are switched off.
type off map[string]bool

func (o off) Disabled(_, _, version string) bool { return o[version] }

// with makes a grant for a version of an app, and returns its code.
func (w *world) with(t *testing.T, version string) string {
	t.Helper()
	_, like := w.code(t, allowance{})
	grant := like
	grant.ID = randid.New("gra")
	grant.Authn.Application = &realm.Application{ID: "bank", Platform: "ios", Version: version}
	code, record := authz.NewCode(w.store.Now())
	record.ClientID, record.RedirectURI, record.GrantID = "app", redirect, grant.ID
	record.Challenge = oauth.Challenge(verifier)
	_, err := w.store.Complete(t.Context(), authz.Completion{Grant: grant, Code: record})
	check(t, err)
	return code
}

func TestVersionThatIsSwitchedOffGetsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	switched := off{}
	h := w.node(t, func(c *grants.Config) { c.Applications = switched })
	a := exchange(t, h, "app", w.with(t, "1.0")).ok(t)
	app := map[string]any{"id": "bank", "platform": "ios", "version": "1.0"}
	for name, token := range map[string]string{"access token": a.Access, "ID token": a.ID} {
		if diff := cmp.Diff(app, w.claims(t, token)["application"]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	waiting, events := w.with(t, "1.0"), len(w.events(t))
	switched["1.0"] = true
	for name, b := range map[string]answer{"refresh": renew(t, h, "app", a.Refresh), "code": exchange(t, h, "app", waiting)} {
		b.refused(t, oauth.InvalidGrant, 400)
		if !strings.Contains(b.raw, "this version of the app is not accepted any more") {
			t.Errorf("%s: the app is not told what is wrong: %s", name, b.raw)
		}
	}
	if got := len(w.events(t)); got != events || len(w.revocations()) != 0 {
		t.Errorf("the trail says that something was issued or revoked: %v", w.events(t))
	}
	exchange(t, h, "app", w.with(t, "2.0")).ok(t)
	delete(switched, "1.0")
	renew(t, h, "app", a.Refresh).ok(t)
}
