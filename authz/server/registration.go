// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Registration lets the instances of apps register as clients (RFC 7591). DB, Reader and Admit are required.
type Registration struct {
	DB     storage.DB
	Reader *metadata.Reader
	Admit  endpoint.Admit
	// Judge judges what instances show; it may be nil where no application asks for it.
	Judge registration.Judge
	// Unused is after how long an instance that nobody uses is forgotten. Zero takes the default of the registration package.
	Unused time.Duration
	// PerAddress bounds the registrations of one address, and PerToken those by one initial access token. Zero takes 60 at once and then
	// one a second, and 1000 at once and then 20 a second.
	PerAddress, PerToken Rate
	// PerDay is how many may register in a day without an initial access token, on each node; zero is 50,000.
	PerDay int
}

// Rate is so many at once, and then one in each interval.
type Rate struct {
	Burst int
	Every time.Duration
}

func (r Rate) limiter(burst int, every time.Duration, now func() time.Time) (*limit.Limiter, error) {
	return limit.New(limit.Config{Burst: cmp.Or(r.Burst, burst), Every: cmp.Or(r.Every, every), Keys: limiterKeys, Now: now})
}

// Registrations of one address, and by one initial access token.
const (
	addressBurst, addressEvery = 60, time.Second
	tokenBurst, tokenEvery     = 1000, 50 * time.Millisecond
)

// Registrations of strangers in a day, changes of one instance, and challenges for all.
const (
	strangersPerDay            = 50_000
	updatesBurst, updatesEvery = 20, 10 * time.Minute

	challengesBurst, challengesEvery = 2000, 5 * time.Millisecond
)

// buildInstances comes before everything that looks for clients.
func (s *Server) buildInstances() error {
	c, g := &s.config, s.config.Registration
	if g == nil {
		return nil
	}
	if g.DB == nil || g.Reader == nil {
		return errors.New("registration: store and reader are required")
	}
	if err := g.Reader.Check(); err != nil {
		return fmt.Errorf("registration: %w", err)
	}
	var err error
	s.instances, err = registration.NewStore(registration.Config{
		DB: g.DB, Grants: c.Store, Reader: g.Reader, Trail: c.Trail, Revoke: c.View.Apply, Unused: g.Unused,
		Judge: g.Judge,
	})
	if err != nil {
		return err
	}
	var audience []string
	for _, a := range g.Reader.Applications {
		audience = append(audience, a.Terms.Audience...)
	}
	c.Clients = c.Clients.With(s.instances, audience)
	return nil
}

func (s *Server) mountRegistration(*session.Manager, *limit.Limiter) error {
	c, g := &s.config, s.config.Registration
	if g == nil {
		return nil
	}
	addresses, err1 := g.PerAddress.limiter(addressBurst, addressEvery, c.Now)
	tokens, err2 := g.PerToken.limiter(tokenBurst, tokenEvery, c.Now)
	strangers, err3 := limit.Daily(cmp.Or(g.PerDay, strangersPerDay), 1, c.Now)
	updates, err4 := Rate{}.limiter(updatesBurst, updatesEvery, c.Now)
	challenges, err5 := limit.New(limit.Config{Burst: challengesBurst, Every: challengesEvery, Keys: 1, Now: c.Now})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	h, err := endpoint.New(endpoint.Config{
		Issuer: c.Issuer, Store: s.instances, Admit: g.Admit, Addresses: addresses, Tokens: tokens, Strangers: strangers, Updates: updates,
		Challenges: challenges,
		Trail:      c.Trail, Logger: c.Logger,
	})
	if err == nil {
		s.mount(map[string]http.Handler{authz.PathRegister: http.HandlerFunc(h.Register)})
		s.Mount(authz.PathRegister+"/", "register", http.HandlerFunc(h.Manage))
	}
	return err
}

// Instances returns the instances of apps that have registered; nil where nobody may.
func (s *Server) Instances() *registration.Store { return s.instances }
