// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Auditor is the audit trail as this package needs it. An [audit.Trail] is one.
type Auditor interface {
	// Prepare draws the id of an event and sets its time, outside the transaction.
	Prepare(audit.Event) audit.Event
	// Append stores a prepared event in the transaction that it tells of.
	Append(storage.Tx, audit.Event) error
}

// deed is something that is done to a user: how an error says it and how the audit trail does.
type deed struct{ verb, event, userID, reason string }

func (d deed) of(userID string) deed {
	d.userID = userID
	return d
}

func (d deed) because(reason string) deed {
	d.reason = reason
	return d
}

var (
	adding       = deed{verb: "adding", event: "user.add"}
	updating     = deed{verb: "updating", event: "user.update"}
	newPassword  = deed{verb: "setting the password of", event: "user.password"}
	locking      = deed{verb: "locking", event: "user.lock"}
	unlocking    = deed{verb: "unlocking", event: "user.unlock"}
	deactivating = deed{verb: "deactivating", event: "user.deactivate"}
	deleting     = deed{verb: "deleting", event: "user.delete"}
	releasing    = deed{verb: "releasing the names of", event: "user.release_names"}
)

// prepare makes the event of a deed, by whoever the context names.
func (s *Store) prepare(ctx context.Context, d deed) audit.Event {
	if s.audit == nil {
		return audit.Event{}
	}
	e := audit.Event{Name: d.event, Outcome: audit.Accepted, Subject: d.userID, Reason: d.reason}
	return s.audit.Prepare(e.From(ctx))
}

// tell stores a prepared event.
func (s *Store) tell(tx storage.Tx, e audit.Event) error {
	if s.audit == nil {
		return nil
	}
	return s.audit.Append(tx, e)
}
