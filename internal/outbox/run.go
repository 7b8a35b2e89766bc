// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Interval is how often the loop looks for items that it was not woken for.
	Interval = time.Second
	// margin is how long a claim outlasts its try, for handlers that stop a little late.
	margin = 2 * time.Second
	// drain is how long deliveries under way may go on when the loop ends.
	drain = 3 * time.Second
	// fullEvery is how often every lane is looked through from its beginning.
	fullEvery = time.Minute
	// A look at a lane begins a little before what was first in it at the last look, since transactions do not commit in the
	// order of their clocks; once in each interval it begins further back. What was delivered leaves traces in the engine that a
	// look from the beginning would have to step over.
	overlap, wideOverlap = 100 * time.Millisecond, 10 * time.Second
	// maxLooked bounds how many entries of a lane one look reads.
	maxLooked = 4 * maxPlaces
	// settling bounds a transaction that writes down how tries ended.
	settling = 10 * time.Second
	// maxSettled is how many tries one transaction writes down. None of them takes more than five of the writes it may make.
	maxSettled = storage.MaxWrites / 5
)

// loop is one run of [Outbox.Run].
type loop struct {
	*Outbox
	deliver context.Context // ends a while after that of Run
	work    sync.WaitGroup
	ended   chan struct{} // a delivery ended and there may be more to do

	// Of the goroutine that looks.
	floors         map[string]time.Time // by lane: nothing live was due before, at the last look
	claims         sightings
	lastFull, last time.Time
	turn           int // the lane that goes first
	trouble        rounds.Trouble
	pace           pace

	mu    sync.Mutex           // guards what follows
	under map[string]string    // lines being delivered, and their lanes
	more  bool                 // the last look left something due behind
	rests map[string]time.Time // by lane: until when it is left alone
	tried []tried              // what is not written down yet
	pen   bool                 // somebody is writing it down
}

// claimed is the head of a line that is this loop's to deliver.
type claimed struct {
	line
	entry entry
	err   error // why the item cannot be read
}

// Run delivers until ctx ends, then waits a few seconds for deliveries under way and ends those that take longer. The store stays
// open until it has returned. Several loops may run on one store.
func (o *Outbox) Run(ctx context.Context) {
	deliver, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	l := &loop{
		Outbox: o, deliver: deliver, ended: make(chan struct{}, 1), floors: map[string]time.Time{}, under: map[string]string{},
		claims: sightings{most: o.config.Timeout + margin, by: map[string]sighting{}}, rests: map[string]time.Time{}, pace: pace{quickest: map[string]time.Duration{}}, trouble: rounds.Trouble{
			Logger: o.config.Logger, Begins: "the outbox cannot be read: nothing is delivered", Ends: "the outbox is read again",
			Over: storage.ErrClosed,
		},
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-o.wake:
		case <-l.ended:
		case <-timer.C:
		}
		timer.Reset(l.look(ctx))
	}
	end := time.AfterFunc(drain, stop)
	defer end.Stop()
	l.work.Wait()
}

// look claims what is due and starts to deliver it. It returns when to look again.
func (l *loop) look(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return Interval
	}
	ready, next, err := l.find(ctx)
	if err == nil && len(ready) > 0 {
		err = l.start(ctx, ready)
	}
	l.trouble.Note(ctx, err)
	if err != nil {
		return Interval
	}
	return next
}

// start claims lines and delivers the heads of those that it got.
func (l *loop) start(ctx context.Context, ids []string) error {
	mine, err := l.claim(ctx, ids)
	if err != nil {
		return err
	}
	l.mu.Lock()
	for i := range mine {
		l.under[mine[i].id()] = laneKey(mine[i].Kind, mine[i].Lane)
	}
	l.mu.Unlock()
	for _, c := range mine {
		l.work.Go(func() { l.handle(c) })
	}
	return nil
}

// claim takes the lines that are still due and nobody else's.
func (l *loop) claim(ctx context.Context, ids []string) (mine []claimed, err error) {
	token := l.owner + randid.New(".")
	err = l.config.DB.Update(ctx, func(tx storage.Tx) error {
		mine = nil
		now := l.config.Now()
		for _, id := range ids {
			row, ok, err := l.lines.Find(tx, id)
			if err != nil {
				return err
			}
			if !ok || row.Due.After(now) {
				continue
			}
			if _, taken := l.claims.taken(&row, now); taken {
				continue
			}
			row.Claim, row.ClaimUntil = token, now.Add(l.config.Timeout+margin).UTC()
			if err := l.lines.Put(tx, row); err != nil {
				return err
			}
			c := claimed{line: row}
			if c.entry, c.err = l.items.Get(tx, entryID(id, row.Head)); c.err != nil {
				c.entry.Item = Item{Kind: row.Kind, Lane: row.Lane, Key: row.Key, ID: entryID(id, row.Head), At: row.Due}
			}
			mine = append(mine, c)
		}
		return nil
	})
	return mine, err
}

// handle has one item delivered and writes down how that ended, together with what others have delivered meanwhile: one goroutine
// writes for all, so that many deliveries are few transactions beside those of people who wait.
func (l *loop) handle(c claimed) {
	began := l.config.Now()
	err := l.try(c)
	now := l.config.Now()
	lane, pause := laneKey(c.Kind, c.Lane), AdviceOf(err).Pause
	if err == nil {
		l.pace.answered(lane, now.Sub(began))
	}
	l.mu.Lock()
	if pause > 0 { // before it is written down, which takes a moment
		l.rests[lane] = later(l.rests[lane], now.Add(pause))
	}
	l.tried = append(l.tried, tried{claimed: c, verdict: l.judge(c, err), took: now.Sub(began)})
	mine := !l.pen
	l.pen = true
	l.mu.Unlock()
	for mine {
		mine = l.write()
	}
}

// write writes down how some tries ended. It returns false, and the pen is free, when there are no more.
func (l *loop) write() bool {
	l.mu.Lock()
	n := min(len(l.tried), maxSettled)
	batch := slices.Clone(l.tried[:n])
	l.tried = slices.Delete(l.tried, 0, n)
	l.pen = n > 0
	l.mu.Unlock()
	if n == 0 {
		return false
	}
	l.settle(batch)
	followed := false
	l.mu.Lock()
	for i := range batch {
		delete(l.under, batch[i].id())
		followed = followed || batch[i].followed
	}
	again := l.more || followed
	l.mu.Unlock()
	if again {
		select {
		case l.ended <- struct{}{}:
		default:
		}
	}
	for i := range batch {
		t := &batch[i]
		l.config.Observe(Observation{
			Kind: t.Kind, Outcome: t.outcome, Try: t.Tries + 1, Took: t.took, Age: max(0, l.config.Now().Sub(t.entry.At)),
		})
	}
	return true
}

// errReleased is a try that came to no end because the loop did.
var errReleased = errors.New("the loop ended before the delivery did")

// try calls the handler once. A handler that was taken away since the look counts as one that was not reached.
func (l *loop) try(c claimed) (err error) {
	if c.err != nil {
		return errors.New("the item cannot be read: " + cause(c.err))
	}
	handler, ok := l.handler(c.Kind)
	left := c.ClaimUntil.Add(-margin).Sub(l.config.Now())
	if !ok || left <= 0 {
		return errReleased
	}
	ctx, cancel := context.WithTimeout(l.deliver, left)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			// The value may hold anything; it goes to nobody.
			err = errors.New("the handler panicked")
			l.config.Logger.ErrorContext(ctx, "a handler of the outbox panicked", "kind", c.Kind, "id", c.entry.ID)
		}
	}()
	err = handler.Deliver(ctx, Delivery{Item: c.entry.Item, Try: c.Tries + 1})
	if err != nil && l.deliver.Err() != nil {
		return errReleased
	}
	return err
}
