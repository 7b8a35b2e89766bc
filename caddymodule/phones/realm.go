// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Authenticator is the name of the authenticator that asks people on their phones.
const Authenticator = "mobile"

// Realm says how a realm asks people on their phones.
type Realm struct {
	// The mobile type by which people are asked.
	MobileType string `json:"mobile_type,omitempty"`
	// The mobile types that people may choose instead.
	Also []string `json:"also,omitempty"`
	// any, same_or_higher or none: how far the type may fall back. Unless it is any, less than what the type asks for is no proof, and
	// no type of also may ask for less. Default: what the mobile types say.
	Fallback string `json:"fallback,omitempty"`
	// The least grade of a phone whose approval is a proof: hardware, tee or software. Default: any phone's.
	Attestation string `json:"attestation,omitempty"`
}

// Challenge returns the realm as it is asked.
func (r *Realm) Challenge() challenge.Config {
	return challenge.Config{Type: r.MobileType, Also: r.Also, Fallback: mobiletype.Fallbacks(r.Fallback),
		Attestation: r.Attestation}
}

// CheckRealm refuses a realm whose authenticator asks people on their phones in a way that a configuration does not have.
func CheckRealm(authenticator, module json.RawMessage, c *Config, applications []apps.Config) error {
	guest, ok := readRealm(authenticator)
	if !ok {
		return nil
	}
	switch {
	case module != nil:
		return errors.New("its authenticator asks a phone and judges by itself: leave login_module out")
	case !Wanted(c, applications):
		return errors.New("its authenticator asks a phone: define an application with enrollment, and a mobile block with the type")
	case c == nil:
		c = new(Config)
	}
	types, err := c.Set()
	if err != nil {
		return fmt.Errorf("mobile: %w", err)
	}
	if a := attestation.Grade(guest.Attestation); a != "" && !a.AtLeast(attestation.Software) {
		return fmt.Errorf("attestation %q: want hardware, tee or software", a)
	}
	asked := guest.Challenge()
	return asked.Check(types)
}

// readRealm returns how a realm asks people on their phones; false for one of another kind, or malformed, which loading it tells.
func readRealm(authenticator json.RawMessage) (Realm, bool) {
	var guest struct {
		Name string `json:"type"`
		Realm
	}
	err := json.Unmarshal(authenticator, &guest)
	return guest.Realm, err == nil && guest.Name == Authenticator
}

// CheckApproval refuses a realm that sends a code to a phone: a code signs nothing, and what is approved in detail has to be signed where a
// phone approves it.
func CheckApproval(authenticator json.RawMessage, c *Config) error {
	asks, ok := readRealm(authenticator)
	if !ok || c == nil {
		return nil
	}
	types, err := c.Set()
	if err != nil {
		return fmt.Errorf("mobile: %w", err)
	}
	if t, found := types.Get(asks.MobileType); found && t.Channel() == mobiletype.BySMS {
		return fmt.Errorf("its mobile type %q sends a code, and what is approved in detail has to be signed by a phone", t.Name)
	}
	return nil
}

// Challenge returns what realms need that ask people on their phones; nil where there is no mobile side.
func (p *Phones) Challenge() *challenge.Phones {
	if p == nil {
		return nil
	}
	return &challenge.Phones{
		Asking: p.asking, Operations: p.operations, People: named{p.parts.Users}, Types: p.carriers.types, Issuer: p.parts.Issuer,
		Digits: p.digits, Shown: p.shown, Starts: func(address string) time.Duration { return p.named.Take(limit.Address(address)).Wait },
	}
}

// shown returns where the key was shown to be with which an operation was answered, and whether that is as good as least. Nothing is known of
// the key of a phone that has another one by now.
func (p *Phones) shown(ctx context.Context, o *operation.Operation, least string) (grade string, enough bool, err error) {
	d, err := p.devices.Get(ctx, o.AnsweredBy)
	if err != nil && !errors.Is(err, handset.ErrNotFound) {
		return "", false, err
	}
	if known := d.Attestation.GradeOf(o.SignedBy); known.AtLeast(attestation.Software) {
		grade = string(known)
	}
	return grade, least == "" || attestation.Grade(grade).AtLeast(attestation.Grade(least)), nil
}

// named finds users by name.
type named struct{ users *identity.Store }

// ByLogin returns the id of the user with a login name, empty when there is none.
func (n named) ByLogin(ctx context.Context, login string) (string, error) {
	u, err := n.users.ByLogin(ctx, login)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return u.ID, err
}

// Person returns what is known of a user.
func (n named) Person(ctx context.Context, id string) (challenge.Person, error) {
	u, err := n.users.Get(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return challenge.Person{}, nil
	}
	if err != nil {
		return challenge.Person{}, err
	}
	person := challenge.Person{Name: identitystore.DisplayName(&u)}
	if len(u.Logins) > 0 {
		person.Login = u.Logins[0]
	}
	return person, nil
}
