// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// verdict is what a try comes to.
type verdict struct {
	outcome Outcome
	rest    time.Duration // before the next try
	cause   string
}

func (l *loop) judge(c claimed, err error) verdict {
	switch {
	case err == nil:
		return verdict{outcome: Delivered}
	case errors.Is(err, errReleased):
		return verdict{outcome: Released}
	case AdviceOf(err).Permanent || c.Tries+1 >= l.config.Tries:
		return verdict{outcome: Died, cause: cause(err)}
	}
	return verdict{outcome: Retried, cause: cause(err), rest: wait(c.Tries+1, chance(), err)}
}

// tried is a try that has ended.
type tried struct {
	claimed
	verdict
	took time.Duration
	// followed tells that the line has another item which is due.
	followed bool
}

// settle writes down how tries ended, each unless the claim is somebody else's by now, and leaves in them what came of that. Where
// that cannot be written together, each is written alone: what is wrong with one is not the others' trouble.
func (l *loop) settle(batch []tried) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.deliver), settling)
	defer cancel()
	lost := make([]bool, len(batch))
	err := l.config.DB.Update(ctx, func(tx storage.Tx) error {
		for i := range batch {
			var err error
			if lost[i], err = l.note(tx, &batch[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		for i := range batch {
			l.settle(batch[i : i+1])
		}
		return
	}
	for i := range batch {
		l.tell(ctx, &batch[i], lost[i], err)
	}
}

// note writes down how one try ended. Lost tells that its line is somebody else's.
func (l *loop) note(tx storage.Tx, t *tried) (lost bool, err error) {
	row, ok, err := l.lines.Find(tx, t.id())
	if err != nil {
		return false, err
	}
	if !ok || row.Claim != t.Claim || row.Head != t.Head {
		t.followed = false
		return true, nil
	}
	t.followed = (t.outcome == Delivered || t.outcome == Died) && row.Tail > row.Head
	return false, l.apply(tx, &row, t.entry.Item, t.verdict)
}

// tell logs what came of writing down a try, and makes it Lost where that came to nothing.
func (l *loop) tell(ctx context.Context, t *tried, lost bool, err error) {
	log := l.config.Logger.With("kind", t.Kind, "id", t.entry.ID, "try", t.Tries+1)
	switch {
	case err != nil:
		log.WarnContext(ctx, "how a delivery ended could not be stored: it will be repeated", "outcome", t.outcome, "cause", err)
		t.outcome, t.followed = Lost, false
	case lost:
		log.WarnContext(ctx, "a delivery took so long that another loop took it over", "outcome", t.outcome)
		t.outcome = Lost
	case t.outcome == Died:
		log.WarnContext(ctx, "an item of the outbox could not be delivered and is a dead letter", "cause", t.cause)
	case t.outcome == Retried:
		log.DebugContext(ctx, "an item of the outbox could not be delivered yet", "cause", t.cause, "next", t.rest)
	}
}

func (l *loop) apply(tx storage.Tx, row *line, item Item, v verdict) error {
	now := l.config.Now()
	switch v.outcome {
	case Delivered:
		return l.advance(tx, row)
	case Died:
		if err := l.dead.Put(tx, newLetter(item, row.Tries+1, v.cause, now)); err != nil {
			return err
		}
		return l.advance(tx, row)
	case Released:
		row.Claim, row.ClaimUntil = "", time.Time{}
		return l.lines.Put(tx, *row)
	case Retried:
		row.Tries++
		return l.move(tx, row, l.notBefore(now.Add(v.rest)))
	}
	return fmt.Errorf("settling an item of the outbox as %q", v.outcome)
}
