// SPDX-License-Identifier: Apache-2.0

package identitystore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// links answers what it is told and records what it was asked.
type links struct {
	user       identity.User
	err        error
	ref        string
	attributes map[string]string
}

func (l *links) Link(_ context.Context, ref string, attributes map[string]string) (identity.User, error) {
	l.ref, l.attributes = ref, attributes
	return l.user, l.err
}

func TestLinker(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store is down")
	for _, tt := range []struct {
		name       string
		status     identity.Status
		err        error
		who        realm.Identity
		attributes map[string]string
		want       error
	}{
		{"a user", identity.Active, nil, realm.Identity{ExternalID: "7", Name: "A"}, map[string]string{"name": "A"}, nil},
		{"a user with attributes", identity.Active, nil, realm.Identity{ExternalID: "7", Name: "A", Attributes: map[string]string{"name": "Al", "x": "y"}},
			map[string]string{"name": "Al", "x": "y"}, nil},
		{"a user without a name", identity.Active, nil, realm.Identity{ExternalID: "7"}, nil, nil},
		{"a locked one", identity.Locked, nil, realm.Identity{ExternalID: "7"}, nil, realm.ErrLocked},
		{"a deactivated one", identity.Deactivated, nil, realm.Identity{ExternalID: "7"}, nil, realm.ErrLocked},
		{"the store is down", "", broken, realm.Identity{ExternalID: "7"}, nil, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := &links{user: identity.User{ID: "usr_a", Status: tt.status}, err: tt.err}
			subject, err := (&identitystore.Linker{Users: store}).Link(t.Context(), "corporate", tt.who)
			if !errors.Is(err, tt.want) || tt.err == nil && subject != "usr_a" {
				t.Errorf("Link = %q, %v, want %v", subject, err, tt.want)
			}
			if store.ref != "corporate:7" {
				t.Errorf("the user was looked for as %q", store.ref)
			}
			if diff := cmp.Diff(tt.attributes, store.attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		})
	}
}

// Two populations never share a user, whatever they are called and whatever ids they give.
func TestPopulationsAreApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, who := range [][2]string{{"a", "b:c"}, {"a:b", "c"}, {"a%3Ab", "c"}, {"a%", "3Ab:c"}, {"", "a:b:c"}} {
		store := &links{user: identity.User{ID: "usr_a", Status: identity.Active}}
		if _, err := (&identitystore.Linker{Users: store}).Link(t.Context(), who[0], realm.Identity{ExternalID: who[1]}); err != nil {
			t.Fatal(err)
		}
		if before, twice := seen[store.ref]; twice {
			t.Errorf("%q and %q are both %q", before, who, store.ref)
		}
		seen[store.ref] = who[0] + "/" + who[1]
	}
}
