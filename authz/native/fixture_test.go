// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func newWorld(t testing.TB) *faces.World {
	t.Helper()
	return faces.New(t, faces.Options{Seed: 11})
}

// equal compares two comparable values.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// pin answers the pin realm.
func pin(value string) faces.Answers { return faces.Answers{"pin": {"pin": value}} }

// answer answers the riddle realm.
func answer(value string) faces.Answers { return faces.Answers{"riddle": {"answer": value}} }

// together are answers to several realms at once.
func together(all ...faces.Answers) faces.Answers {
	one := faces.Answers{}
	for _, answers := range all {
		maps.Copy(one, answers)
	}
	return one
}

// right are the right passwords of two people.
var (
	alice = faces.ByPassword(faces.AliceLogin, faces.Password)
	bob   = faces.ByPassword(faces.BobLogin, faces.Password)
)

// redeem redeems a code as the token endpoint does, and returns its grant.
func redeem(t testing.TB, w *faces.World, client, code string) authz.Grant {
	t.Helper()
	result, err := w.Store.Redeem(t.Context(), authz.Redemption{Code: code, ClientID: client, Verifier: faces.Verifier})
	if err != nil || result.Outcome != authz.Redeemed {
		t.Fatalf("redeeming ends with %q (%v)", result.Outcome, err)
	}
	return result.Grant
}

// sessions returns the live sessions of a user.
func sessions(t testing.TB, w *faces.World, subject string) []authz.Session {
	t.Helper()
	all, err := w.Store.SessionsOf(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// wantProven checks which realms the only session of a user has proven; none means that there is no session.
func wantProven(t testing.TB, w *faces.World, subject string, realms ...string) {
	t.Helper()
	var got []string
	all := sessions(t, w, subject)
	if len(all) > 1 {
		t.Fatalf("%s has %d sessions", subject, len(all))
	}
	for _, s := range all {
		got = slices.Sorted(maps.Keys(s.Proofs))
	}
	if diff := cmp.Diff(realms, got); diff != "" {
		t.Errorf("what %s has proven (-want +got):\n%s", subject, diff)
	}
}

// wantFailure checks what one realm says of an answer, and returns what it asks.
func wantFailure(t testing.TB, r *faces.Reply, realm, code string) *faces.Asked {
	t.Helper()
	asked := r.Challenges[realm]
	if asked == nil || asked.Failure == nil || asked.Failure.Code != code {
		t.Fatalf("%s does not say %q: %d\n%s", realm, code, r.Status, r.Body)
	}
	return asked
}
