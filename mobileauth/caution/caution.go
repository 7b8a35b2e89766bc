// SPDX-License-Identifier: Apache-2.0

package caution

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Memory is how long after the last "not me" somebody is slowed.
	Memory = time.Hour
	// Pace is the least time between two starts after one "not me", and MostPace after many.
	Pace, MostPace = 30 * time.Second, 15 * time.Minute
	// Crowd is how many people must have said it of a client before it is slowed for everybody.
	Crowd = 5
	// ClientPace is the least time between two starts of such a client, and MostClientPace after many more people.
	ClientPace, MostClientPace = time.Second, 10 * time.Second

	// remembered is how many people are told apart of those who have said it of a client.
	remembered = 64
)

// SlowedError says that an operation may not begin yet. It is an [operation.ErrTooManyOpen] for those who know no better.
type SlowedError struct {
	// Wait is how long it takes until one may.
	Wait time.Duration
}

// Error does not say whom the caution is about.
func (e *SlowedError) Error() string { return "operations that begin here are slowed" }

// Unwrap returns [operation.ErrTooManyOpen].
func (*SlowedError) Unwrap() error { return operation.ErrTooManyOpen }

// Store keeps the marks. It is safe for concurrent use, and any number of them may stand over one database.
type Store struct {
	db    storage.DB
	now   func() time.Time
	marks storage.Table[mark]
}

// mark is what is held against an address, a client, or a client in what concerns one user.
type mark struct {
	ID string `json:"-"`
	// Count are the "not me" since the mark was made, and Last the last one.
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
	// People are those who said it, as hashes, where they are counted.
	People []string `json:"people,omitempty"`
	// Next is when the next operation may begin.
	Next time.Time `json:"next"`
}

// New returns a store. It reads and writes nothing yet.
func New(db storage.DB, now func() time.Time) (*Store, error) {
	if db == nil || now == nil {
		return nil, errors.New("creating the store of cautions: a database and a clock are required")
	}
	return &Store{db: db, now: now, marks: markTable()}, nil
}

func markTable() storage.Table[mark] {
	return storage.Table[mark]{
		Name: "caution", Version: 1,
		ID:     func(m *mark) string { return m.ID },
		Expiry: func(m *mark) time.Time { return m.Last.Add(Memory) },
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	marks := markTable()
	return []storage.Kind{&marks}
}

// OnChange is for operation.Config.OnChange: it refuses with a [SlowedError] what begins too early, and marks whoever began what a
// person says they did not. A registration is begun by the person, and is neither.
func (s *Store) OnChange(tx storage.Tx, c operation.Change) error {
	switch o := &c.Operation; {
	case o.Kind == operation.Registration:
		return nil
	case c.What == operation.Started:
		return s.admit(tx, o)
	case c.What == operation.NotMe:
		return s.mark(tx, o)
	}
	return nil
}

// Wait returns how long whoever would begin such an operation has to wait; zero when it may begin now. It counts nothing.
func (s *Store) Wait(ctx context.Context, client, user, address string) (wait time.Duration, err error) {
	o := &operation.Operation{ClientID: client, UserID: user, From: address}
	err = s.db.View(ctx, func(tx storage.Tx) error {
		_, wait, err = s.held(tx, o)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("looking for cautions: %w", err)
	}
	return wait, nil
}

// subject is somebody who is held to a pace.
type subject struct {
	id   string
	pace func(m *mark) time.Duration
}

func subjects(o *operation.Operation) []subject {
	var all []subject
	if o.From != "" {
		all = append(all, subject{name("address", limit.Address(o.From)), (*mark).pace})
	}
	if o.ClientID == "" {
		return all // it is ours: a realm that asks, at an address
	}
	if !o.OwnRequest { // what came with the user's credential no client has begun by naming somebody
		all = append(all, subject{name("client", o.ClientID), (*mark).clientPace})
	}
	if o.UserID != "" {
		all = append(all, subject{name("client for user", o.ClientID, o.UserID), (*mark).pace})
	}
	return all
}

// name is the key of a mark: of what it is about, nothing can be read.
func name(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// held returns the marks that hold an operation to a pace, and how long it has to wait.
func (s *Store) held(tx storage.Tx, o *operation.Operation) (marks []mark, wait time.Duration, err error) {
	now := s.now()
	for _, who := range subjects(o) {
		m, found, err := s.marks.Find(tx, who.id)
		if err != nil {
			return nil, 0, err
		}
		if !found || who.pace(&m) == 0 {
			continue
		}
		wait = max(wait, m.Next.Sub(now))
		m.ID, m.Next = who.id, now.Add(who.pace(&m))
		marks = append(marks, m)
	}
	return marks, wait, nil
}

// admit lets an operation begin, and has the next one wait.
func (s *Store) admit(tx storage.Tx, o *operation.Operation) error {
	marks, wait, err := s.held(tx, o)
	if err != nil {
		return err
	}
	if wait > 0 {
		return &SlowedError{Wait: wait}
	}
	for _, m := range marks {
		if err := s.marks.Put(tx, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) mark(tx storage.Tx, o *operation.Operation) error {
	now := s.now()
	for _, who := range subjects(o) {
		m, _, err := s.marks.Find(tx, who.id)
		if err != nil {
			return err
		}
		m.ID, m.Last = who.id, now
		m.Count++
		if person := name("person", o.UserID)[:16]; !slices.Contains(m.People, person) && len(m.People) < remembered {
			m.People = append(m.People, person)
		}
		if next := now.Add(who.pace(&m)); next.After(m.Next) {
			m.Next = next
		}
		if err := s.marks.Put(tx, m); err != nil {
			return err
		}
	}
	return nil
}

func (m *mark) pace() time.Duration { return doubled(Pace, m.Count-1, MostPace) }

func (m *mark) clientPace() time.Duration {
	if len(m.People) < Crowd {
		return 0
	}
	return doubled(ClientPace, len(m.People)-Crowd, MostClientPace)
}

func doubled(pace time.Duration, times int, most time.Duration) time.Duration {
	for range times {
		if pace *= 2; pace >= most {
			return most
		}
	}
	return pace
}
