// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Interval is how often new events are sealed.
	Interval = time.Second
	// HeadEvery is how often the head of a chain that grows is logged.
	HeadEvery = time.Hour

	// Marks that are removed leave traces in an engine that a look for others has to step over. So a look begins no earlier than
	// overlap before the one before it, which is what a transaction may take from drawing an event to its commit, and only now
	// and then at the beginning.
	overlap   = 10 * time.Second
	fullEvery = 10 * time.Minute
)

// Run seals events until ctx ends, while this node leads. The head is logged every hour while there are events, so that whoever keeps the log elsewhere can
// prove with it that the end of the trail was not taken back.
func (t *Trail) Run(ctx context.Context) {
	var s sealing
	rounds.Run(ctx, Interval, rounds.Trouble{
		Logger: t.logger, Begins: "audit events are not sealed", Ends: "audit events are sealed again",
		Over: storage.ErrClosed,
	}, func(ctx context.Context) error { return t.tick(ctx, &s) })
}

// sealing is what one run remembers.
type sealing struct{ from, full, logged time.Time }

// tick seals everything that is marked. A node that begins to lead looks from the beginning, where the one before may have left off.
func (t *Trail) tick(ctx context.Context, s *sealing) error {
	if !t.leads() {
		s.full = time.Time{}
		return nil
	}
	now := t.now()
	after := ""
	if now.Sub(s.full) < fullEvery && !now.Before(s.full) {
		after = markPrefix + eventID(s.from.Add(-overlap))
	}
	if after == "" {
		s.full = now
	}
	after, err := t.look(ctx, after)
	for after != "" && err == nil {
		var b batch
		b, err = t.sealFrom(ctx, after)
		if b.n > 0 && (s.logged.IsZero() || now.Sub(s.logged) >= HeadEvery || now.Before(s.logged)) {
			s.logged = now
			t.logger.InfoContext(ctx, "audit chain", "head", b.head.String())
		}
		if after = b.last; b.n < MaxBatch {
			break
		}
	}
	if err != nil {
		s.full = time.Time{}
		return err
	}
	s.from = now
	return nil
}

// look returns a key that is below the first mark and as near to it as is known, empty when there is none: an update that finds
// nothing to do costs more than a look, and one that begins here has nothing to step over.
func (t *Trail) look(ctx context.Context, after string) (below string, err error) {
	err = t.db.View(ctx, func(tx storage.Tx) error {
		found, err := marks(tx, after, 1)
		if len(found) > 0 {
			at, _, _ := strings.Cut(found[0], ".")
			below = markPrefix + at
		}
		return err
	})
	return below, err
}
