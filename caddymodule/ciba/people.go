// SPDX-License-Identifier: Apache-2.0

package ciba

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/backchannel/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/storage"
)

// people finds users.
type people Side

var _ endpoint.People = (*people)(nil)

// Find returns the one user that a hint names. It may be a login name, a reference of another system or an id: all three are looked up,
// whichever is there, and what names two people names nobody. Attributes are those by which the
// configuration lets users be searched.
func (p *people) Find(ctx context.Context, hint reading.Hint) (string, error) {
	switch hint.Kind {
	case reading.ByEmail:
		return p.one(ctx, "email", hint.Value)
	case reading.ByPhone:
		return p.one(ctx, "phone_number", hint.Value)
	case reading.BySubject:
		return found(p.users.Get(ctx, hint.Value))
	case reading.ByLogin:
	}
	login, err1 := found(p.users.ByLogin(ctx, hint.Value))
	external, err2 := found(p.users.ByExternalRef(ctx, hint.Value))
	id, err3 := found(p.users.Get(ctx, hint.Value))
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", err
	}
	name := cmp.Or(login, external, id)
	if slices.ContainsFunc([]string{login, external, id}, func(other string) bool { return other != "" && other != name }) {
		return "", nil
	}
	return name, nil
}

// Spelling returns the canonical form of a login name, an address or a number; a reference and an id, which have one spelling, may share
// it with others. It does not say what kind of name it is: what one of them is a name for, the others usually are too.
func (p *people) Spelling(hint reading.Hint) string {
	if hint.Kind == reading.ByPhone {
		if number, err := phonenumber.Parse(hint.Value); err == nil {
			return number.E164()
		}
	}
	if name, err := identity.Canonical(hint.Value); err == nil {
		return name
	}
	return hint.Value // nobody's
}

// one returns the user with an attribute, nobody where several have it.
func (p *people) one(ctx context.Context, name, value string) (string, error) {
	users, err := p.users.ByAttribute(ctx, name, value, "", 2)
	var unsearchable *identity.FieldError
	if errors.As(err, &unsearchable) || err == nil && len(users) != 1 {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return users[0].ID, nil
}

func found(u identity.User, err error) (string, error) {
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return u.ID, err
}
