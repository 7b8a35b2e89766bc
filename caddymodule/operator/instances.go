// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/caddymodule"
)

// Instance is an instance of an app that has registered itself as a client.
type Instance struct {
	ID          string `json:"client_id"`
	Application string `json:"application"`
	// InitialToken is the id of the initial access token that admitted it, and Authority the issuer of its software statement.
	InitialToken string            `json:"initial_token,omitempty"`
	Authority    string            `json:"authority,omitempty"`
	ClientIP     string            `json:"client_ip,omitempty"`
	CreatedAt    time.Time         `json:"created_at"`
	UpdatedAt    time.Time         `json:"updated_at,omitzero"`
	UsedAt       time.Time         `json:"used_at,omitzero"`
	ExpiresAt    time.Time         `json:"expires_at"`
	Metadata     metadata.Metadata `json:"metadata"`
}

// InitialToken is an initial access token. Token is there only in the answer to whoever had it issued.
type InitialToken struct {
	ID          string    `json:"id"`
	Token       string    `json:"token,omitempty"`
	Application string    `json:"application"`
	Note        string    `json:"note,omitempty"`
	Uses        int       `json:"uses"`
	Used        int       `json:"used"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
}

// InitialTokenRequest is what "POST /gatehouse/client-tokens" takes.
type InitialTokenRequest struct {
	Application string `json:"application"`
	Note        string `json:"note,omitempty"`
	// Uses is how many instances it may register. Default: 1.
	Uses int `json:"uses"`
	// Seconds is how long it may be used. Default: a day.
	Seconds int64 `json:"expires_in"`
}

// usualLife is how long an initial access token may be used unless told.
const usualLife = 24 * 60 * 60

var errNoRegistration = errors.New("the running configuration lets no app register")

func instances(app *caddymodule.App) (*registration.Store, error) {
	if s := app.Server().Instances(); s != nil {
		return s, nil
	}
	return nil, errNoRegistration
}

func instance(i *registration.Instance) Instance {
	return Instance{
		ID: i.ID, Application: i.Application(), InitialToken: i.InitialToken, Authority: i.Authority, ClientIP: i.ClientIP,
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt, UsedAt: i.UsedAt, ExpiresAt: i.ExpiresAt, Metadata: i.Metadata,
	}
}

func initialToken(t *registration.InitialToken, value string) InitialToken {
	return InitialToken{
		ID: t.ID, Token: value, Application: t.Application, Note: t.Note, Uses: t.Uses, Used: t.Used, CreatedAt: t.CreatedAt,
		ExpiresAt: t.ExpiresAt,
	}
}

func listInstances(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err != nil {
		return nil, err
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	found, err := store.List(r.Context(), registration.Query{
		Application: query.Get("application"), InitialToken: query.Get("initial_token"), After: query.Get("after"), Limit: most,
	})
	list := []Instance{}
	for i := range found {
		list = append(list, instance(&found[i]))
	}
	return list, err
}

func showInstance(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err != nil {
		return nil, err
	}
	i, err := store.Instance(r.Context(), r.PathValue("client"))
	return instance(&i), err
}

// deleteInstance takes an instance out: what it was issued is refused from the next request on.
func deleteInstance(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err == nil {
		err = store.Remove(r.Context(), r.PathValue("client"))
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil, err
}

func listInitialTokens(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err != nil {
		return nil, err
	}
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	found, err := store.InitialTokens(r.Context(), r.URL.Query().Get("after"), most)
	list := []InitialToken{}
	for i := range found {
		list = append(list, initialToken(&found[i], ""))
	}
	return list, err
}

func issueInitialToken(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err != nil {
		return nil, err
	}
	in := InitialTokenRequest{Uses: 1, Seconds: usualLife}
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	if in.Seconds < 1 || in.Seconds > int64(registration.MaxTokenTTL/time.Second) {
		in.Seconds = 0 // which the store refuses, and says why
	}
	t, value, err := store.Issue(r.Context(), registration.Order{
		Application: in.Application, Note: in.Note, Uses: in.Uses, TTL: time.Duration(in.Seconds) * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return initialToken(&t, value), nil
}

// revokeInitialToken ends an initial access token. The instances that it has registered stay.
func revokeInitialToken(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	store, err := instances(app)
	if err == nil {
		err = store.Withdraw(r.Context(), r.PathValue("id"))
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return nil, err
}
