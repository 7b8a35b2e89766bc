// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// registration lets the instances of the bank's app register by a token of the operator's.
func (w *world) registration(db storage.DB) *server.Registration {
	return &server.Registration{
		DB: db, Admit: endpoint.AdmitEither, Unused: 10 * 24 * time.Hour,
		Reader: &metadata.Reader{
			Issuer: issuer, Algorithms: []jose.Algorithm{jose.ES256, jose.RS256}, Now: w.clock.Now,
			Applications: []*metadata.Application{{ID: "bank", Terms: authz.Client{
				Name: "The bank", RedirectURIs: []string{callback}, Grants: []authz.GrantType{authz.GrantAuthorizationCode, authz.GrantRefreshToken},
				Scopes: oauth.Scopes{"openid", "read", "offline_access"}, DefaultScopes: oauth.Scopes{"openid", "read"}, Audience: []string{api},
				FirstParty: true, Native: true, AccessTTL: 5 * time.Minute, RefreshTTL: 30 * 24 * time.Hour, RefreshIdleTTL: 14 * 24 * time.Hour,
			}}},
		},
	}
}

// installation is the bank's app on a device.
type installation struct {
	*client.Client
	t    *testing.T
	w    *world
	api  *http.Client
	kept []client.Instance
}

func (w *world) installed(t *testing.T, uses int) *installation {
	t.Helper()
	_, initial, err := w.next().server.Instances().Issue(t.Context(), registration.Order{Application: "bank", Uses: uses, TTL: 365 * 24 * time.Hour})
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a := &installation{t: t, w: w}
	a.Client, err = client.New(client.Config{
		Issuer: issuer, HTTP: &http.Client{Transport: w}, Now: w.clock.Now,
		Handlers: map[string]client.Handler{
			"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) { return right["password"][0], nil }),
		},
		Registration: &client.Registration{
			Key: key, InitialToken: initial, Metadata: map[string]any{
				"software_id": "bank", "software_version": "1.0", "grant_types": []string{"authorization_code", "refresh_token"}, "scope": "openid read offline_access",
			},
			Keep: func(_ context.Context, i client.Instance) error { a.kept = append(a.kept, i); return nil },
		},
	})
	must(t, err)
	a.api = &http.Client{Transport: a.Transport(w)}
	return a
}

// calls has the app call the API, and returns the status or the error.
func (a *installation) calls() (int, error) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodGet, api+"/", http.NoBody)
	must(a.t, err)
	response, err := a.api.Do(r)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func (a *installation) wantCalls(what string) {
	a.t.Helper()
	if status, err := a.calls(); status != http.StatusOK || err != nil {
		a.t.Errorf("%s: %d, %v", what, status, err)
	}
}

// An installed app does nothing special: its first call registers it, and it goes on from there. What the operator deletes is out on
// every node, and the app, which does not know it, registers again once and goes on, unnoticed.
func TestAnInstallationRegistersAndComesBack(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.installed(t, 2)
		a.wantCalls("the first call")
		if len(a.kept) != 1 {
			t.Fatalf("registered are %+v", a.kept)
		}
		first, tokens := a.kept[0], a.Tokens()
		if claims := claimsOf(t, tokens.Access); claims["client_id"] != first.ClientID || claims["sub"] != w.alice.ID {
			t.Errorf("the token is of %v", claims)
		}
		w.clock.Advance(6 * time.Minute)
		a.wantCalls("after a refresh")
		tokens = a.Tokens()
		must(t, w.next().server.Instances().Remove(t.Context(), first.ClientID))
		w.settle(t)
		for range w.nodes {
			want(t, "a token of the instance", w.call(t, api+"/", tokens.Access).status, http.StatusUnauthorized)
			want(t, "its registration", w.call(t, first.URI, first.Token).status, http.StatusUnauthorized)
			if b := w.form(t, "/introspect", "machine", "token", tokens.Access); b.body["active"] != false {
				t.Errorf("introspection says %v", b.body)
			}
		}
		if grants, err := w.store.GrantsOf(t.Context(), w.alice.ID); err != nil || len(grants) != 0 {
			t.Errorf("the grants are %v, %v", grants, err)
		}
		w.clock.Advance(time.Second)
		a.wantCalls("after it was deleted")
		if len(a.kept) != 2 || a.kept[1].ClientID == first.ClientID {
			t.Fatalf("registered are %+v", a.kept)
		}
		// The operator does not want it back: the token has no use left, and nobody makes a loop.
		must(t, w.next().server.Instances().Remove(t.Context(), a.kept[1].ClientID))
		w.settle(t)
		w.clock.Advance(time.Second)
		_, err := a.calls()
		if e := (*client.Error)(nil); !errors.As(err, &e) || e.Code != "invalid_token" || len(a.kept) != 2 {
			t.Errorf("the call ended with %v, registered are %+v", err, a.kept)
		}
	})
}

// An instance that is used stays for as long as it is; one that lies unused is forgotten, and comes back as another.
func TestUnusedInstallationsAreForgotten(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		used, unused := w.installed(t, 2), w.installed(t, 2)
		used.wantCalls("the first call")
		unused.wantCalls("the first call")
		for range 4 {
			w.clock.Advance(5 * 24 * time.Hour)
			used.wantCalls("a call every few days")
		}
		if len(used.kept) != 1 {
			t.Errorf("the one that is used is registered as %+v", used.kept)
		}
		instances := w.next().server.Instances()
		if _, err := instances.Instance(t.Context(), unused.kept[0].ClientID); !authz.Gone(err) {
			t.Errorf("the one that is not is still there: %v", err)
		}
		unused.wantCalls("after being forgotten")
		if len(unused.kept) != 2 {
			t.Errorf("the one that was forgotten is registered as %+v", unused.kept)
		}
	})
}

// Whoever is refused for another reason than being unknown registers nothing.
func TestAClockThatIsOffRegistersNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.installed(t, 5)
		a.wantCalls("the first call")
		now := w.clock.Now
		slow, err := client.New(client.Config{
			Issuer: issuer, HTTP: &http.Client{Transport: w}, Now: func() time.Time { return now().Add(-time.Hour) }, Handlers: map[string]client.Handler{},
			Registration: &client.Registration{
				Key: freshKey(t), Instance: a.kept[0], Keep: func(context.Context, client.Instance) error { return errors.New("kept") },
			},
		})
		must(t, err)
		_, err = slow.Authorize(t.Context(), client.Request{})
		if e := (*client.Error)(nil); !errors.As(err, &e) || e.Code != "invalid_client" {
			t.Errorf("Authorize = %v", err)
		}
	})
}

func freshKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// A browser may be sent to an instance as to every client, and after the instance is deleted it is sent nowhere.
func TestAnInstanceInABrowser(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		a := w.installed(t, 1)
		_, initial, err := w.next().server.Instances().Issue(t.Context(), registration.Order{Application: "bank", Uses: 1, TTL: time.Hour})
		must(t, err)
		key, err := jose.GenerateKey(jose.ES256)
		must(t, err)
		keys, err := jose.MarshalSet([]jose.PublicKey{key.Public()})
		must(t, err)
		body, err := json.Marshal(map[string]any{"software_id": "bank", "redirect_uris": []string{callback}, "jwks": json.RawMessage(keys)})
		must(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/register", bytes.NewReader(body))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+initial)
		made := w.send(t, r)
		want(t, "registering", made.status, http.StatusCreated)
		id := made.text("client_id")
		b := w.browser(t)
		login := b.get(authorize(id))
		p := b.login(login)
		if p.url.Query().Get("code") == "" {
			t.Fatalf("no code at %s:\n%s", p.url, p.body)
		}
		open := b.get(authorize(id, "prompt", "login"))
		must(t, a.w.next().server.Instances().Remove(t.Context(), id))
		if p := b.get(authorize(id)); p.status != http.StatusBadRequest || p.url.Host != "auth.example.com" {
			t.Errorf("it is sent to %s with %d", p.url, p.status)
		}
		if p := b.login(open); p.status != http.StatusBadRequest || p.url.Host != "auth.example.com" {
			t.Errorf("what was begun before is sent to %s with %d", p.url, p.status)
		}
	})
}
