// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// instances has one that has registered itself, and what finding and using it leads to.
type instances struct {
	client *authz.Client
	find   error
	use    error
	used   int
}

func (i *instances) Client(_ context.Context, id string) (*authz.Client, error) {
	if i.find != nil {
		return nil, i.find
	}
	if id != i.client.ID {
		return nil, storage.ErrNotFound
	}
	return i.client, nil
}

func (i *instances) Used(context.Context, string) error {
	i.used++
	return i.use
}

// An instance authenticates as every client does, and is noted to be in use; one that went meanwhile is unknown.
func TestInstances(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		find, use error
		id        string
		code      oauth.Code
		used      int
		outcome   string
	}{
		{"known", nil, nil, "ins_a", "", 1, "private_key_jwt accepted"},
		{"unknown", nil, nil, "ins_b", oauth.InvalidClient, 0, "private_key_jwt refused"},
		{"gone meanwhile", nil, storage.ErrNotFound, "ins_a", oauth.InvalidClient, 1, "private_key_jwt refused"},
		{"cannot be found", storage.ErrUnavailable, nil, "ins_a", oauth.TemporarilyUnavailable, 0, "private_key_jwt failed"},
		{"cannot be noted", nil, storage.ErrUnavailable, "ins_a", oauth.TemporarilyUnavailable, 1, "private_key_jwt failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			key := f.keys[jose.ES256]
			registered := &instances{
				client: &authz.Client{ID: "ins_a", Auth: authz.AuthPrivateKeyJWT, Keys: []jose.PublicKey{key.Public()}, Registered: true},
				find:   tt.find, use: tt.use,
			}
			f.auth.Clients = f.auth.Clients.With(registered, nil)
			raw := sign(t, key, "", f.with(map[string]any{"iss": tt.id, "sub": tt.id}))
			want := tt.id
			if tt.code != "" {
				want = ""
			}
			f.want(t, asserted(raw), want, tt.code)
			if registered.used != tt.used || f.outcomes[0] != tt.outcome {
				t.Errorf("used %d times, observed %q", registered.used, f.outcomes)
			}
			f.want(t, attempt{header: []string{basic("basic", secret)}}, "basic", "") // configured clients need none of it
		})
	}
	f := newFixture(t)
	registered := &instances{client: &authz.Client{ID: "ins_a", Auth: authz.AuthPrivateKeyJWT, Registered: true}}
	f.auth.Clients = f.auth.Clients.With(registered, nil)
	f.want(t, attempt{body: form("client_id", "ins_a")}, "", oauth.InvalidClient)
	f.want(t, attempt{body: form("client_id", "ins_a", "client_secret", "x")}, "", oauth.InvalidClient)
	if registered.used != 0 {
		t.Error("who does not authenticate uses it")
	}
}

// Each assertion of an instance is remembered for as long as it lasts, and anybody may have an instance: an address has only so many
// remembered. Configured clients are the operator's own.
func TestInstancesCannotFillTheStore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	remembering, err := limit.New(limit.Config{Burst: 3, Every: time.Minute, Keys: 10, Now: f.clock.Now})
	check(t, err)
	f.auth.Remembering = remembering
	key := f.keys[jose.ES256]
	f.auth.Clients = f.auth.Clients.With(&instances{
		client: &authz.Client{ID: "ins_a", Auth: authz.AuthPrivateKeyJWT, Keys: []jose.PublicKey{key.Public()}, Registered: true},
	}, nil)
	asking := func(id string) attempt {
		return asserted(sign(t, key, "", f.with(map[string]any{"iss": id, "sub": id})))
	}
	for range 3 {
		f.want(t, asking("ins_a"), "ins_a", "")
	}
	_, err = f.try(t, asking("ins_a"))
	if e := oauth.AsError(err); e.HTTPStatus() != 429 || e.RetryAfter != time.Minute {
		t.Errorf("one more: %v", err)
	}
	elsewhere := asking("ins_a")
	elsewhere.ip = "192.0.2.2"
	f.want(t, elsewhere, "ins_a", "")
	for range 10 {
		f.want(t, asking("signed"), "signed", "")
	}
}
