// SPDX-License-Identifier: Apache-2.0

package lease_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/lease"
)

// TestMoves: a lease moves while a node is there that keeps it, or would take it, and not otherwise.
func TestMoves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		before func(w *world)                       // what has happened to the lease
		while  func(w *world, done <-chan struct{}) // what happens while it is watched
		want   bool
		within time.Duration
	}{
		{"nobody ever had it", func(*world) {}, nil, false, time.Millisecond},
		{"given back", func(w *world) {
			l := w.node(0)
			w.try(l)
			must(w, l.Release(w.Context()))
		}, nil, false, 3 * lease.Renewal},
		{"its holder was killed", func(w *world) { w.try(w.node(0)) }, nil, false, lease.Term + 2*lease.Renewal},
		{"its holder is there", func(w *world) {}, keep, true, 2 * lease.Renewal},
		{"given back, and another node is there", func(w *world) {
			l := w.node(0)
			w.try(l)
			must(w, l.Release(w.Context()))
		}, func(w *world, done <-chan struct{}) {
			<-time.After(lease.Renewal) // as long as it takes to look again
			keep(w, done)
		}, true, 2 * lease.Renewal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				done := make(chan struct{})
				tt.before(w)
				if tt.while != nil {
					go tt.while(w, done)
					synctest.Wait()
				}
				began := time.Now()
				got, err := lease.Moves(t.Context(), w.db, "rounds")
				close(done)
				if took := time.Since(began); err != nil || got != tt.want || took > tt.within {
					t.Errorf("%t, %v after %s", got, err, took)
				}
				synctest.Wait()
			})
		})
	}
}

// keep renews a lease until it is told that it is over.
func keep(w *world, done <-chan struct{}) {
	l := w.node(0)
	for {
		must(w, l.Try(context.WithoutCancel(w.Context())))
		select {
		case <-done:
			return
		case <-time.After(lease.Renewal):
		}
	}
}

// TestMovesNobodyKnows: whoever cannot look does not say that nobody is there.
func TestMovesNobodyKnows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.try(w.node(0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if moves, err := lease.Moves(ctx, w.db, "rounds"); moves || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%t, %v", moves, err)
		}
	})
}
