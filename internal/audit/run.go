// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Interval is how often new events are sealed.
	Interval = time.Second
	// HeadEvery is how often the head of a chain that grows is logged.
	HeadEvery = time.Hour

	// A look for marks begins a little before the last one that was found, and now and then at the beginning: marks that are
	// removed leave traces in an engine that a look has to step over.
	overlap   = time.Minute
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
	for {
		n, head, err := t.sealMarked(ctx, after)
		t.tell(ctx, s, err)
		if err != nil {
			s.full = time.Time{}
			return
		}
		if n > 0 && (s.logged.IsZero() || now.Sub(s.logged) >= HeadEvery || now.Before(s.logged)) {
			s.logged = now
			t.logger.InfoContext(ctx, "audit chain", "head", head.String())
		}
		if n < MaxBatch {
			break
		}
	}
	s.from = now
}

// sealMarked seals a batch, if there is one: an update that finds nothing to do costs more than a look.
func (t *Trail) sealMarked(ctx context.Context, after string) (n int, head Head, err error) {
	var found []string
	err = t.db.View(ctx, func(tx storage.Tx) (err error) {
		found, err = marks(tx, after, 1)
		return err
	})
	if err != nil || len(found) == 0 {
		return 0, head, err
	}
	return t.sealFrom(ctx, after)
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
