// SPDX-License-Identifier: Apache-2.0

package adapterauth_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/adapterauth"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

// question is what the back end is asked, as it reads it.
type question struct {
	Realm    string            `json:"realm"`
	Round    int               `json:"round"`
	State    *string           `json:"state"`
	Answers  map[string]string `json:"answers"`
	ClientIP string            `json:"client_ip"`
	Locale   string            `json:"locale"`
	Subject  string            `json:"subject"`
	Hint     string            `json:"hint"`
}

// backend is a back end that says one thing after the other, and remembers what it was asked.
type backend struct {
	t *testing.T

	mu    sync.Mutex
	says  []string   // guarded by mu
	asked []question // guarded by mu
	raw   []string   // guarded by mu
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var q question
	if err == nil {
		err = json.Unmarshal(text, &q)
	}
	if err != nil {
		b.t.Errorf("the question is %s: %v", text, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.raw = append(b.asked, q), append(b.raw, string(text))
	if len(b.says) == 0 {
		b.t.Errorf("the back end is asked once more: %s", text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, b.says[0]) // who does not wait for it is not told
	b.says = b.says[1:]
}

// questions returns what was asked so far.
func (b *backend) questions() []question {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked
}

// person is somebody who goes through a realm: what the realm keeps is kept for him.
type person struct {
	t      *testing.T
	auth   *adapterauth.Authenticator
	engine *realm.Engine
	in     realm.Input // what is known of him
	asked  *realm.Challenge
}

// newRealm returns a person before a realm whose back end says these things.
func newRealm(t *testing.T, c adapterauth.Config, says ...string) (*person, *backend) {
	t.Helper()
	b := &backend{t: t, says: says}
	return newPerson(t, c, callout.Config{}, b), b
}

func newPerson(t *testing.T, c adapterauth.Config, to callout.Config, handler http.Handler) *person {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	to.URL = server.URL
	client, err := callout.New(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c.Backend = client
	auth, err := adapterauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, auth: auth, engine: engine(t, auth, auth)}
}

// engine has two realms: partner, which determines the user, and again, which proves more.
func engine(t *testing.T, a realm.Authenticator, m realm.LoginModule) *realm.Engine {
	t.Helper()
	e, err := realm.New(realm.Config{
		Realms: []*realm.Realm{
			{Name: "partner", Authenticator: a, LoginModule: m, MaxAge: time.Hour},
			{Name: "again", Authenticator: a, LoginModule: m, MaxAge: time.Hour},
		},
		Identity: []string{"partner"}, Linker: linker{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// try goes through a round with answers, pairs of name and value, and with what came hidden.
func (p *person) try(name string, fields map[string]string) realm.Attempt {
	p.t.Helper()
	attempt, err := p.attempt(name, fields)
	if err != nil {
		p.t.Fatal(err)
	}
	return attempt
}

func (p *person) attempt(name string, fields map[string]string) (realm.Attempt, error) {
	in := p.in
	in.Fields = fields
	attempt, err := p.engine.Try(p.t.Context(), name, in)
	if fields != nil && in.State != nil {
		p.in.Spent = true
	}
	if p.asked = attempt.Challenge; p.asked != nil && p.asked.State != nil {
		p.in.State, p.in.Spent = p.asked.State, false
	}
	return attempt, err
}

// fields returns pairs of name and value as answers to what is asked now.
func (p *person) fields(pairs ...string) map[string]string {
	p.t.Helper()
	fields := map[string]string{}
	if p.asked == nil {
		p.t.Fatal("nothing is asked")
	}
	for _, f := range p.asked.Fields {
		if f.Type == "hidden" {
			fields[f.Name] = f.Value
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		fields[pairs[i]] = pairs[i+1]
	}
	return fields
}

// begin is the first round, and answer a further one.
func (p *person) begin() realm.Attempt { p.t.Helper(); return p.try("partner", nil) }

func (p *person) answer(pairs ...string) realm.Attempt {
	p.t.Helper()
	return p.try("partner", p.fields(pairs...))
}
