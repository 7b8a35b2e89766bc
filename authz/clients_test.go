// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/storage"
)

// newClient returns a public client of the code flow that may be registered.
func newClient(id string, change ...func(*authz.Client)) *authz.Client {
	c := &authz.Client{
		ID: id, Auth: authz.AuthNone, RedirectURIs: []string{redirect},
		Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
		Scopes: scopes, DefaultScopes: scopes[:1], Audience: []string{"https://api.example.com"},
		AccessTTL: 5 * time.Minute, RefreshTTL: familyTTL, RefreshIdleTTL: familyIdle,
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func TestNewClients(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		clients []*authz.Client
		want    string
	}{
		{"none", nil, ""},
		{"several", []*authz.Client{newClient(app), newClient(other)}, ""},
		{"ids differ by case", []*authz.Client{newClient("app"), newClient("APP")}, ""},
		{"twice the same id", []*authz.Client{newClient(app), newClient(app)}, "twice"},
		{"a site's id", []*authz.Client{newClient("site:https://app.example.com")}, "protected sites"},
		{"the beginning of a site's id", []*authz.Client{newClient("site:")}, "protected sites"},
		{"one that must not be registered", []*authz.Client{newClient(app), newClient("")}, "no id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			registry, err := authz.NewClients(authz.Sites{}, tt.clients...)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || registry != nil {
					t.Errorf("registry is %v, error is %v, want a word on %q", registry, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("the clients are refused: %v", err)
			}
			for _, c := range tt.clients {
				if got, ok := registry.Find(c.ID); !ok || got != c {
					t.Errorf("under %q there is %+v", c.ID, got)
				}
			}
			for _, id := range []string{"", "unknown", "app ", "App"} {
				if got, ok := registry.Find(id); ok {
					t.Errorf("under %q there is %+v", id, got)
				}
			}
		})
	}
}

func TestAudiences(t *testing.T) {
	t.Parallel()
	sites := authz.Sites{Audience: []string{"https://auth.example.com"}}
	registry, err := authz.NewClients(sites, newClient(app), newClient(other, func(c *authz.Client) {
		c.Audience = []string{"https://z.example.com", "https://api.example.com", "https://a.example.com"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://a.example.com", "https://api.example.com", "https://auth.example.com", "https://z.example.com"}
	for range 2 { // asking changes nothing
		if diff := cmp.Diff(want, registry.Audiences()); diff != "" {
			t.Errorf("audiences (-want +got):\n%s", diff)
		}
	}
	equal(t, "audiences of the sites", len(sites.Audience), 1)
}

// instances are those that have registered, by their ids; a nil one cannot be read.
type instances map[string]*authz.Client

var errDown = errors.New("the store is down")

func (i instances) Client(_ context.Context, id string) (*authz.Client, error) {
	c, ok := i[id]
	switch {
	case !ok:
		return nil, storage.ErrNotFound
	case c == nil:
		return nil, errDown
	}
	return c, nil
}

func (i instances) Used(ctx context.Context, id string) error {
	_, err := i.Client(ctx, id)
	return err
}

// Only for what cannot be a configured client the store is read.
func TestLookup(t *testing.T) {
	t.Parallel()
	shadow := newClient("ins_configured")
	known := newClient(app)
	without, err := authz.NewClients(authz.Sites{}, known, shadow)
	if err != nil {
		t.Fatal(err)
	}
	instance := newClient("ins_a")
	with := without.With(instances{"ins_a": instance, "ins_down": nil, app: nil, "ins_configured": nil, "other": instance}, []string{"https://apps.example.com"})
	for _, tt := range []struct {
		name     string
		registry *authz.Clients
		id       string
		found    *authz.Client
		want     func(error) bool
	}{
		{"a configured one", with, app, known, nil},
		{"a configured one with the id of an instance", with, "ins_configured", shadow, nil},
		{"an instance", with, "ins_a", instance, nil},
		{"an instance that is not there", with, "ins_b", nil, authz.Gone},
		{"an instance that cannot be read", with, "ins_down", nil, func(err error) bool { return errors.Is(err, errDown) }},
		{"an id that no instance has", with, "other", nil, authz.Gone},
		{"an instance where nobody registers", without, "ins_a", nil, authz.Gone},
		{"nobody", without, "", nil, authz.Gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.registry.Lookup(t.Context(), tt.id)
			if tt.want == nil && err != nil || tt.want != nil && !tt.want(err) || got != tt.found {
				t.Errorf("found is %+v, %v", got, err)
			}
		})
	}
	if _, ok := with.Find("ins_a"); ok {
		t.Error("an instance passes for a configured client")
	}
	if err := with.Used(t.Context(), &authz.Client{ID: "ins_b"}); !authz.Gone(err) {
		t.Errorf("one that has gone is used: %v", err)
	}
	if err := with.Used(t.Context(), instance); err != nil {
		t.Errorf("an instance cannot be used: %v", err)
	}
	want := []string{"https://api.example.com", "https://apps.example.com"}
	if diff := cmp.Diff(want, with.Audiences()); diff != "" {
		t.Errorf("audiences (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:1], without.Audiences()); diff != "" {
		t.Errorf("audiences of those without instances (-want +got):\n%s", diff)
	}
}
