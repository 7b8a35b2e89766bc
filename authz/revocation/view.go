// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	// Interval is how often [View.Run] reads the log.
	Interval = 500 * time.Millisecond
	// Overlap is how far before the newest entry the log is read again: transactions do not commit in the order of their
	// clocks, nor do the clocks of two nodes agree to the millisecond.
	Overlap = 30 * time.Second
	// StaleAfter is how long the log may go unread before the view says so.
	StaleAfter = 30 * time.Second

	sweepEvery = time.Minute
)

// Log is where revocations are read from.
type Log interface {
	RevocationsSince(ctx context.Context, since time.Time) ([]authz.Revocation, error)
}

// Config is what a view is built from. All fields are required.
type Config struct {
	Log    Log
	Now    func() time.Time
	Logger *slog.Logger
}

// View answers whether a token is revoked. It is safe for concurrent use.
type View struct {
	log    Log
	now    func() time.Time
	logger *slog.Logger

	known atomic.Pointer[known]
	read  atomic.Int64 // when the log was last read, in Unix milliseconds

	writing sync.Mutex
	// The fields below are guarded by writing.
	newest, swept time.Time
}

// New returns an empty view, which has read nothing yet.
func New(c Config) (*View, error) {
	if c.Log == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the view of revocations: a log, a clock and a logger are required")
	}
	v := &View{log: c.Log, now: c.Now, logger: c.Logger}
	v.known.Store(&known{base: new(index), recent: new(index)})
	return v, nil
}

// Revoked reports whether what the token rests on has been revoked: the token itself, its grant, its session, or whatever
// its user or client had been issued up to a moment. It neither locks nor allocates.
func (v *View) Revoked(p *validation.Principal) bool {
	k := v.known.Load()
	return k.named(token, p.TokenID) ||
		k.named(grant, p.GrantID) ||
		k.named(session, p.SessionID) ||
		k.cutOff(subject, p.Subject, p.IssuedAt) ||
		k.cutOff(client, p.ClientID, p.IssuedAt)
}

// Apply adds revocations that this node has just committed, so that its next request sees them.
func (v *View) Apply(revocations ...authz.Revocation) {
	if len(revocations) == 0 {
		return
	}
	v.writing.Lock()
	defer v.writing.Unlock()
	v.merge(revocations)
}

// Refresh reads what is new in the log, and drops what has expired.
func (v *View) Refresh(ctx context.Context) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	since := v.newest
	if !since.IsZero() {
		since = since.Add(-Overlap)
	}
	began := v.now()
	revocations, err := v.log.RevocationsSince(ctx, since)
	if err != nil {
		return err
	}
	v.merge(revocations)
	v.sweep()
	v.read.Store(began.UnixMilli())
	return nil
}

func (v *View) merge(revocations []authz.Revocation) {
	now := v.now()
	for _, r := range revocations {
		// The clock of another node may be ahead: what it wrote does not move our place in the log beyond our own time.
		if r.At.After(v.newest) && !r.At.After(now) {
			v.newest = r.At
		}
	}
	if len(revocations) > 0 {
		v.known.Store(v.known.Load().with(revocations))
	}
}

// sweep drops what has expired, at most once in [sweepEvery].
func (v *View) sweep() {
	now := v.now()
	if now.Sub(v.swept) < sweepEvery {
		return
	}
	v.swept = now
	if k := v.known.Load(); k.expired(now) {
		v.known.Store(k.settle(now))
	}
}

// Len returns how many revocations the view holds.
func (v *View) Len() int {
	k := v.known.Load()
	return k.base.size() + k.recent.size()
}

// Stale reports whether the log has gone unread for longer than [StaleAfter], so that revocations of other nodes may be
// missing. A view that has never read is stale.
func (v *View) Stale() bool {
	return v.now().Sub(time.UnixMilli(v.read.Load())) > StaleAfter
}

// Run reads the log at each [Interval] until ctx ends. A failure is logged once until the log can be read again.
func (v *View) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := v.Refresh(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			v.logger.WarnContext(ctx, "reading the log of revocations", "error", err)
		}
		failing = err != nil
	}
}
