// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/owned"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/status"
	"github.com/gatehouse-id/gatehouse/storage"
)

// How many certificates an address may ask for: an office of new phones behind one of them gets theirs in a minute.
const (
	requestBurst, requestEvery = 300, 200 * time.Millisecond
	limiterKeys                = 100_000
)

// How many devices that nobody knew before get a certificate in a day where nobody says: behind an address of a mobile network are
// thousands of phones, few of them new on one day.
const newDevices, newDevicesPerAddress = 50_000, 1_000

// addressesPerNetwork is how many times the share of an address a network of IPv6 has, in which are 65,536 of them.
const addressesPerNetwork = 5

// Parts is what the certificates of devices are built over. All fields are required.
type Parts struct {
	Issuer string
	DB     storage.DB
	Sealer storage.Sealer
	Apps   *mobileauth.Registry
	// Genuine judges what devices show of themselves.
	Genuine *apps.Genuine
	Trail   *audit.Trail
	// OnRevoke ends, in the caller's transaction, what rests on a device.
	OnRevoke func(tx storage.Tx, device string) error
	// Logins knows on which devices users have logged in.
	Logins owned.Logins
	// Applied runs after what takes devices out.
	Applied func(ctx context.Context) error
	Now     func() time.Time
	Logger  *slog.Logger
}

// Side is what a configuration says of provisioning, built.
type Side struct {
	config *Config
	parts  Parts
	store  *provisioning.Store
	owned  *owned.Owned
	start  Starter         // nil where the authority has nothing to start
	status *status.Handler // nil where nothing is told of what was revoked
}

// Starter is implemented by authorities that have something to do before the first request, which Provision must not.
type Starter interface{ Start() error }

// User is implemented by guests that ask for devices. The app hands them the side before the first request.
type User interface{ UseProvisioning(*Side) error }

// New loads the authority and the hooks, and builds the rest. It returns nil where the configuration has none. What is for development,
// or lets everybody in, is named in the log each time.
func New(ctx caddy.Context, c *Config, parts Parts) (*Side, error) {
	if c == nil {
		return nil, nil
	}
	s := &Side{config: c, parts: parts}
	s.warn()
	if err := s.build(ctx); err != nil {
		return nil, fmt.Errorf("provisioning: %w", err)
	}
	return s, nil
}

// authority loads who issues certificates, and has those that sign by themselves tell what they sign with.
func (s *Side) authority(ctx caddy.Context, issuers *status.Issuers) (provisioning.Authority, error) {
	if s.config.Mode == string(deviceauth.None) {
		return nobody{}, nil
	}
	if s.config.AuthorityRaw == nil {
		s.config.AuthorityRaw = []byte(defaultAuthority)
	}
	module, err := ctx.LoadModule(s.config, "AuthorityRaw")
	if err != nil {
		return nil, fmt.Errorf("loading the authority: %w", err)
	}
	authority, ok := module.(provisioning.Authority)
	if !ok {
		return nil, fmt.Errorf("loading the authority: %T is none", module)
	}
	s.start, _ = module.(Starter)
	if signer, ok := module.(Signer); ok && s.config.Status != statusOff {
		signer.Before(issuers.Before)
	}
	return authority, nil
}

func (s *Side) build(ctx caddy.Context) error {
	issuers, err := status.NewIssuers(status.IssuersConfig{
		DB: s.parts.DB, Sealer: s.parts.Sealer, Base: s.config.statusBase(s.parts.Issuer), Now: s.parts.Now, Logger: s.parts.Logger,
	})
	if err != nil {
		return err
	}
	authority, err := s.authority(ctx, issuers)
	if err != nil {
		return err
	}
	hooks, err := s.hooks(ctx)
	if err != nil {
		return err
	}
	former, err := s.former()
	if err != nil {
		return err
	}
	requests, err := limit.New(limit.Config{Burst: requestBurst, Every: requestEvery, Keys: limiterKeys, Now: s.parts.Now})
	if err != nil {
		return err
	}
	budget, err := s.budget()
	if err != nil {
		return err
	}
	s.store, err = provisioning.New(provisioning.Config{
		DB: s.parts.DB, Authority: authority, Versions: s.parts.Apps, Groups: s.config.Groups, Profile: s.config.profile(),
		Requests: requests, Budget: budget, Hooks: hooks, Attestation: s.attestation(), Former: former,
		Trail: s.parts.Trail, Now: s.parts.Now, Logger: s.parts.Logger,
		OnRevoke: []func(storage.Tx, string) error{s.parts.OnRevoke}, OnChange: issuers.OnChange,
	})
	if err != nil {
		return err
	}
	if s.owned, err = owned.New(s.parts.Logins, s.store); err != nil {
		return err
	}
	return s.tell(issuers)
}

// budget lets a day's devices come at once, and from then on as many in each day.
func (s *Side) budget() (b provisioning.Budget, err error) {
	day := func(n, keys int) *limit.Limiter {
		l, other := limit.Daily(n, keys, s.parts.Now)
		err = errors.Join(err, other)
		return l
	}
	all, each := cmp.Or(s.config.NewDevices, newDevices), cmp.Or(s.config.NewDevicesPerAddress, newDevicesPerAddress)
	b.Strangers, b.Known = day(all, 1), day(all, 1)
	b.Address, b.Network = day(each, limiterKeys), day(each*addressesPerNetwork, limiterKeys)
	return b, err
}

// Start starts the authority. It is called before the first request.
func (s *Side) Start() error {
	if s == nil || s.start == nil {
		return nil
	}
	return s.start.Start()
}

// Guest returns the authenticator of a realm.
func (s *Side) Guest(r Realm) (*deviceauth.Guest, error) {
	entity, err := s.config.entity(r.Entity)
	if err != nil {
		return nil, err
	}
	return deviceauth.New(deviceauth.Config{
		Certificates: s.store, Audience: s.parts.Issuer, Mode: deviceauth.Mode(s.config.Mode), Entity: entity,
		Former: len(s.config.Former) > 0, Attestation: s.config.Attestation.mode(), Minimum: attestation.Grade(r.Attestation),
	})
}

// Certificates returns the records; nil where the configuration has none.
func (s *Side) Certificates() *provisioning.Store {
	if s == nil {
		return nil
	}
	return s.store
}
