// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"time"
)

// Looker returns what the loop does when it is woken, short of delivering.
func (o *Outbox) Looker() func(ctx context.Context) (ready int, err error) {
	l := &loop{Outbox: o, floors: map[string]time.Time{}, under: map[string]string{}, rests: map[string]time.Time{}}
	return func(ctx context.Context) (int, error) {
		found, _, err := l.find(ctx)
		return len(found), err
	}
}
