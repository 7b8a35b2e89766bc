// SPDX-License-Identifier: Apache-2.0

package mobileauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Interval is how often [Registry.Run] looks for what other nodes have changed.
	Interval = 500 * time.Millisecond
	// StaleAfter is how long nothing may be read before the registry says so.
	StaleAfter = 30 * time.Second

	// floor is the time between two looks that notices give cause for, at least.
	floor = 20 * time.Millisecond
)

// Config describes a [Registry]. DB, Now and Logger are required.
type Config struct {
	DB     storage.DB
	Now    func() time.Time
	Logger *slog.Logger
	// Applications are those of the configuration.
	Applications []Application
}

// Registry knows the applications and what becomes of their versions. It is safe for concurrent use; [Registry.Status] and
// [Registry.Disabled] never wait. Until [Registry.Refresh] has read the store once, every application is [Unknown].
type Registry struct {
	db        storage.DB
	clock     func() time.Time
	logger    *slog.Logger
	apps      map[string]Application
	overrides storage.Table[Override]
	sequences storage.Table[sequence]

	current  atomic.Pointer[snapshot]
	lastRead atomic.Int64 // unix nanoseconds of the begin of the last good reading; zero is never

	mu sync.Mutex // one refresh at a time
}

// snapshot is what holds at one moment. It does not change.
type snapshot struct {
	number    uint64
	overrides []Override
	standings map[string]*standing
}

// New returns a registry, or an error that names the application that cannot be so. It reads nothing yet.
func New(c Config) (*Registry, error) {
	if c.DB == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the registry of applications: a store, a clock and a logger are required")
	}
	r := &Registry{
		db: c.DB, clock: c.Now, logger: c.Logger, apps: map[string]Application{},
		overrides: overrideTable(), sequences: sequenceTable(),
	}
	if err := Check(c.Applications); err != nil {
		return nil, err
	}
	for _, app := range c.Applications {
		app.Platforms, app.Rules = maps.Clone(app.Platforms), slices.Clone(app.Rules)
		r.apps[app.ID] = app
	}
	r.current.Store(&snapshot{})
	return r, nil
}

// Check returns an error that names the first application that cannot be so.
func Check(applications []Application) error {
	seen := map[string]bool{}
	for i := range applications {
		app := &applications[i]
		if err := app.check(); err != nil {
			return fmt.Errorf("application %q: %w", app.ID, err)
		}
		if seen[app.ID] {
			return invalid("application %q stands twice", app.ID)
		}
		seen[app.ID] = true
	}
	return nil
}

// now has the precision that every engine keeps.
func (r *Registry) now() time.Time { return r.clock().UTC().Truncate(time.Millisecond) }

// Status returns what becomes of a version of an app on a platform, and what its people are told.
func (r *Registry) Status(app, platform, version string) (Status, Notice) {
	s := r.current.Load().standings[app]
	if s == nil {
		return Unknown, Notice{}
	}
	status, rule := s.judge(platform, version)
	if rule == nil {
		return status, Notice{}
	}
	return status, rule.notice
}

// Disabled reports whether a version of an app is refused wherever it is: because it is switched off, or because nobody knows
// it.
func (r *Registry) Disabled(app, platform, version string) bool {
	s := r.current.Load().standings[app]
	if s == nil {
		return true
	}
	status, _ := s.judge(platform, version)
	return status == Disabled || status == Unknown
}

// Refresh reads the overrides if any has changed. What is known stays known when the store cannot be read.
func (r *Registry) Refresh(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	began, known := r.clock(), r.current.Load()
	first := known.standings == nil
	number := known.number
	var overrides []Override
	err := r.db.View(ctx, func(tx storage.Tx) error {
		overrides, number = nil, 0
		last, _, err := r.sequences.Find(tx, sequenceID)
		if err != nil || last.Number == known.number && !first {
			number = known.number
			return err
		}
		number = last.Number
		overrides, err = r.all(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the overrides of applications: %w", err)
	}
	if number != known.number || first {
		r.current.Store(r.snapshot(number, overrides))
	}
	r.lastRead.Store(began.UnixNano())
	return nil
}

// snapshot puts overrides over the configuration.
func (r *Registry) snapshot(number uint64, overrides []Override) *snapshot {
	s := &snapshot{number: number, overrides: overrides, standings: map[string]*standing{}}
	for id, app := range r.apps {
		s.standings[id] = stand(app, rulesOf(id, overrides))
	}
	return s
}

func rulesOf(app string, overrides []Override) []Rule {
	var rules []Rule
	for i := range overrides {
		if overrides[i].Application == app {
			rules = append(rules, overrides[i].Rule)
		}
	}
	return rules
}

// Stale reports whether the store could not be read for longer than [StaleAfter], or never was: this node may then let pass
// what another has switched off.
func (r *Registry) Stale() bool {
	last := r.lastRead.Load()
	return last == 0 || r.clock().Sub(time.Unix(0, last)) > StaleAfter
}

// Run looks for changes at each [Interval], and when a notice tells of one, until ctx ends. That the store cannot be read is logged when it begins and when it
// ends, not each time.
func (r *Registry) Run(ctx context.Context) {
	news := storage.Watch(r.db, r.sequences.Name)
	defer news.Stop()
	rounds.Pace{Every: Interval, Woken: news.C(), Floor: floor}.Run(ctx, rounds.Trouble{
		Logger: r.logger, Begins: "app versions that other nodes switch off are not seen",
		Ends: "app versions that other nodes switch off are seen again",
	}, r.Refresh)
}
