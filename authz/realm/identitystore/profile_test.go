// SPDX-License-Identifier: Apache-2.0

package identitystore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// OIDC-Core/5.1 and 5.3.2.
func TestProfile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		attributes map[string]string
		want       map[string]any
	}{
		{"nothing known", nil, map[string]any{"preferred_username": "alice", "updated_at": int64(1767323045)}},
		{"everything", map[string]string{
			"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "email": "alice@example.com",
			"email_verified": "true", "phone_number": "+31201234567", "phone_number_verified": "false", "locale": "nl-NL",
			"preferred_username": "al", "address.locality": "Oxford", "address.country": "UK",
		}, map[string]any{
			"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell", "email": "alice@example.com",
			"email_verified": true, "phone_number": "+31201234567", "phone_number_verified": false, "locale": "nl-NL",
			"preferred_username": "al", "address": map[string]any{"locality": "Oxford", "country": "UK"},
			"updated_at": int64(1767323045),
		}},
		{"a name made of parts", map[string]string{"given_name": "Alice", "family_name": "Liddell"}, map[string]any{
			"name": "Alice Liddell", "given_name": "Alice", "family_name": "Liddell",
			"preferred_username": "alice", "updated_at": int64(1767323045),
		}},
		{"empty values are left out", map[string]string{"name": "", "email": "", "address": "", "address.region": ""},
			map[string]any{"preferred_username": "alice", "updated_at": int64(1767323045)}},
		{"what is not plainly true is not verified", map[string]string{"email_verified": "TRUE "},
			map[string]any{"email_verified": false, "preferred_username": "alice", "updated_at": int64(1767323045)}},
		{"an address in one piece", map[string]string{"address": "Christ Church\nOxford"}, map[string]any{
			"address": map[string]any{"formatted": "Christ Church\nOxford"}, "preferred_username": "alice", "updated_at": int64(1767323045),
		}},
		{"attributes of the operator's own stay inside", map[string]string{"salary": "1", "sub": "usr_eve", "iss": "x"},
			map[string]any{"preferred_username": "alice", "updated_at": int64(1767323045)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			user := alice()
			user.Attributes, user.UpdatedAt = tt.attributes, time.Unix(1767323045, 0)
			got, err := (&identitystore.Profiles{Users: &users{user: user}}).Profile(t.Context(), user.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected claims (-want +got):\n%s", diff)
			}
		})
	}
}

// Of somebody who is not known there is no profile, and no user is looked up: tokens of such a subject are good nevertheless.
func TestProfileOfAnAnonymousSubject(t *testing.T) {
	t.Parallel()
	profiles := &identitystore.Profiles{Users: &users{err: storage.ErrUnknown}}
	got, err := profiles.Profile(t.Context(), randid.New(realm.AnonymousPrefix))
	if diff := cmp.Diff(map[string]any{}, got); diff != "" || err != nil {
		t.Errorf("Profile = %v, %v, want no claims", got, err)
	}
	if _, err := profiles.Profile(t.Context(), "usr_anon_a"); err == nil {
		t.Error("a user is taken for nobody")
	}
}

func TestProfileOfNobody(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store broke")
	for _, tt := range []struct {
		name   string
		status identity.Status
		id     string
		err    error
		want   error
	}{
		{"unknown", identity.Active, "usr_other", nil, storage.ErrNotFound},
		{"locked", identity.Locked, "usr_alice", nil, storage.ErrNotFound},
		{"deactivated", identity.Deactivated, "usr_alice", nil, storage.ErrNotFound},
		{"broken store", identity.Active, "usr_alice", broken, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			user := alice()
			user.Status = tt.status
			got, err := (&identitystore.Profiles{Users: &users{user: user, err: tt.err}}).Profile(t.Context(), tt.id)
			if !errors.Is(err, tt.want) || got != nil {
				t.Errorf("Profile = %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestDisplayName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		user identity.User
		want string
	}{
		{"name", alice(), "Alice Liddell"},
		{"login", identity.User{ID: "usr_b", Profile: identity.Profile{Logins: []string{"bob"}}}, "bob"},
		{"id", identity.User{ID: "usr_b"}, "usr_b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := identitystore.DisplayName(&tt.user); got != tt.want {
				t.Errorf("DisplayName = %q, want %q", got, tt.want)
			}
		})
	}
}
