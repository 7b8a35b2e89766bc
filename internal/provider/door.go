// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"sync/atomic"
)

// door lets callers through one at a time until one of them came back with an answer, and all at once from then on: until another
// connection is opened. So a crowd that comes to a service which was silent opens one connection, and asks one thing on it before it
// is known there. A nil door stands open.
type door struct {
	open    atomic.Bool
	pioneer chan struct{} // held by the one who is through a shut door
}

func newDoor() *door { return &door{pioneer: make(chan struct{}, 1)} }

// enter waits until the caller may go on. A pioneer calls leave when it is back.
func (d *door) enter(ctx context.Context) (pioneer bool, err error) {
	if d == nil || d.open.Load() {
		return false, nil
	}
	select {
	case d.pioneer <- struct{}{}:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if d.open.Load() {
		<-d.pioneer
		return false, nil
	}
	return true, nil
}

func (d *door) leave(known bool) {
	if known {
		d.open.Store(true)
	}
	<-d.pioneer
}

func (d *door) shut() {
	if d != nil {
		d.open.Store(false)
	}
}
