// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Limits of a round of a realm.
const (
	// DefaultTimeout is the default of [Config].Timeout.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout is the most that [Realm].Timeout may be: people do not wait for longer, and whoever does holds a request.
	MaxTimeout = time.Minute
)

// maxBehind bounds, by realm, the rounds that were given up and still run: each holds a goroutine and what it was given.
const maxBehind = 64

// await runs a round of a realm, in which its guests have their say, and gives it up at the realm's time-out or when ctx
// ends. The round's context is cancelled then; a guest that does not heed it is left behind, and what it says in the end
// counts for nothing. A realm that has left too many behind is not tried until some of them come back.
func (e *Engine) await(ctx context.Context, name string, round func(context.Context) (Attempt, error)) (Attempt, error) {
	behind := e.behind[name]
	if behind.Load() >= maxBehind {
		return Attempt{}, fmt.Errorf("trying the realm %q: its guests do not come back: %w", name, context.DeadlineExceeded)
	}
	ctx, cancel := context.WithTimeout(ctx, e.patience(e.realms[name]))
	defer cancel()
	type end struct {
		attempt Attempt
		err     error
	}
	ended, givenUp := make(chan end), make(chan struct{})
	go func() {
		// A guest that ends its goroutine has not said anything either.
		last := end{err: fmt.Errorf("trying the realm %q: a guest did not return", name)}
		defer func() {
			if p := recover(); p != nil {
				last = end{err: fmt.Errorf("trying the realm %q: a guest panicked: %w", name, panicked(p))}
			}
			select {
			case ended <- last:
			case <-givenUp:
				behind.Add(-1)
			}
		}()
		attempt, err := round(ctx)
		last = end{attempt, err}
	}()
	select {
	case last := <-ended:
		return last.attempt, last.err
	case <-ctx.Done():
		behind.Add(1)
		close(givenUp)
		return Attempt{}, fmt.Errorf("trying the realm %q: %w", name, ctx.Err())
	}
}

// patience is how long a round of a realm may take.
func (e *Engine) patience(r *Realm) time.Duration { return cmp.Or(r.Timeout, e.timeout) }

// panicked describes a panic by its kind and its place, for the log. Its value may be made of what somebody typed and is
// left out, unless it is the runtime's.
func panicked(p any) error {
	what := fmt.Sprintf("%T", p)
	if fault, ok := p.(runtime.Error); ok {
		what = fault.Error()
	}
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])]) // from the frame that panics on
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		if !strings.HasPrefix(frame.Function, "runtime.") {
			return fmt.Errorf("%s in %s, line %d", what, frame.Function, frame.Line)
		}
	}
	return errors.New(what)
}
