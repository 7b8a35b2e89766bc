// SPDX-License-Identifier: Apache-2.0

package provision

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// How many certificates an address may ask for: an office of new phones behind one of them gets theirs in a minute.
const (
	requestBurst, requestEvery = 300, 200 * time.Millisecond
	limiterKeys                = 100_000
)

// Parts is what the certificates of devices are built over. All fields are required.
type Parts struct {
	Issuer string
	DB     storage.DB
	Apps   *mobileauth.Registry
	Trail  *audit.Trail
	// OnRevoke ends, in the caller's transaction, what rests on a device.
	OnRevoke func(tx storage.Tx, device string) error
	Now      func() time.Time
	Logger   *slog.Logger
}

// Side is what a configuration says of provisioning, built.
type Side struct {
	config *Config
	parts  Parts
	store  *provisioning.Store
	start  Starter // nil where the authority has nothing to start
}

// Starter is implemented by authorities that have something to do before the first request, which Provision must not.
type Starter interface{ Start() error }

// User is implemented by guests that ask for devices. The app hands them the side before the first request.
type User interface{ UseProvisioning(*Side) error }

// New loads the authority and builds the rest. It returns nil where the configuration has none. What is for development, or lets
// everybody in, is named in the log each time.
func New(ctx caddy.Context, c *Config, parts Parts) (*Side, error) {
	if c == nil {
		return nil, nil
	}
	s := &Side{config: c, parts: parts}
	if err := s.build(ctx); err != nil {
		return nil, fmt.Errorf("provisioning: %w", err)
	}
	if c.Mode == string(deviceauth.None) {
		parts.Logger.Warn("provisioning: mode is none: what a device says of itself is believed, which is for development alone")
	} else {
		parts.Logger.Warn("provisioning: mode is auto: every app that asks with a key of its own gets a certificate")
	}
	return s, nil
}

func (s *Side) build(ctx caddy.Context) error {
	var authority provisioning.Authority = nobody{}
	if s.config.Mode != string(deviceauth.None) {
		if s.config.AuthorityRaw == nil {
			s.config.AuthorityRaw = []byte(defaultAuthority)
		}
		module, err := ctx.LoadModule(s.config, "AuthorityRaw")
		if err != nil {
			return fmt.Errorf("loading the authority: %w", err)
		}
		var ok bool
		if authority, ok = module.(provisioning.Authority); !ok {
			return fmt.Errorf("loading the authority: %T is none", module)
		}
		s.start, _ = module.(Starter)
	}
	requests, err := limit.New(limit.Config{Burst: requestBurst, Every: requestEvery, Keys: limiterKeys, Now: s.parts.Now})
	if err != nil {
		return err
	}
	s.store, err = provisioning.New(provisioning.Config{
		DB: s.parts.DB, Authority: authority, Versions: s.parts.Apps, Groups: s.config.Groups, Profile: s.config.profile(),
		Requests: requests, Trail: s.parts.Trail, Now: s.parts.Now, Logger: s.parts.Logger,
		OnRevoke: []func(storage.Tx, string) error{s.parts.OnRevoke},
	})
	return err
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
	})
}

// Certificates returns the records; nil where the configuration has none.
func (s *Side) Certificates() *provisioning.Store {
	if s == nil {
		return nil
	}
	return s.store
}
