// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"strings"
	"time"

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

// Run seals events until ctx ends. The head is logged every hour while there are events, so that whoever keeps the log elsewhere can
// prove with it that the end of the trail was not taken back.
func (t *Trail) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	var s sealing
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.tick(ctx, &s)
		}
	}
}

// sealing is what one run remembers.
type sealing struct {
	from, full, logged time.Time
	failing            bool
}

// tick seals everything that is marked.
func (t *Trail) tick(ctx context.Context, s *sealing) {
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
	t.tell(ctx, s, err)
	if err != nil {
		s.full = time.Time{}
		return
	}
	s.from = now
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

func (t *Trail) tell(ctx context.Context, s *sealing, err error) {
	switch {
	case ctx.Err() != nil || errors.Is(err, storage.ErrClosed):
	case err != nil && !s.failing:
		s.failing = true
		t.logger.WarnContext(ctx, "audit events are not sealed", "cause", err)
	case err == nil && s.failing:
		s.failing = false
		t.logger.InfoContext(ctx, "audit events are sealed again")
	}
}
