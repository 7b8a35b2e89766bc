// SPDX-License-Identifier: Apache-2.0

package revocation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

const (
	// Interval is how often [View.Run] reads the log when no notice has it do so sooner.
	Interval = 500 * time.Millisecond
	// Overlap is how far before the last reading the log is read again: transactions do not commit in the order of their
	// clocks, nor do the clocks of two nodes agree to the millisecond.
	Overlap = 30 * time.Second
	// Brief is the overlap of a reading between two of those, which a notice has given cause for.
	Brief = 3 * time.Second
	// Far is the overlap of a reading every FarEvery, for what a node has revoked whose clock is behind by minutes.
	Far, FarEvery = 5 * time.Minute, 5 * time.Second
	// Floor is the time between two readings that notices have given cause for, at least.
	Floor = 20 * time.Millisecond
	// StaleAfter is how long the log may go unread before the view says so.
	StaleAfter = 30 * time.Second

	// fullEvery is how often the whole log is read, so that even an entry stamped by a clock that was far behind is seen.
	fullEvery = 10 * time.Minute
	// sweepEvery is how often entries that have expired are dropped.
	sweepEvery = time.Minute
)

// Log is where revocations are kept. An [authz.Store] is one.
type Log interface {
	RevocationsSince(ctx context.Context, since time.Time) ([]authz.Revocation, error)
}

// Config is what a view needs. All fields are required but Notices and Changed.
type Config struct {
	Log    Log
	Now    func() time.Time
	Logger *slog.Logger
	// Notices tells when there is something new in the log. Without it, what others have revoked is seen within an [Interval].
	Notices storage.Watcher
	// Changed is called after something was revoked that was not before, on this node or another. It does not wait.
	Changed func()
}

// View knows what was revoked. It is safe for concurrent use, and [View.Revoked] never waits.
type View struct {
	config Config
	tables map[authz.Kind]*table

	token, grant, session *table
	subject, client       *table
	device                *table

	lastRead atomic.Int64 // unix nanoseconds of the begin of the last good reading; zero is never

	mu       sync.Mutex // one refresh at a time
	lastFull time.Time
	lastWide time.Time // when it was last read from an Overlap before, at least
	lastFar  time.Time // the same, from Far before
	lastGone time.Time // when expired entries were dropped last
}

var _ validation.Revocations = (*View)(nil)

// New returns an empty view: [View.Refresh] fills it. It reads nothing yet.
func New(c Config) (*View, error) {
	if c.Log == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the view of revocations: a log, a clock and a logger are required")
	}
	if c.Changed == nil {
		c.Changed = func() {}
	}
	v := &View{
		config: c, token: newTable(), grant: newTable(), session: newTable(), subject: newTable(), client: newTable(),
		device: newTable(),
	}
	v.tables = map[authz.Kind]*table{
		authz.KindToken: v.token, authz.KindGrant: v.grant, authz.KindSession: v.session,
		authz.KindSubject: v.subject, authz.KindClient: v.client, authz.KindDevice: v.device,
	}
	return v, nil
}

// Revoked reports whether a token is dead before its time. Moments of subject, client and device compare in seconds, as tokens
// count: a token issued in the very second of the revocation is dead.
func (v *View) Revoked(p *validation.Principal) bool {
	return v.token.has(p.TokenID) || v.grant.has(p.GrantID) || v.session.has(p.SessionID) ||
		v.subject.covers(p.Subject, p.IssuedAt) || v.client.covers(p.ClientID, p.IssuedAt) ||
		len(p.Devices) != 0 && v.rests(p)
}

// rests reports whether a token rests on a device that was revoked since it was issued.
func (v *View) rests(p *validation.Principal) bool {
	for _, device := range p.Devices {
		if v.device.covers(device, p.IssuedAt) {
			return true
		}
	}
	return false
}

// Apply adds revocations, known ones again among them.
func (v *View) Apply(revocations ...authz.Revocation) {
	now, changed := v.config.Now(), false
	for _, r := range revocations {
		if t := v.tables[r.Kind]; t != nil && r.Target != "" && now.Before(r.ExpiresAt) && t.add(r.Target, r.At, r.ExpiresAt) {
			changed = true
		}
	}
	if changed {
		v.config.Changed()
	}
}

// Refresh reads what is new in the log.
func (v *View) Refresh(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.readLocked(ctx, v.config.Now(), Overlap)
}

// round is Refresh, for whoever reads often: most of the time not from so far before.
func (v *View) round(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	now, overlap := v.config.Now(), Brief
	if since := now.Sub(v.lastWide); since >= Interval/2 || since < 0 {
		overlap = Overlap
	}
	if since := now.Sub(v.lastFar); since >= FarEvery || since < 0 {
		overlap = Far
	}
	return v.readLocked(ctx, now, overlap)
}

func (v *View) readLocked(ctx context.Context, now time.Time, overlap time.Duration) error {
	full := v.lastFull.IsZero() || now.Sub(v.lastFull) >= fullEvery || now.Before(v.lastFull)
	var since time.Time
	if last := v.lastRead.Load(); last != 0 && !full {
		since = time.Unix(0, last).Add(-overlap)
	}
	revocations, err := v.config.Log.RevocationsSince(ctx, since)
	if err != nil {
		return fmt.Errorf("reading the log of revocations: %w", err)
	}
	v.Apply(revocations...)
	v.lastRead.Store(now.UnixNano())
	if full || overlap >= Overlap {
		v.lastWide = now
	}
	if full || overlap >= Far {
		v.lastFar = now
	}
	if full {
		v.lastFull = now
	}
	if since := now.Sub(v.lastGone); since >= sweepEvery || since < 0 {
		v.lastGone = now
		v.sweep(now)
	}
	return nil
}

func (v *View) sweep(now time.Time) {
	for _, t := range v.tables {
		t.sweep(now)
	}
}

// Stale reports whether the log could not be read for longer than [StaleAfter], or never was: this node may then let pass what
// another has revoked.
func (v *View) Stale() bool {
	return v.Unread(v.config.Now()) > StaleAfter
}

// Unread returns for how long the log was not read; for ever where it never was, or where the clock was set back so that nobody knows.
func (v *View) Unread(now time.Time) time.Duration {
	if since := now.Sub(v.ReadAt()); since >= -StaleAfter {
		return since
	}
	return math.MaxInt64
}

// ReadAt returns when the log began to be read that was read last; the zero time is never.
func (v *View) ReadAt() time.Time {
	last := v.lastRead.Load()
	if last == 0 {
		return time.Time{}
	}
	return time.Unix(0, last)
}

// Len returns how many entries the view holds.
func (v *View) Len() int {
	n := 0
	for _, t := range v.tables {
		n += int(t.count.Load())
	}
	return n
}

// Run reads the log at each [Interval], and when a notice tells that there is something new, until ctx ends. That it cannot be read is logged when it begins and when it ends, not
// each time.
func (v *View) Run(ctx context.Context) {
	news := new(storage.Notices)
	if v.config.Notices != nil {
		news = v.config.Notices.Watch(authz.RevocationTable)
	}
	defer news.Stop()
	rounds.Pace{Every: Interval, Woken: news.C(), Floor: Floor}.Run(ctx, rounds.Trouble{
		Logger: v.config.Logger, Begins: "revocations of other nodes are not seen",
		Ends: "revocations of other nodes are seen again",
	}, v.round)
}
