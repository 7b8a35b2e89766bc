// SPDX-License-Identifier: Apache-2.0

package unverified

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Reasons of a refusal.
const (
	reasonRejectAll = "reject_all"
	reasonNoID      = "unusable_id"
)

// valueUser is the answer that says who somebody is.
const valueUser = "username"

// SingleIdentity is a login module that accepts everybody, whatever they answer, as one and the same user.
type SingleIdentity struct {
	identity realm.Identity
}

// NewSingleIdentity returns a module for a user, or an error when there can be no such user.
func NewSingleIdentity(user, name string, attributes map[string]string) (*SingleIdentity, error) {
	if user == "" || !realm.ValidText(user, realm.MaxExternalID) {
		return nil, fmt.Errorf("the single identity has no name of 1 to %d bytes of printable text", realm.MaxExternalID)
	}
	if !realm.ValidText(name, realm.MaxValue) {
		return nil, errors.New("the single identity's name is no printable text")
	}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		if key == "" || !realm.ValidText(key, realm.MaxAttributeName) || !realm.ValidText(attributes[key], realm.MaxValue) {
			return nil, fmt.Errorf("attribute %q of the single identity is no printable text", key)
		}
	}
	return &SingleIdentity{realm.Identity{ExternalID: user, Name: name, Attributes: maps.Clone(attributes)}}, nil
}

// Verify accepts.
func (m *SingleIdentity) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	identity := m.identity
	identity.Attributes = maps.Clone(identity.Attributes)
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

// NonValidating is a login module that accepts everybody as who he says he is.
type NonValidating struct {
	mapping realm.Mapping
}

// NewNonValidating returns a module. The values that the mapping names are answers; without an ID it is the user name.
func NewNonValidating(m realm.Mapping) (*NonValidating, error) {
	if m.ID == "" {
		m.ID = valueUser
	}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("believing what people answer: %w", err)
	}
	return &NonValidating{m}, nil
}

// NeedsLogin reports that users who are known are asked for their name as well: it is all that is looked at.
func (m *NonValidating) NeedsLogin() bool { return true }

// Verify accepts everybody with a user name that can be one.
func (m *NonValidating) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	identity, ok := m.mapping.Identity(c.Values)
	if !ok {
		return realm.Result{Status: realm.Refused, Reason: reasonNoID}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

// RejectAll is a login module that refuses everybody: a realm that nobody can satisfy closes what requires it.
type RejectAll struct{}

// Verify refuses.
func (RejectAll) Verify(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{Status: realm.Refused, Reason: reasonRejectAll}, nil
}
