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

// settle writes down how a try ended, unless the claim is somebody else's by now. followed tells that the line has another item
// which is due.
func (l *loop) settle(c claimed, err error) (outcome Outcome, followed bool) {
	v := l.judge(c, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.deliver), settling)
	defer cancel()
	var lost bool
	err = l.config.DB.Update(ctx, func(tx storage.Tx) error {
		row, ok, err := l.lines.Find(tx, c.id())
		if err != nil {
			return err
		}
		lost = !ok || row.Claim != c.Claim || row.Head != c.Head
		if lost {
			return nil
		}
		followed = (v.outcome == Delivered || v.outcome == Died) && row.Tail > row.Head
		return l.apply(tx, &row, c.entry.Item, v)
	})
	log := l.config.Logger.With("kind", c.Kind, "id", c.entry.ID, "try", c.Tries+1)
	switch {
	case err != nil:
		log.WarnContext(ctx, "how a delivery ended could not be stored: it will be repeated", "outcome", v.outcome, "cause", err)
		return Lost, false
	case lost:
		log.WarnContext(ctx, "a delivery took so long that another loop took it over", "outcome", v.outcome)
		return Lost, false
	case v.outcome == Died:
		log.WarnContext(ctx, "an item of the outbox could not be delivered and is a dead letter", "cause", v.cause)
	case v.outcome == Retried:
		log.DebugContext(ctx, "an item of the outbox could not be delivered yet", "cause", v.cause, "next", v.rest)
	}
	return v.outcome, followed
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
