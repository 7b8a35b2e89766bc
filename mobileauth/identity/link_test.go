// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

func TestLink(t *testing.T) {
	t.Parallel()
	w := newHouse(t)
	first, err := w.Link(t.Context(), "corporate:7", map[string]string{"email": "a@example.com", "name": "A"})
	if err != nil {
		t.Fatal(err)
	}
	if first.Status != identity.Active || first.ExternalRef != "corporate:7" || len(first.Logins) != 0 || first.Version != 1 {
		t.Errorf("the user is %+v", first)
	}
	same, err := w.Link(t.Context(), "corporate:7", map[string]string{"name": "A"})
	if err != nil || same.ID != first.ID || same.Version != 1 {
		t.Errorf("the same person again is %+v (%v)", same, err)
	}
	changed, err := w.Link(t.Context(), "corporate:7", map[string]string{"name": "B"})
	if err != nil || changed.ID != first.ID || changed.Version != 2 {
		t.Errorf("the same person with another name is %+v (%v)", changed, err)
	}
	if diff := cmp.Diff(map[string]string{"email": "a@example.com", "name": "B"}, changed.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	other, err := w.Link(t.Context(), "corporate:8", nil)
	if err != nil || other.ID == first.ID {
		t.Errorf("another person is %+v (%v)", other, err)
	}
	if _, err := w.Lock(t.Context(), first.ID, "lost"); err != nil {
		t.Fatal(err)
	}
	if locked, err := w.Link(t.Context(), "corporate:7", nil); err != nil || locked.Status != identity.Locked {
		t.Errorf("a locked user is %+v (%v)", locked, err)
	}
}

func TestLinkRefuses(t *testing.T) {
	t.Parallel()
	w := newHouse(t)
	for _, tt := range []struct {
		name, ref  string
		attributes map[string]string
	}{
		{"no reference", "", nil},
		{"one that is too long", strings.Repeat("x", identity.MaxExternalRef+1), nil},
		{"one that is no text", "a\x00b", nil},
		{"an attribute that is too long", "a:b", map[string]string{"x": strings.Repeat("x", identity.MaxAttributeValue+1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var field *identity.FieldError
			if u, err := w.Link(t.Context(), tt.ref, tt.attributes); !errors.As(err, &field) {
				t.Errorf("Link = %+v, %v", u, err)
			}
		})
	}
}

// Somebody logs in for the first time from many devices at once: he is one user.
func TestLinkOnce(t *testing.T) {
	t.Parallel()
	w := newHouse(t)
	var group sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		group.Go(func() {
			u, err := w.Link(t.Context(), "corporate:7", map[string]string{"name": "A"})
			if err != nil {
				t.Error(err)
			}
			ids[i] = u.ID
		})
	}
	group.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one person is %q and %q", ids[0], id)
		}
	}
}
