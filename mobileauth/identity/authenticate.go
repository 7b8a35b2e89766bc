// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// busyRetry is what a caller is told to wait when the hasher or the store is overrun.
const busyRetry = 2 * time.Second

// ReasonTooManyFailures is the status reason of a user locked by [Config].LockAfter.
const ReasonTooManyFailures = "too many wrong passwords"

// Attempt is somebody's claim to be a user.
type Attempt struct {
	Login    string
	Password string
	// ClientIP is the address the attempt comes from, as the server knows it. IPv6 addresses count by their /64.
	ClientIP string
}

// LogValue keeps the password, and a login that may be one, out of logs.
func (a Attempt) LogValue() slog.Value { return slog.StringValue("login attempt") }

// String keeps the password, and a login that may be one, out of texts.
func (a Attempt) String() string { return "login attempt" }

// GoString is String for the %#v verb.
func (a Attempt) GoString() string { return a.String() }

// Result is what the caller may act on and show.
type Result string

// The results of an attempt. The zero value is none of them and must be treated as Refused.
const (
	// Accepted: the password belongs to the login and the user may log in.
	Accepted Result = "accepted"
	// Refused: it does not, or the user may not. Which of these is in Reason, for the audit trail alone.
	Refused Result = "refused"
	// Throttled: too many attempts; nothing was checked. It says nothing about whether the login exists.
	Throttled Result = "throttled"
	// Busy: too many attempts by everybody together; nothing was checked.
	Busy Result = "busy"
)

// Reason is why an attempt was not accepted. It is for the audit trail; showing it tells strangers who has an account.
type Reason string

// The reasons.
const (
	ReasonMalformed       Reason = "malformed"        // a login no user can have, or a password nobody can have
	ReasonUnknownLogin    Reason = "unknown_login"    //
	ReasonNoPassword      Reason = "no_password"      // the user has none
	ReasonWrongPassword   Reason = "wrong_password"   //
	ReasonLocked          Reason = "locked"           // whatever the password
	ReasonDeactivated     Reason = "deactivated"      // whatever the password
	ReasonChanged         Reason = "changed"          // the password was replaced while the old one was being checked
	ReasonThrottledClient Reason = "throttled_client" // by the limit per login and address
	ReasonThrottledLogin  Reason = "throttled_login"  // by the limit per login over all addresses
	ReasonHasherBusy      Reason = "hasher_busy"      // the queue of the hasher is full
	ReasonStoreBusy       Reason = "store_busy"       // the store gave up on contention
)

// Outcome is what became of an attempt.
type Outcome struct {
	Result Result
	// User is set when the attempt was accepted.
	User User
	// RetryAfter is how long to wait when the attempt was throttled or the server busy.
	RetryAfter time.Duration
	// Reason is for the audit trail alone.
	Reason Reason
	// UserID is, for the audit trail alone, whom the login belongs to, if anybody and if that was looked up.
	UserID string
}

// admission is what counting an attempt found out.
type admission struct {
	wait     time.Duration // throttled when positive
	user     record        // zero for an unknown login
	reason   Reason        // throttled: by which limit; else why even a right password will be refused
	familiar bool          // the counter over all addresses was left alone
	locked   audit.Event   // what to tell if this attempt locks the user
}

// Authenticate decides an attempt. Every refusal is an [Outcome]; an error means that nothing could be decided, and the
// answer is no. The package comment describes the steps.
func (s *Store) Authenticate(ctx context.Context, a Attempt) (Outcome, error) {
	login, err := Canonical(a.Login)
	if err != nil || a.Password == "" || len(a.Password) > MaxPassword {
		return Outcome{Result: Refused, Reason: ReasonMalformed}, nil
	}
	names, err := s.naming()
	if err != nil {
		return Outcome{}, err
	}
	p, err := s.hasher.reserve()
	if err != nil {
		return Outcome{Result: Busy, Reason: ReasonHasherBusy, RetryAfter: busyRetry}, nil
	}
	defer p.release()

	k := names.keys(login, a.ClientIP)
	entry, err := s.count(ctx, login, k)
	if err != nil {
		return broken("counting a login attempt", err)
	}
	if entry.wait > 0 {
		return Outcome{Result: Throttled, Reason: entry.reason, RetryAfter: entry.wait, UserID: entry.user.ID}, nil
	}
	match, err := p.verify(ctx, entry.user.hash(), a.Password)
	if err != nil {
		return Outcome{}, fmt.Errorf("checking a password: %w", err)
	}
	if entry.reason != "" || !match {
		return Outcome{Result: Refused, Reason: entry.refusal(), UserID: entry.user.ID}, nil
	}
	renewed, err := s.renew(ctx, p, entry.user.hash(), a.Password)
	if err != nil {
		return Outcome{}, fmt.Errorf("renewing a password hash: %w", err)
	}
	out, err := s.settle(ctx, k, entry, renewed)
	if err != nil {
		return broken("settling a login", err)
	}
	return out, nil
}

// broken turns contention the store gave up on into an outcome: it is the sign of an attack on one login, not of a fault.
func broken(doing string, err error) (Outcome, error) {
	if errors.Is(err, storage.ErrConflict) {
		return Outcome{Result: Busy, Reason: ReasonStoreBusy, RetryAfter: busyRetry}, nil
	}
	return Outcome{}, fmt.Errorf("%s: %w", doing, err)
}

func (e *admission) refusal() Reason {
	if e.reason != "" {
		return e.reason
	}
	return ReasonWrongPassword
}

func (r *record) hash() string {
	if r.Credential == nil {
		return ""
	}
	return r.Credential.Hash
}

// renew returns a hash with the current parameters if the one that matched has others, else nothing.
func (s *Store) renew(ctx context.Context, p place, hash, password string) (string, error) {
	if !s.hasher.NeedsRehash(hash) {
		return "", nil
	}
	return p.hash(ctx, password)
}

// count enters an attempt in the counters, unless they say that it comes too early, and loads whom it is about.
func (s *Store) count(ctx context.Context, login string, k keys) (admission, error) {
	now := s.now()
	var locked audit.Event
	if s.lockAfter > 0 {
		locked = s.prepare(ctx, locking.because(ReasonTooManyFailures))
	}
	var entry admission
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		entry = admission{locked: locked}
		if err := storage.Follow(tx, s.ways(login), counters.Key(k.client), counters.Key(k.login)); err != nil {
			return err
		}
		if err := s.find(tx, login, &entry); err != nil {
			return err
		}
		if err := s.pass(tx, k, &entry, now); err != nil || entry.wait > 0 {
			return err
		}
		return s.countFailure(tx, &entry, now)
	})
	return entry, err
}

// ways lead from a login to what counting an attempt reads of a user.
func (s *Store) ways(login string) []storage.Way {
	user := s.users.Way(byLogin, login)
	if s.lockAfter == 0 {
		return []storage.Way{user}
	}
	return []storage.Way{user, failureTable.From(user.Key)}
}

func (s *Store) find(tx storage.Tx, login string, entry *admission) error {
	user, err := s.users.Lookup(tx, byLogin, login)
	if errors.Is(err, storage.ErrNotFound) {
		entry.reason = ReasonUnknownLogin
		return nil
	}
	if err != nil {
		return err
	}
	entry.user, entry.reason = user, user.obstacle()
	return nil
}

// obstacle is why the user cannot log in by password, whatever the password.
func (r *record) obstacle() Reason {
	switch {
	case r.Status == Locked:
		return ReasonLocked
	case r.Status != Active:
		return ReasonDeactivated
	case r.Credential == nil:
		return ReasonNoPassword
	}
	return ""
}

// pass consults both counters and counts the attempt in them, or sets how long to wait.
func (s *Store) pass(tx storage.Tx, k keys, entry *admission, now time.Time) error {
	client, err := readCounter(tx, k.client, now)
	if err != nil {
		return err
	}
	if wait := client.wait(now); wait > 0 {
		entry.wait, entry.reason = wait, ReasonThrottledClient
		return nil
	}
	entry.familiar = now.Before(client.Familiar)
	if !entry.familiar {
		all, err := readCounter(tx, k.login, now)
		if err != nil {
			return err
		}
		if wait := all.wait(now); wait > 0 {
			entry.wait, entry.reason = wait, ReasonThrottledLogin
			return nil
		}
		all.add(s.throttle.PerLogin, now)
		if err := all.write(tx, now); err != nil {
			return err
		}
	}
	client.add(s.throttle.PerClient, now)
	return client.write(tx, now)
}

// countFailure takes every attempt for a failure until it is settled. The attempt after the last one allowed locks the
// user and is refused whatever its password.
func (s *Store) countFailure(tx storage.Tx, entry *admission, now time.Time) error {
	if s.lockAfter == 0 || entry.reason != "" {
		return nil
	}
	f, _, err := failureTable.Find(tx, entry.user.ID)
	if err != nil {
		return err
	}
	if f.Count < s.lockAfter {
		return failureTable.Put(tx, failures{UserID: entry.user.ID, Count: f.Count + 1})
	}
	if err := entry.user.exclude(Locked, ReasonTooManyFailures, now); err != nil {
		return err
	}
	entry.reason, entry.locked.Subject = ReasonLocked, entry.user.ID
	if err := s.put(tx, &entry.user, now, s.revoke); err != nil {
		return err
	}
	return s.tell(tx, entry.locked)
}

// settle accepts a right password, if the user is still who they were when it was checked, and takes the attempt back out
// of the counters. A renewed hash replaces the one that matched.
func (s *Store) settle(ctx context.Context, k keys, entry admission, renewed string) (Outcome, error) {
	now := s.now()
	var out Outcome
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		if err := storage.Prefetch(tx, s.users.Key(entry.user.ID), counters.Key(k.login), failureTable.Key(entry.user.ID)); err != nil {
			return err
		}
		r, err := s.users.Get(tx, entry.user.ID)
		if err != nil {
			return err
		}
		out = Outcome{Result: Refused, Reason: r.obstacle(), UserID: r.ID}
		if out.Reason != "" {
			return nil
		}
		if r.Credential.Generation != entry.user.Credential.Generation {
			out.Reason = ReasonChanged
			return nil
		}
		if renewed != "" {
			// No new version: nothing changed that a reader of the record could see.
			r.Credential.Hash = renewed
			if err := s.users.Put(tx, r); err != nil {
				return err
			}
		}
		if err := s.absolve(tx, k, entry, now); err != nil {
			return err
		}
		out = Outcome{Result: Accepted, User: r.User, UserID: r.ID}
		return nil
	})
	if err != nil {
		return Outcome{}, err
	}
	return out, nil
}

// absolve clears the counter of this login and address, takes one attempt out of the counter over all addresses, and ends
// the row of wrong passwords.
func (s *Store) absolve(tx storage.Tx, k keys, entry admission, now time.Time) error {
	client := counter{Key: k.client, Familiar: now.Add(s.throttle.Familiar)}
	if err := client.write(tx, now); err != nil {
		return err
	}
	if !entry.familiar {
		all, err := readCounter(tx, k.login, now)
		if err != nil {
			return err
		}
		all.Count = max(0, all.Count-1)
		if err := all.write(tx, now); err != nil {
			return err
		}
	}
	if s.lockAfter == 0 || entry.user.ID == "" {
		return nil
	}
	return failureTable.Delete(tx, entry.user.ID)
}
