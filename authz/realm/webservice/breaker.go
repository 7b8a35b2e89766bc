// SPDX-License-Identifier: Apache-2.0

package webservice

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Defaults of a [Breaker].
const (
	DefaultFaults = 5
	DefaultPause  = 30 * time.Second
)

// maxFaults keeps the count within what the breaker counts with.
const maxFaults = 1 << 20

// States of a breaker, as [Breaker].Observe is told.
const (
	StateClosed   = "closed"    // the service is asked
	StateOpen     = "open"      // the service is left alone
	StateHalfOpen = "half-open" // the pause is over: one login is tried, and the others wait for what becomes of it
)

// ErrOpen is returned while the service is left alone.
var ErrOpen = errors.New("it has failed too often in a row and is left alone for a while")

// Breaker says when a service is left alone: it is kinder to what comes back up, and to people who would wait for nothing.
type Breaker struct {
	// Faults is how many in a row are enough. Default: [DefaultFaults].
	Faults int
	// Pause is how long it is left alone before one login is tried. Default: [DefaultPause].
	Pause time.Duration
	// Observe is told each change of state; nil is told nothing.
	Observe func(state string)
}

type breaker struct {
	*gobreaker.CircuitBreaker[realm.Result]
}

// gone marks an error that came about because the caller went away, which says nothing about the service.
type gone struct{ error }

func newBreaker(c *Config) (*breaker, error) {
	if c.Breaker.Faults < 0 || c.Breaker.Faults > maxFaults || c.Breaker.Pause < 0 {
		return nil, errors.New("the breaker of a web service opens after a positive number of faults, for a positive time")
	}
	faults := uint32(cmp.Or(c.Breaker.Faults, DefaultFaults))
	return &breaker{gobreaker.NewCircuitBreaker[realm.Result](gobreaker.Settings{
		Name:        c.Name,
		Timeout:     cmp.Or(c.Breaker.Pause, DefaultPause),
		MaxRequests: 1,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= faults },
		IsExcluded: func(err error) bool {
			var left gone
			return errors.As(err, &left)
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			log := c.Logger.Warn
			if to == gobreaker.StateClosed {
				log = c.Logger.Info
			}
			log("web service", "service", name, "before", from.String(), "state", to.String())
			if c.Breaker.Observe != nil {
				c.Breaker.Observe(to.String())
			}
		},
	})}, nil
}

// guard has a login judged, unless the service is left alone.
func (b *breaker) guard(ctx context.Context, ask func() (realm.Result, error)) (realm.Result, error) {
	result, err := b.Execute(func() (realm.Result, error) {
		result, err := ask()
		if err != nil && errors.Is(ctx.Err(), context.Canceled) {
			err = gone{err}
		}
		return result, err
	})
	var left gone
	switch {
	case errors.As(err, &left):
		return result, left.error
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		return result, ErrOpen
	}
	return result, err
}
