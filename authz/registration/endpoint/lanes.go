// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"errors"
	"hash/maphash"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/turns"
)

// How many registrations are under way at once, and how many more wait behind each of them.
const (
	laneCount  = 64
	laneLength = 128
)

// errCrowded is the cause of turning a registration away.
var errCrowded = errors.New("too many are registering at once")

// lanes has registrations take turns. Those by one initial access token are in one lane, one after the other: each counts a use of
// it, and together they would only disturb one another. The others spread over all lanes.
type lanes struct {
	seed   maphash.Seed
	queues []*turns.Queue
	next   *atomic.Uint64
}

func newLanes() lanes {
	l := lanes{seed: maphash.MakeSeed(), next: new(atomic.Uint64)}
	for range laneCount {
		l.queues = append(l.queues, turns.New(turns.Config{Concurrent: 1, Waiting: laneLength}))
	}
	return l
}

// enter takes a place in a lane, which is to be given back. Whom there is no room for is told to come back.
func (l *lanes) enter(key string) (turns.Place, error) {
	n := l.next.Add(1)
	if key != "" {
		n = maphash.String(l.seed, key)
	}
	place, ok := l.queues[n%laneCount].Reserve()
	if !ok {
		return turns.Place{}, oauth.Unavailable(errCrowded)
	}
	return place, nil
}

// run does the work when it is its turn.
func run(ctx context.Context, place turns.Place, work func() error) (err error) {
	if waited := place.Run(ctx, func() { err = work() }); waited != nil {
		return oauth.Unavailable(waited)
	}
	return err
}
