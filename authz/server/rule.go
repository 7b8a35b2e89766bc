// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/site/stream"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Rule completes what a route asks, in terms of scopes, levels and ages, with what the security model says these mean: the
// realms that each scope requires, and the realms that each level consists of. It is an error to ask for a level that
// does not exist.
func (s *Server) Rule(asked validation.Policy) (*site.Rule, error) {
	if err := s.checkACR(asked.ACRValues); err != nil {
		return nil, err
	}
	bare, policy := asked, asked
	policy.Requirements = required(s.config.Engine.ForScopes(asked.AllScopes))
	policy.AnyRequirements = map[string][]validation.Requirement{}
	for _, scope := range asked.AnyScope {
		policy.AnyRequirements[scope] = required(s.config.Engine.ForScopes([]string{scope}))
	}
	policy.Levels = map[string][]validation.Requirement{}
	for _, acr := range s.config.Engine.ACRValues() {
		requirements, _ := s.config.Engine.ForACR(acr)
		policy.Levels[acr] = required(requirements)
	}
	return &site.Rule{Policy: &policy, Bare: &bare}, nil
}

// Requirements returns the realms that scopes require of a person, in the order in which they are proven.
func (s *Server) Requirements(scopes []string) []realm.Requirement {
	return s.config.Engine.ForScopes(scopes)
}

// Terms returns by what requests are judged that the gate has let through, for as long as they are under way.
func (s *Server) Terms(windowless bool) *stream.Terms {
	return &stream.Terms{
		Dead: s.dead(), Issuer: s.config.Issuer, Windowless: windowless,
		Alive: func(ctx context.Context, session string) error {
			_, err := s.config.Store.Session(ctx, session)
			return err
		},
	}
}

func (s *Server) checkACR(values []string) error {
	known := s.config.Engine.ACRValues()
	for _, acr := range values {
		if !slices.Contains(known, acr) {
			return fmt.Errorf("acr %q is neither a level nor a realm, expected one of: %v", acr, known)
		}
	}
	return nil
}

func required(requirements []realm.Requirement) []validation.Requirement {
	var all []validation.Requirement
	for _, r := range requirements {
		all = append(all, validation.Requirement{Realm: r.Realm, MaxAge: r.MaxAge})
	}
	return all
}
