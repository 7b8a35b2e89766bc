// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// fragile is a realm that takes everybody, and whose proofs fall when they have been asked about a number of times.
type fragile struct{ stands int }

func (f *fragile) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if in.Fields == nil {
		return realm.Credentials{}, &realm.Challenge{Message: "Once more"}, nil
	}
	return realm.Credentials{}, nil, nil
}

func (f *fragile) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{Status: realm.Accepted}, nil
}

func (f *fragile) Stands(realm.Proof) bool {
	f.stands--
	return f.stands >= 0
}

// A proof that falls in the instant before the code is asked for again: nothing is broken, and the application hears nothing.
func TestAProofThatFallsBeforeTheCode(t *testing.T) {
	t.Parallel()
	guest := &fragile{stands: 1 << 20}
	w := faces.New(t, faces.Options{Seed: 5, Realms: []*realm.Realm{
		{Name: "fragile", MaxAge: time.Hour, Authenticator: guest, LoginModule: guest},
	}})
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	b.Submit(b.Authorize(faces.Params("acr_values", "fragile"))).Code()
	b.Authorize(faces.Params("acr_values", "fragile")).Code() // it still counts
	guest.stands = 1
	page := b.Authorize(faces.Params("acr_values", "fragile"))
	wantPage(t, page, http.StatusOK, "Once more")
	guest.stands = 1 << 20
	b.Submit(page).Code()
}
