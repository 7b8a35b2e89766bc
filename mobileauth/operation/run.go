// SPDX-License-Identifier: Apache-2.0

package operation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// duePrefix is where the operations stand in the order in which their time is over.
	duePrefix = "operation_due/"
	// dueRoom is the number of items that one transaction of the sweep writes at most; an operation that expires takes dueCost.
	dueRoom = 56
	dueCost = 14
	// dueKeep is for how long an entry outlives its operation's time, if nobody sweeps.
	dueKeep = 24 * time.Hour
	// tailWindow is how far back starts are looked for: clocks of nodes differ, and commits take time.
	tailWindow = 3 * time.Second
	// tailMost bounds one look.
	tailMost = 20_000
)

// endUntold is the value of an entry for an operation that has ended and of which nobody was told yet.
const endUntold = "tell"

// switchDue is the value of an entry for an operation that another way may take over.
const switchDue = "switch"

// sweeper is who ends operations, in the audit trail, where time or the end of something else does.
const sweeper = "server"

// dueItems are the entries of an operation: when it ends, and when another way takes over.
func dueItems(o *Operation) []storage.Item {
	items := []storage.Item{{Key: dueKey(o.AnswerBy, o.ID), ExpiresAt: o.AnswerBy.Add(dueKeep)}}
	if o.Late != nil {
		items = append(items, storage.Item{Key: dueKey(o.Late.At, o.ID), Value: []byte(switchDue), ExpiresAt: o.AnswerBy.Add(dueKeep)})
	}
	return items
}

func dueKey(at time.Time, id string) string {
	return fmt.Sprintf("%s%013d/%s", duePrefix, at.UnixMilli(), id)
}

// dueID returns the operation that an entry is about.
func dueID(key string) string {
	_, id, _ := strings.Cut(strings.TrimPrefix(key, duePrefix), "/")
	return id
}

// Run does what time asks for until ctx ends: it writes down what has expired, writes into the audit trail and tells what
// [Store.CloseForDevice] and [Store.CloseForUser] have ended, and wakes those who wait for what other stores have done. That
// the store cannot be read is logged when it begins and when it ends.
func (s *Store) Run(ctx context.Context) {
	rounds.Run(ctx, Interval, rounds.Trouble{
		Logger: s.logger, Begins: "operations that expire are not noted", Ends: "operations that expire are noted again",
	}, s.Tick)
}

// Tick is one round of [Store.Run].
func (s *Store) Tick(ctx context.Context) error {
	return errors.Join(s.tail(ctx), s.Expire(ctx))
}

// Expire writes down every operation whose time is over, and tells of every one that was ended in somebody else's transaction.
func (s *Store) Expire(ctx context.Context) error {
	for {
		more, err := s.expireSome(ctx)
		if err != nil {
			return fmt.Errorf("expiring operations: %w", err)
		}
		if !more {
			return nil
		}
	}
}

// expireSome takes what fits into one transaction, and reports whether there may be more.
func (s *Store) expireSome(ctx context.Context) (more bool, err error) {
	now := s.now()
	var keys, late []string
	err = s.db.View(ctx, func(tx storage.Tx) error {
		keys, late = nil, nil
		for item, err := range tx.Scan(duePrefix, "", dueRoom) {
			if err != nil {
				return err
			}
			if item.Key >= dueKey(now.Add(time.Millisecond), "") {
				break
			}
			if string(item.Value) == switchDue {
				late = append(late, item.Key)
				continue
			}
			keys = append(keys, item.Key)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if err := s.switchDue(ctx, late, now); err != nil || len(keys) == 0 {
		return len(late) > 0, err
	}
	var expired []Operation
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		expired, more = nil, len(late) > 0
		room := dueRoom
		for _, key := range keys {
			o, did, err := s.expireOne(tx, key, now)
			if err != nil {
				return err
			}
			more = more || did != left
			if room--; did == wrote {
				expired = append(expired, o)
				room -= dueCost
			}
			if room <= dueCost {
				break
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, o := range expired {
		s.Announce(ctx, o)
	}
	return more, nil
}

// What became of an entry of those that are due.
const (
	left = iota
	dropped
	wrote
)

func (s *Store) expireOne(tx storage.Tx, key string, now time.Time) (Operation, int, error) {
	item, err := tx.Get(key)
	if errors.Is(err, storage.ErrNotFound) {
		return Operation{}, dropped, nil // another node was quicker
	}
	if err != nil {
		return Operation{}, left, err
	}
	o, found, err := s.operations.Find(tx, dueID(key))
	if err != nil {
		return o, left, err
	}
	expired := o.At(now)
	if found && expired.State.Open() {
		return o, left, nil // an entry that does not say when its operation is over
	}
	if err := tx.Delete(key); err != nil {
		return o, left, err
	}
	if found && string(item.Value) == endUntold {
		return o, wrote, s.tellEnd(tx, &o)
	}
	if !found || !o.State.Open() {
		return o, dropped, nil
	}
	e := s.audit.Prepare(event(audit.Actor{By: sweeper}, "operation.expire", &expired))
	return expired, wrote, s.close(tx, &expired, e)
}

// tellEnd writes into the audit trail, and tells, that an operation was ended in somebody else's transaction. Who did that stands
// there with the device or the user, under the same time.
func (s *Store) tellEnd(tx storage.Tx, o *Operation) error {
	if err := s.audit.Append(tx, s.audit.Prepare(event(audit.Actor{By: sweeper}, "operation.cancel", o))); err != nil {
		return err
	}
	return s.tell(tx, Ended, *o)
}

// tail wakes those who wait for operations that were started elsewhere. Ids begin with their time, the newest first, so the
// latest starts are read without any record that would have to be written for them.
func (s *Store) tail(ctx context.Context) error {
	if s.waiting.Len() == 0 {
		return nil
	}
	since := s.now().Add(-tailWindow)
	seen := s.recent(since)
	fresh := map[string]time.Time{}
	var users []string
	err := s.db.View(ctx, func(tx storage.Tx) error {
		users = nil
		clear(fresh)
		for item, err := range tx.Scan(operationTable+"/", "", tailMost) {
			if err != nil {
				return err
			}
			id := strings.TrimPrefix(item.Key, operationTable+"/")
			at := record.StartedAt(id)
			if at.Before(since) {
				break
			}
			if _, known := seen[id]; known {
				continue
			}
			o, err := s.operations.Get(tx, id)
			if err != nil {
				return err
			}
			fresh[id], users = at, append(users, o.UserID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("looking for operations of other nodes: %w", err)
	}
	s.remember(fresh)
	for _, userID := range users {
		s.waiting.Wake(userID)
	}
	return nil
}

// recent returns the starts that were told of since a moment and forgets the others.
func (s *Store) recent(since time.Time) map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]time.Time, len(s.seen))
	for id, at := range s.seen {
		if !at.Before(since) {
			seen[id] = at
		}
	}
	s.seen = seen
	return seen
}

func (s *Store) remember(fresh map[string]time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = maps.Clone(s.seen) // somebody may be reading it
	maps.Copy(s.seen, fresh)
}
