// SPDX-License-Identifier: Apache-2.0

package pool

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// relay is a log handler that hands on to another, which may be exchanged: what outlives a configuration must not write to
// the logs of one that has ended, which Caddy has closed.
type relay struct {
	target *atomic.Pointer[slog.Handler]
	// extend adds, to whatever the target is, the attributes and groups that this handler was made with.
	extend func(slog.Handler) slog.Handler
}

func newRelay() *relay {
	r := &relay{target: new(atomic.Pointer[slog.Handler]), extend: func(h slog.Handler) slog.Handler { return h }}
	r.to(slog.New(slog.DiscardHandler))
	return r
}

// to exchanges the target.
func (r *relay) to(logger *slog.Logger) {
	handler := logger.Handler()
	r.target.Store(&handler)
}

func (r *relay) current() slog.Handler { return r.extend(*r.target.Load()) }

// Enabled asks the target.
func (r *relay) Enabled(ctx context.Context, level slog.Level) bool {
	return (*r.target.Load()).Enabled(ctx, level)
}

// Handle hands a record to the target.
func (r *relay) Handle(ctx context.Context, record slog.Record) error {
	return r.current().Handle(ctx, record)
}

// WithAttrs returns a relay to the same target.
func (r *relay) WithAttrs(attrs []slog.Attr) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup returns a relay to the same target.
func (r *relay) WithGroup(name string) slog.Handler {
	return r.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (r *relay) with(more func(slog.Handler) slog.Handler) *relay {
	before := r.extend
	return &relay{target: r.target, extend: func(h slog.Handler) slog.Handler { return more(before(h)) }}
}

var _ slog.Handler = (*relay)(nil)
