// SPDX-License-Identifier: Apache-2.0

package rounds

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Run calls round at each interval until ctx ends, and notes in trouble how it went.
func Run(ctx context.Context, interval time.Duration, trouble Trouble, round func(context.Context) error) {
	Pace{Every: interval}.Run(ctx, trouble, round)
}

// Pace says when rounds come: in any case now and then, and sooner when there is reason to.
type Pace struct {
	// Every is the time between two rounds that nobody asked for.
	Every time.Duration
	// Woken asks for a round. Nil never does.
	Woken <-chan struct{}
	// Floor is how long at least after a round nobody can ask for the next one. What is asked for meanwhile is done then, at once.
	Floor time.Duration
}

// Run calls round until ctx ends, and notes in trouble how it went.
func (p Pace) Run(ctx context.Context, trouble Trouble, round func(context.Context) error) {
	ticker := time.NewTicker(p.Every)
	defer ticker.Stop()
	rest := time.NewTimer(p.Floor)
	defer rest.Stop()
	woken := p.Woken
	for {
		select {
		case <-ctx.Done():
			return
		case <-rest.C:
			woken = p.Woken
			continue
		case <-ticker.C:
		case <-woken:
		}
		trouble.Note(ctx, round(ctx))
		if p.Woken != nil && p.Floor > 0 {
			woken = nil
			rest.Reset(p.Floor)
		}
	}
}

// Trouble is something that may fail for a while. It is for one goroutine.
type Trouble struct {
	Logger *slog.Logger
	// Begins is logged as a warning, with the cause, by the first error after a success, and Ends by the first success after that.
	Begins, Ends string
	// Over is the error by which whatever is done comes to its end, such as that of a store that was closed. Optional.
	Over error

	failing bool
}

// Note takes what came of one try. What fails because ctx has ended, or with [Trouble].Over, is the end and no trouble.
func (t *Trouble) Note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil || t.Over != nil && errors.Is(err, t.Over):
	case err != nil && !t.failing:
		t.failing = true
		t.Logger.WarnContext(ctx, t.Begins, "cause", err)
	case err == nil && t.failing:
		t.failing = false
		t.Logger.InfoContext(ctx, t.Ends)
	}
}
