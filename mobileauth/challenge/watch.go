// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Watch waits for news about the question. Of one that nobody may know anything about there is news when it is approved, and when it is
// over. Whoever calls bounds how many wait; where as many wait for operations as may it fails with [operation.ErrBusy].
func (g *Guest) Watch(ctx context.Context, in realm.Input, since string, most time.Duration) (changed bool, err error) {
	c, err := g.call(in)
	if err != nil || c.state == nil || c.state.Ended != "" {
		return true, err
	}
	if c.masked() {
		return c.watchMasked(ctx, most)
	}
	version, err := strconv.ParseUint(since, 10, 64)
	if err != nil || c.state.Operation == "" {
		return true, nil // the page is an old one
	}
	o, err := c.Operations.Wait(ctx, c.state.Operation, version, most)
	switch {
	case errors.Is(err, operation.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("waiting for a phone: %w", err)
	}
	return o.Version > version || !o.State.Open(), nil
}

// watchMasked waits for an approval, or for nothing.
func (c *call) watchMasked(ctx context.Context, most time.Duration) (bool, error) {
	left := c.state.Until.Sub(c.Now())
	if left <= 0 {
		return true, nil
	}
	over := c.Now().Add(min(most, left))
	var version uint64 = 1
	for {
		o, err := c.Operations.Wait(ctx, c.state.Operation, version, over.Sub(c.Now()))
		switch {
		case err != nil && !errors.Is(err, operation.ErrNotFound):
			return false, fmt.Errorf("waiting for a phone: %w", err)
		case err == nil && c.good(&o):
			return true, nil
		case err != nil || !o.State.Open():
			// Nothing can come of it any more, which is not told before its time.
			return left <= most, c.Pause(ctx, over.Sub(c.Now()))
		case !c.Now().Before(over):
			return left <= most, nil
		}
		version = o.Version
	}
}
