// SPDX-License-Identifier: Apache-2.0

package server

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/notice"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Backchannel is what is needed for clients that ask people on their phones (OpenID CIBA Core 1.0). All fields but Codes are
// required.
type Backchannel struct {
	DB     storage.DB
	Sealer storage.Sealer
	Outbox *outbox.Outbox
	Phone  backchannel.Phone
	People endpoint.People
	// Codes knows the codes of users; nil where no client is registered for them.
	Codes endpoint.Codes
	// Realms are those that a phone proves by itself, the preferred one first.
	Realms []string
	// Terms are what each client is registered for, by its id.
	Terms map[string]*terms.Terms
}

// Requests of one client: each is a write, and a question to somebody. Those of one client for one person are fewer.
const (
	asksBurst, asksEvery     = 120, 500 * time.Millisecond
	personBurst, personEvery = 10, 20 * time.Second
)

// mountBackchannel comes before the token endpoint, which fetches from it.
func (s *Server) mountBackchannel(*session.Manager, *limit.Limiter) (err error) {
	c, b := &s.config, s.config.Backchannel
	if b == nil {
		return nil
	}
	s.asked, err = backchannel.NewStore(backchannel.Config{
		DB: b.DB, Sealer: b.Sealer, Grants: c.Store, Engine: c.Engine, Phone: b.Phone, Outbox: b.Outbox, Trail: c.Trail, Revoke: c.View.Apply,
	})
	if err != nil {
		return err
	}
	clients, err1 := limit.New(limit.Config{Burst: asksBurst, Every: asksEvery, Keys: limiterKeys, Now: c.Now})
	people, err2 := limit.New(limit.Config{Burst: personBurst, Every: personEvery, Keys: limiterKeys, Now: c.Now})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	h, err := endpoint.New(endpoint.Config{
		Clients: s.clientAuth, Store: s.asked, People: b.People, Codes: b.Codes, Now: c.Store.Now, Logger: c.Logger,
		Reader: &reading.Reader{
			Issuer: c.Issuer, Engine: c.Engine, Realms: b.Realms, Terms: b.Terms, Hints: s.hints, Once: c.Store, Now: c.Now,
		},
		Wait: func(client string) time.Duration { return counted(clients, client) },
		WaitFor: func(client, person string) time.Duration {
			return counted(people, client+" "+randid.Hash(person))
		},
		ScopeText: s.scopeText,
	})
	if err == nil {
		s.routes[authz.BasePath(c.Issuer)+authz.PathBackchannel] = route{"bc-authorize", h}
	}
	return err
}

// counted counts what is done under a name, and returns how long that has to wait first; zero admits it.
func counted(l *limit.Limiter, name string) time.Duration {
	wait := l.Wait(name)
	if wait <= 0 {
		l.Count(name)
	}
	return wait
}

// buildNotices comes after the token endpoint, which makes what is sent.
func (s *Server) buildNotices(*session.Manager, *limit.Limiter) (err error) {
	c, b := &s.config, s.config.Backchannel
	if b == nil {
		return nil
	}
	s.notices, err = notice.New(notice.Config{
		Store: s.asked, Clients: c.Clients.Find, Terms: b.Terms, Tokens: s.tokenFace, Key: c.Ring.Signer, Now: c.Store.Now,
	})
	return err
}

// tell has clients told until ctx ends.
func (s *Server) tell(ctx context.Context) {
	if s.notices == nil {
		return
	}
	defer s.notices.Handle(s.config.Backchannel.Outbox)()
	<-ctx.Done()
}

// scopeText says what a scope allows, in the language of the operator: its name where nothing else is said.
func (s *Server) scopeText(scope string) string {
	return cmp.Or(s.config.ScopeTexts[scope], s.config.Pages.ScopeText("", scope), scope)
}

// backchannelMetadata is what is published about it: nothing where there is nothing.
func (s *Server) backchannelMetadata() *endpoints.Backchannel {
	b := s.config.Backchannel
	if b == nil {
		return nil
	}
	m := &endpoints.Backchannel{UserCode: b.Codes != nil}
	for _, mode := range terms.Modes() {
		m.Modes = append(m.Modes, string(mode))
	}
	return m
}
