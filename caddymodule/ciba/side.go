// SPDX-License-Identifier: Apache-2.0

package ciba

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Realm is one of the configuration's: its name and its parts.
type Realm struct {
	Name                  string
	Authenticator, Module json.RawMessage
}

// phoneRealm is what the configuration of a realm says that asks a phone.
type phoneRealm struct {
	Type string `json:"type"`
	phones.Realm
}

// fallback is how far the realm's type may fall back: to nothing that proves less, since the proof is that of the realm.
func (r *phoneRealm) fallback() mobiletype.Fallbacks {
	if f := mobiletype.Fallbacks(r.Fallback); f == mobiletype.NoFallback {
		return f
	}
	return mobiletype.SameOrHigher
}

// Side is the back channel of one configuration. It is made before the mobile side, and asks people once it was given that. A nil one
// is that of a configuration in which no client asks.
type Side struct {
	users  *identity.Store
	hasher *identity.Hasher
	outbox *outbox.Outbox
	phones *phones.Phones
	// asks says how each realm asks, realms are their names in the order of preference.
	asks   map[string]phoneRealm
	realms []string
	// terms are what each client is registered for, by its id.
	terms  map[string]*terms.Terms
	digits int
}

// Wishes is what a configuration says about it, collected while its realms and clients are read.
type Wishes struct {
	realms  map[string]Realm
	configs map[string]*Config
}

// Realm notes the parts of a realm, which have not been loaded yet.
func (w *Wishes) Realm(name string, authenticator, module json.RawMessage) {
	if w.realms == nil {
		w.realms = map[string]Realm{}
	}
	w.realms[name] = Realm{Name: name, Authenticator: authenticator, Module: module}
}

// Client notes what a client is to be registered for; nil is nothing. It reports whether it is anything.
func (w *Wishes) Client(id string, c *Config) bool {
	if c == nil {
		return false
	}
	if w.configs == nil {
		w.configs = map[string]*Config{}
	}
	w.configs[id] = c
	return true
}

// Parts is what a side is made of. Users and Hasher are required before anybody is asked.
type Parts struct {
	Users *identity.Store
	// Hasher is that of the users' passwords.
	Hasher *identity.Hasher
	// Clients are all there are.
	Clients *authz.Clients
	// Identity names the realms that determine the user, the preferred one first.
	Identity []string
	// Mobile says which types there are.
	Mobile *phones.Config
	// ScopeTexts say what the operator's own scopes allow.
	ScopeTexts map[string]string
	// Read returns a file of keys. Without users it is not called: what contradicts itself is found all the same.
	Read func(path string) ([]byte, error)
}

var (
	errNoPhones = errors.New("it asks people on their phones, for which mobile needs a type that asks over push")
	errNoRealm  = errors.New("it asks people on their phones: user_identity needs a realm with \"authenticator mobile\" whose type asks over push")
	errNoClient = errors.New("there is no such client")
	errNoOpenID = errors.New("openid has to be among its scopes, since each of its requests names it")
	errNumber   = errors.New("no_number contradicts the least number of digits in mobile number_match")
)

// Side returns the back channel, nil where no client asks.
func (w *Wishes) Side(p Parts) (*Side, error) {
	if len(w.configs) == 0 {
		return nil, nil
	}
	s := &Side{users: p.Users, hasher: p.Hasher, asks: map[string]phoneRealm{}, terms: map[string]*terms.Terms{}}
	if p.Users == nil {
		p.Read = nil
	}
	unfit := s.readRealms(w, &p)
	for _, id := range slices.Sorted(maps.Keys(w.configs)) {
		err := unfit
		if err == nil {
			s.terms[id], err = w.configs[id].fit(id, &p)
		}
		if err != nil {
			return nil, fmt.Errorf("client %q: backchannel: %w", id, err)
		}
	}
	return s, nil
}

// fit returns what a client is registered for, if that fits the client and the phones.
func (c *Config) fit(id string, p *Parts) (*terms.Terms, error) {
	client, found := p.Clients.Find(id)
	switch {
	case !found:
		return nil, errNoClient
	case !client.Scopes.Has(oauth.ScopeOpenID):
		return nil, errNoOpenID
	case c.NoNumber && p.Mobile.LeastNumberMatch > 0:
		return nil, errNumber
	}
	if err := p.fits(client); err != nil {
		return nil, err
	}
	return c.Terms(client, p.Read)
}

// fits refuses a client of somebody else's of which a phone cannot show all that it may be allowed at once.
func (p *Parts) fits(client *authz.Client) error {
	if client.FirstParty {
		return nil
	}
	scopes := client.Scopes.Without(oauth.ScopeOpenID)
	if len(scopes) > shown.MaxFields {
		return fmt.Errorf("it may ask for %d scopes beside openid, and a phone shows %d: give it fewer, or make it first_party", len(scopes), shown.MaxFields)
	}
	for _, scope := range scopes {
		if _, err := shown.Text("description", cmp.Or(p.ScopeTexts[scope], scope), shown.Content{Most: shown.MaxValue}); err != nil {
			return fmt.Errorf("a phone shows what scope %q allows: %w", scope, err)
		}
	}
	return nil
}

// readRealms finds the realms that can be proven: an SMS code has nowhere to be typed, and who scans is not known before.
func (s *Side) readRealms(w *Wishes, p *Parts) error {
	if p.Mobile == nil {
		return errNoPhones
	}
	set, err := p.Mobile.Set()
	if err != nil {
		return err
	}
	s.digits = max(cmp.Or(p.Mobile.NumberMatch, operation.MinNumber), p.Mobile.LeastNumberMatch)
	for _, name := range p.Identity {
		var c phoneRealm
		r := w.realms[name]
		if json.Unmarshal(r.Authenticator, &c) != nil || c.Type != phones.Authenticator || r.Module != nil {
			continue
		}
		if t, known := set.Get(c.MobileType); known && t.Channel() == mobiletype.ByPush {
			s.asks[r.Name] = c
			s.realms = append(s.realms, r.Name)
		}
	}
	if len(s.realms) == 0 {
		return errNoRealm
	}
	return nil
}

// Use gives it the mobile side, before the first request.
func (s *Side) Use(p *phones.Phones) {
	if s != nil {
		s.phones = p
	}
}

// Server returns what the authorization server needs, over a store that may be opened later.
func (s *Side) Server(db storage.DB, sealer storage.Sealer, o *outbox.Outbox) *server.Backchannel {
	if s == nil {
		return nil
	}
	s.outbox = o
	b := &server.Backchannel{
		DB: db, Sealer: sealer, Outbox: o, Phone: (*phone)(s), People: (*people)(s), Realms: s.realms, Terms: s.terms,
	}
	for _, t := range s.terms {
		if t.UserCode {
			b.Codes = (*codes)(s)
		}
	}
	return b
}

// Hooks are what operations tell of their changes.
func (s *Side) Hooks() []func(storage.Tx, operation.Change) error {
	if s == nil {
		return nil
	}
	return []func(storage.Tx, operation.Change) error{s.changed}
}

// changed has a request looked at whose question has ended, in the transaction of the change.
func (s *Side) changed(tx storage.Tx, c operation.Change) error {
	o := &c.Operation
	if c.What != operation.Ended || !backchannel.IsRequest(o.ExternalID) {
		return nil
	}
	item, err := backchannel.Item(o.ExternalID, o.ID+".ended", o.EndedAt)
	if err != nil {
		return err
	}
	return s.outbox.Append(tx, item)
}
