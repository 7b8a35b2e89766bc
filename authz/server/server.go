// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/notice"
	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/authz/grants"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/revocation"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Profiles tells what is known about a user, for userinfo.
type Profiles interface {
	// Profile returns the claims about a user by their OpenID Connect names, or storage.ErrNotFound for a user who does
	// not exist or may not log in.
	Profile(ctx context.Context, subject string) (map[string]any, error)
}

// Config is what a server is assembled from. All fields are required but those that say otherwise.
type Config struct {
	Issuer string
	// Audience are the names of the resources that the issuer's own gates protect: a token must be for one of them.
	Audience []string
	Store    *authz.Store
	View     *revocation.View
	// MaxStaleness is how long tokens are accepted although the log of revocations cannot be read; zero is for ever.
	MaxStaleness time.Duration
	Ring         *keyset.Ring
	// Published are the keys that the issuer publishes, where there are others beside the Ring's; nil is the Ring.
	Published endpoints.Keys
	Clients   *authz.Clients
	Engine    *realm.Engine
	Pages     *web.Renderer
	Trail     *audit.Trail
	Profiles  Profiles
	// Scopes are all there are, for the metadata; DefaultScopes stand in when a request and its client name none.
	Scopes        oauth.Scopes
	DefaultScopes oauth.Scopes
	// Details are the types of authorization_details; nil is none.
	Details *details.Registry
	// ScopeTexts say what the operator's own scopes allow, for the consent and account pages; optional.
	ScopeTexts map[string]string
	// SessionIdle and SessionLifetime bound the browser sessions at the issuer. Zero takes the defaults of the session package.
	SessionIdle     time.Duration
	SessionLifetime time.Duration
	// RefreshGrace is how long the refresh token before the current one is answered with the current one; zero is not at all.
	RefreshGrace time.Duration
	// NonceKey is that of the nonces which the issuer's endpoints give for DPoP proofs: nodes that share it know each other's. It is
	// asked for once the store is open; nil draws one. DemandNonces has every proof carry a nonce (RFC 9449 8, 9).
	NonceKey     func() ([]byte, error)
	DemandNonces bool
	// SharedProofs has every DPoP proof that a gate or a resource here takes written down in the store, so that it is good once among
	// all nodes; else it is good once at each. The endpoints of the issuer always do so.
	SharedProofs bool
	// CacheBytes bounds the memory for validated tokens; zero takes the default of the validation package.
	CacheBytes int64
	// ClientIP returns the caller's address as the server's operator trusts it.
	ClientIP func(*http.Request) string
	// Asked returns the method and the escaped path that the caller has sent, before anything was rewritten; nil says that nothing is.
	Asked func(*http.Request) (method, path string)
	// Proxied reports whether the connection comes from a proxy that the operator trusts; nil says no.
	Proxied func(*http.Request) bool
	// Phones and Registrations are what the account page knows of phones; nil shows nothing and adds none.
	Phones        account.Phones
	Registrations account.Registrations
	// Certificates are those of devices that the account page shows; nil shows none.
	Certificates account.Certificates
	// Applications knows which versions of apps are refused, at gates and endpoints alike; nil refuses none.
	Applications realm.Applications
	// Backchannel lets clients ask people on their phones; nil where none may.
	Backchannel *Backchannel
	// Registration lets the instances of apps register as clients; nil where none may.
	Registration *Registration
	// MutualTLS is where clients show certificates; nil where none do.
	MutualTLS *endpoints.MutualTLS
	Now       func() time.Time
	Logger    *slog.Logger
	// Observe is told of what happens, for metrics; optional.
	Observe Observer
}

// Observer holds functions that are told of what happens, for metrics. Each may be nil. No argument names a user, a token or
// a path.
type Observer struct {
	Gate     func(outcome string)
	Endpoint func(endpoint, status string)
	Token    func(grant, outcome string)
	Realm    func(realm, outcome string)
}

// Server is one authorization server. It is safe for concurrent use.
type Server struct {
	config   Config
	tokens   *tokens.Issuer
	access   *validation.Validator
	sessions *validation.Validator
	proofs   *validation.Proofs
	gate     *site.Gate
	pages    session.ErrorPages
	routes   map[string]route
	mounted  map[string]route // by the prefix of the path

	instances  *registration.Store // nil where no app registers
	clientAuth *clientauth.Authenticator
	hints      *tokens.Hints
	intake     *intake.Reader
	judge      *attempt.Judge
	tokenFace  *grants.Handler
	asked      *backchannel.Store // nil where no client asks people on their phones
	notices    *notice.Sender
}

// New assembles a server. It reads and writes nothing: the store may be opened later, until when the server answers 503.
func New(c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, pages: session.ErrorPages{Pages: c.Pages, Logger: c.Logger}}
	for _, build := range []func() error{s.buildInstances, s.buildTokens, s.buildClientAuth, s.buildGate, s.buildRoutes} {
		if err := build(); err != nil {
			return nil, fmt.Errorf("assembling the authorization server: %w", err)
		}
	}
	return s, nil
}

func (c *Config) check() error {
	if err := oauth.CheckIssuer(c.Issuer); err != nil {
		return fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if len(c.Audience) == 0 || c.Store == nil || c.View == nil || c.Ring == nil || c.Clients == nil || c.Engine == nil ||
		c.Pages == nil || c.Trail == nil || c.Profiles == nil || c.ClientIP == nil || c.Now == nil || c.Logger == nil {
		return errors.New("assembling the authorization server: a required part is missing")
	}
	for _, name := range c.Details.Realms() {
		if _, ok := c.Engine.Realm(name); !ok {
			return fmt.Errorf("authorization_details name the realm %q, which is not defined", name)
		}
	}
	return nil
}

// keys are those that are published.
func (c *Config) keys() endpoints.Keys {
	if c.Published != nil {
		return c.Published
	}
	return c.Ring
}

// ClientAuth returns what finds out which client is calling. Faces that are mounted share it, and the limits in it.
func (s *Server) ClientAuth() *clientauth.Authenticator { return s.clientAuth }

func (s *Server) buildTokens() (err error) {
	c := &s.config
	if s.tokens, err = tokens.New(tokens.Config{Issuer: c.Issuer, Keys: c.Ring, Now: c.Now}); err != nil {
		return err
	}
	s.hints = &tokens.Hints{Issuer: c.Issuer, Key: c.Ring.Key}
	if s.access, err = s.Validator(c.Audience); err != nil {
		return err
	}
	proofs := validation.ProofsConfig{Now: c.Now, Nonces: c.DemandNonces}
	if c.SharedProofs {
		proofs.Spend = s.spendProof
	}
	if s.proofs, err = validation.NewProofs(proofs); err != nil {
		return err
	}
	s.sessions, err = validation.New(validation.Config{
		Issuer: c.Issuer, Audience: []string{tokens.SiteAudience(c.Issuer)}, Typ: tokens.TypSite,
		Keys: validation.KeyFunc(c.Ring.Key), Revocations: s.dead(), Now: c.Now, CacheBytes: c.CacheBytes,
	})
	return err
}

// spentAtGate is in whose name the proofs are remembered that gates and resources take. It is no client's id: those are printable.
const spentAtGate = "\x00gate"

// spendProof keeps a proof for longer than any node takes it whose clock lags.
func (s *Server) spendProof(ctx context.Context, proof string, until time.Time) (fresh bool, err error) {
	return s.config.Store.SpendAssertion(ctx, spentAtGate, proof, until.Add(dpop.Past))
}

func (s *Server) buildClientAuth() error {
	c := &s.config
	limiter, err := limit.New(limit.Config{Burst: secretBurst, Every: secretEvery, Keys: limiterKeys, Now: c.Now})
	if err != nil {
		return err
	}
	key := c.NonceKey
	if key == nil {
		key = dpop.RandomKey()
	}
	nonces, err := dpop.NewNonces(key, "issuer", 0)
	if err != nil {
		return err
	}
	proofs, err := dpop.New(dpop.Config{Now: c.Now, Nonces: nonces, Demand: c.DemandNonces})
	if err != nil {
		return err
	}
	remembering, err := limit.New(limit.Config{Burst: proofBurst, Every: proofEvery, Keys: limiterKeys, Now: c.Now})
	s.clientAuth = &clientauth.Authenticator{
		Clients: c.Clients, Store: c.Store, Issuer: c.Issuer, Now: c.Now, Proofs: proofs, Remembering: remembering,
		Limiter: limiter,
	}
	if c.MutualTLS != nil {
		s.clientAuth.MutualTLS = c.MutualTLS.Origin
	}
	return err
}

// Proofs returns what judges the DPoP proofs at this server's resources and gates, so that each is good once among them all.
func (s *Server) Proofs() *validation.Proofs { return s.proofs }

// DPoP says how bound tokens are presented at the issuer's own resources.
func (s *Server) DPoP() *validation.DPoP {
	return &validation.DPoP{
		Proofs: s.proofs, Address: s.clientAuth.Address,
		Method: func(r *http.Request) string {
			method, _ := httpx.Asked(r)
			return method
		},
	}
}

// Validator returns a validator of the issuer's access tokens for an audience: the keys and the revocations are those of
// this server, so that what it revokes is refused on the next request.
func (s *Server) Validator(audience []string) (*validation.Validator, error) {
	c := &s.config
	return validation.New(validation.Config{
		Issuer: c.Issuer, Audience: audience, Keys: validation.KeyFunc(c.Ring.Key), Revocations: s.dead(), Now: c.Now,
		CacheBytes: c.CacheBytes,
	})
}

// AccessValidator returns the validator for the issuer's own audience. Gates with that audience share it and its cache.
func (s *Server) AccessValidator() *validation.Validator { return s.access }

func (s *Server) buildGate() (err error) {
	c := &s.config
	s.gate, err = site.New(site.Config{
		Issuer: c.Issuer, Store: c.Store, Tokens: s.tokens, Sessions: s.sessions, Revoke: c.View.Apply, Logger: c.Logger,
		Observe: c.Observe.Gate,
	})
	return err
}

// Gate returns the gate of the protected sites.
func (s *Server) Gate() *site.Gate { return s.gate }

// Start reads the keys and the revocations. Nothing is served before it has returned without an error.
func (s *Server) Start(ctx context.Context) error {
	if err := s.config.Ring.Load(ctx); err != nil {
		return fmt.Errorf("loading the signing keys: %w", err)
	}
	if err := s.config.View.Refresh(ctx); err != nil {
		return fmt.Errorf("loading the revocations: %w", err)
	}
	return nil
}

// ringInterval is how often the keys are read again and rotated when that is due: well below the hour for which a verifier
// may keep an old set.
const ringInterval = time.Minute

// Run keeps keys and revocations current until ctx ends. Several servers over one store may run at once.
func (s *Server) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.config.View.Run(ctx) })
	loops.Go(func() { s.runRing(ctx) })
	loops.Go(func() { s.tell(ctx) })
	loops.Wait()
}

// ringFloor is the time between two readings of the keys that a change by another node gives cause for, at least.
const ringFloor = 100 * time.Millisecond

func (s *Server) runRing(ctx context.Context) {
	news := s.config.Ring.Watch()
	defer news.Stop()
	rounds.Pace{Every: ringInterval, Woken: news.C(), Floor: ringFloor}.Run(ctx, rounds.Trouble{
		Logger: s.config.Logger, Begins: "looking after the signing keys", Ends: "the signing keys are looked after again",
	}, s.config.Ring.Tick)
}

// Assertion signs for an upstream who is asking.
func (s *Server) Assertion(p *validation.Principal, audience string) (string, error) {
	return s.ConfirmedAssertion(p, audience, nil)
}

// ConfirmedAssertion is [Server.Assertion] for a request that the user has approved.
func (s *Server) ConfirmedAssertion(p *validation.Principal, audience string, confirmed *tokens.Confirmed) (string, error) {
	realms := map[string]time.Time{}
	for _, proof := range p.Realms {
		realms[proof.Realm] = proof.At
	}
	return s.tokens.Assertion(tokens.Assertion{
		Audience: audience, Subject: p.Subject, Name: p.Name, ClientID: p.ClientID, Scopes: p.Scopes, ACR: p.ACR,
		AMR: p.AMR, AuthTime: p.AuthTime, SessionID: p.SessionID, Realms: realms, Application: (*realm.Application)(p.Application),
		Confirmed: confirmed,
	})
}

// Stats tells how the caches of validated tokens do.
func (s *Server) Stats() (access, sessions validation.Stats) {
	return s.access.Stats(), s.sessions.Stats()
}
