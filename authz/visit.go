// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Visit is what somebody finds who comes back to go on with a request, all as it was at one moment.
type Visit struct {
	// Request is the zero value when it is not open any more.
	Request Request
	// Session is the zero value when it does not live.
	Session Session
	// Began is that moment: whatever is judged in the visit is judged later.
	Began Moment
}

// Visit reads an open request, a live session and the moment together. It proves nothing about who asks: the ids come from whoever
// presented them.
func (s *Store) Visit(ctx context.Context, request, session string) (Visit, error) {
	var v Visit
	return certain(&v, s.db.View(ctx, func(tx storage.Tx) (err error) {
		if err = storage.Prefetch(tx, s.requests.Key(request), s.sessions.Key(session), s.cutoffs.TallyKey()); err != nil {
			return err
		}
		if v.Began, err = s.cutoffs.Moment(tx, s.Now()); err != nil {
			return err
		}
		if v.Request, err = s.openRequest(tx, request); err != nil && !Gone(err) {
			return err
		}
		if v.Session, err = s.liveSession(tx, session); Gone(err) {
			return nil
		}
		return err
	}))
}
