// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Guess is an attempt to log in by a name and a secret that another system judges. It is counted as one of [Store.Authenticate]
// is, so that guessing is slow there too, whatever that system does about it.
type Guess struct {
	// People names whose login names these are: one name in two directories is two.
	People   string
	Login    string
	ClientIP string
}

// Entry is what entering a guess found out.
type Entry struct {
	// RetryAfter, when positive, says that the guess comes too early and must not be judged; Reason says by which limit.
	RetryAfter time.Duration
	Reason     Reason

	keys     keys
	familiar bool
}

// Enter counts a guess as a failure, before it is judged, or says how long to wait. A login name that no directory would have
// is counted like any other.
func (s *Store) Enter(ctx context.Context, g Guess) (Entry, error) {
	names, err := s.naming()
	if err != nil {
		return Entry{}, err
	}
	login, err := Canonical(g.Login)
	if err != nil {
		login = "malformed" // all of them are one name: none is anybody's
	}
	login = bare(login)
	people := strings.ReplaceAll(g.People, "\x00", "")
	entry := Entry{keys: keys{
		client: names.hash("client", "elsewhere", people, login, foldIP(g.ClientIP)), login: names.hash("login", "elsewhere", people, login),
	}}
	now := s.now()
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		var counted admission
		if err := s.pass(tx, entry.keys, &counted, now); err != nil {
			return err
		}
		entry.RetryAfter, entry.Reason, entry.familiar = counted.wait, counted.reason, counted.familiar
		return nil
	})
	if errors.Is(err, storage.ErrConflict) { // many guesses at one name at once: the sign of an attack, not of a fault
		return Entry{RetryAfter: busyRetry, Reason: ReasonStoreBusy}, nil
	}
	if err != nil {
		return Entry{}, fmt.Errorf("counting a guess: %w", err)
	}
	return entry, nil
}

// bare leaves out of a login name what directories do not tell names apart by: spaces, which most of them squeeze (RFC 4518 2.6.1),
// and accents, which Active Directory ignores. Without this, each way of writing one name would have guesses of its own.
func bare(login string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.White_Space) {
			return -1
		}
		return r
	}, norm.NFKD.String(login))
}

// Settle takes a guess back that was right, whose address is familiar from then on, or one that nobody could judge. A pause
// that earlier wrong ones have earned stays.
func (s *Store) Settle(ctx context.Context, e Entry, right bool) error {
	now := s.now()
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		if right {
			return s.absolve(tx, e.keys, admission{familiar: e.familiar}, now)
		}
		return s.retract(tx, e, now)
	})
	if err != nil {
		return fmt.Errorf("settling a guess: %w", err)
	}
	return nil
}

// retract takes one attempt out of the counters that it was counted in.
func (s *Store) retract(tx storage.Tx, e Entry, now time.Time) error {
	counted := []string{e.keys.client}
	if !e.familiar {
		counted = append(counted, e.keys.login)
	}
	for _, key := range counted {
		c, err := readCounter(tx, key, now)
		if err != nil {
			return err
		}
		c.Count = max(0, c.Count-1)
		if c.Count == 0 {
			c.Until = time.Time{}
		}
		if err := c.write(tx, now); err != nil {
			return err
		}
	}
	return nil
}
