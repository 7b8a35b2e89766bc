// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/storage"
)

// ErrSpent says that no more messages may be sent; see [SpentError].
var ErrSpent = errors.New("no more messages may be sent")

// The limits, as a [SpentError] names them.
const (
	OfNumber  = "number"
	OfPrefix  = "prefix"
	OfUser    = "user"
	OfCountry = "country"
	OfAll     = "all"
)

// SpentError names the limit that is reached, and nothing of what it was reached by.
type SpentError struct{ Limit string }

// Error names the limit.
func (e *SpentError) Error() string { return "the messages of an hour are spent: " + e.Limit }

// Unwrap returns [ErrSpent].
func (*SpentError) Unwrap() error { return ErrSpent }

// MaxLimit is the highest limit: who sends a million messages an hour has no use for one.
const MaxLimit = 1_000_000

// Limits are messages an hour, resent ones included, at most [MaxLimit]. A zero field takes its default.
type Limits struct {
	// Number is to one number. Default: 10.
	Number int
	// Prefix is to numbers that differ in the last four digits. Default: 100.
	Prefix int
	// User is about one user, whatever the numbers. Default: 10.
	User int
	// Countries are to numbers of a country (ISO 3166-1), which is otherwise not limited by itself.
	Countries map[string]int
	// All is the end: what no attack can cost more than. Default: 1000.
	All int
}

// Check refuses limits that a [Store] would not take.
func (l Limits) Check() error {
	_, err := l.normalize()
	return err
}

func (l Limits) normalize() (Limits, error) {
	l.Number, l.Prefix, l.User, l.All = cmp.Or(l.Number, 10), cmp.Or(l.Prefix, 100), cmp.Or(l.User, 10), cmp.Or(l.All, 1000)
	if min(l.Number, l.Prefix, l.User, l.All) < 1 {
		return l, errors.New("a limit of messages is at least 1")
	}
	if max(l.Number, l.Prefix, l.User, l.All) > MaxLimit {
		return l, fmt.Errorf("a limit of messages is at most %d", MaxLimit)
	}
	countries := make(map[string]int, len(l.Countries))
	for country, n := range l.Countries {
		if len(country) < 2 || len(country) > 3 || n < 1 || n > MaxLimit {
			return l, fmt.Errorf("limit of country %q: want an ISO 3166-1 code and 1 to %d", country, MaxLimit)
		}
		countries[strings.ToUpper(country)] = n
	}
	l.Countries = countries
	return l, nil
}

// Config describes a [Store]. DB, Sealer and Now are required.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	Now    func() time.Time
	Limits Limits
}

// Store keeps the counters. It is safe for concurrent use, and any number of them may stand over one database.
type Store struct {
	db       storage.DB
	sealer   storage.Sealer
	now      func() time.Time
	limits   Limits
	counters storage.Table[counter]
}

// window is for how long messages count.
const window = time.Hour

// counter counts in windows that slide: of the window before, the part that has not passed yet counts.
type counter struct {
	ID string `json:"-"`
	// Country is set where the counter is one of a country.
	Country string `json:"country,omitempty"`
	// Hour numbers the window since 1970.
	Hour int64 `json:"hour"`
	Sent int   `json:"sent"`
	Was  int   `json:"was,omitempty"` // sent in the window before
	// Typed and TypedWas are how many codes were typed in, in either.
	Typed    int `json:"typed,omitempty"`
	TypedWas int `json:"typed_was,omitempty"`
}

const (
	counterTable = "sms_budget"
	byCountry    = "country:"
)

// New returns a store. It reads and writes nothing yet.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Now == nil {
		return nil, errors.New("creating a budget of messages: DB, Sealer and Now are required")
	}
	limits, err := c.Limits.normalize()
	if err != nil {
		return nil, fmt.Errorf("creating a budget of messages: %w", err)
	}
	return &Store{
		db: c.DB, sealer: c.Sealer, now: c.Now, limits: limits, counters: newTable(),
	}, nil
}

func newTable() storage.Table[counter] {
	return storage.Table[counter]{
		Name: counterTable, Version: 1,
		ID:     func(c *counter) string { return c.ID },
		Expiry: func(c *counter) time.Time { return time.Unix(0, 0).Add(time.Duration(c.Hour+2) * window) },
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind {
	table := newTable()
	return []storage.Kind{&table}
}

// Limits returns the limits that hold, defaults included. They are not to be changed.
func (s *Store) Limits() Limits { return s.limits }

// Message is what is to be sent.
type Message struct {
	Number phonenumber.Number
	UserID string
}

// line is one counter that a message counts in, and how much it may hold.
type line struct {
	limit   string
	id      string
	country string
	most    int
}

// lines are the counters of a message. The one of the country comes first: it is counted also where it is not limited.
func (s *Store) lines(m Message) ([]line, error) {
	key, err := s.sealer.Derive("sms budget")
	if err != nil {
		return nil, fmt.Errorf("deriving the key of a budget of messages: %w", err)
	}
	country := cmp.Or(m.Number.Country(), "none")
	most, limited := s.limits.Countries[country]
	if !limited {
		most = s.limits.All
	}
	return []line{
		{OfCountry, byCountry + country, country, most},
		{OfNumber, name(key, "number", m.Number.E164()), "", s.limits.Number},
		{OfPrefix, name(key, "prefix", m.Number.Prefix()), "", s.limits.Prefix},
		{OfUser, name(key, "user", m.UserID), "", s.limits.User},
		{OfAll, "all", "", s.limits.All},
	}, nil
}

// name is the id of a counter, from which nobody reads what it counts.
func name(key []byte, kind, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\n" + value))
	return kind + ":" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// read returns a counter as it stands at now.
func (s *Store) read(tx storage.Tx, l line, now time.Time) (counter, error) {
	c, _, err := s.counters.Find(tx, l.id)
	if err != nil {
		return counter{}, fmt.Errorf("reading a budget of messages: %w", err)
	}
	c.ID, c.Country = l.id, l.country
	c.roll(now)
	return c, nil
}

// roll turns to the window of now.
func (c *counter) roll(now time.Time) {
	hour := now.Unix() / int64(window/time.Second)
	switch {
	case hour <= c.Hour:
		return // of this hour, or written by a clock that is ahead
	case hour == c.Hour+1:
		c.Was, c.TypedWas = c.Sent, c.Typed
	default:
		c.Was, c.TypedWas = 0, 0
	}
	c.Hour, c.Sent, c.Typed = hour, 0, 0
}

// spent is how many messages count at now. In seconds it is exact far beyond [MaxLimit].
func (c *counter) spent(now time.Time) int {
	const whole = int64(window / time.Second)
	left := whole - now.Unix()%whole
	return c.Sent + int((int64(c.Was)*left+whole-1)/whole)
}

// Spend counts a message that is going to be sent if the transaction commits, or refuses it with a [SpentError], which has counted
// nothing. It makes at most five writes.
func (s *Store) Spend(tx storage.Tx, m Message) error {
	now := s.now()
	lines, err := s.lines(m)
	if err != nil {
		return err
	}
	counters := make([]counter, 0, len(lines))
	for _, l := range lines {
		c, err := s.read(tx, l, now)
		if err != nil {
			return err
		}
		if c.spent(now) >= l.most {
			return &SpentError{l.limit}
		}
		c.Sent++
		counters = append(counters, c)
	}
	for _, c := range counters {
		if err := s.counters.Put(tx, c); err != nil {
			return fmt.Errorf("spending a budget of messages: %w", err)
		}
	}
	return nil
}

// Check says what [Store.Spend] would, and counts nothing.
func (s *Store) Check(tx storage.Tx, m Message) error {
	now := s.now()
	lines, err := s.lines(m)
	if err != nil {
		return err
	}
	for _, l := range lines {
		c, err := s.read(tx, l, now)
		if err != nil {
			return err
		}
		if c.spent(now) >= l.most {
			return &SpentError{l.limit}
		}
	}
	return nil
}

// Typed counts that the code of a message was typed in.
func (s *Store) Typed(tx storage.Tx, n phonenumber.Number) error {
	lines, err := s.lines(Message{Number: n})
	if err != nil {
		return err
	}
	c, err := s.read(tx, lines[0], s.now())
	if err != nil {
		return err
	}
	c.Typed++
	if err := s.counters.Put(tx, c); err != nil {
		return fmt.Errorf("counting a code: %w", err)
	}
	return nil
}

// Conversion is how much of what was sent to a country was of use, in this hour and the one before.
type Conversion struct {
	// Country is its ISO 3166-1 code, "001" or "none" for numbers of none.
	Country string
	// Sent are the messages, Typed the codes among them that were typed in.
	Sent, Typed int
}

// Conversions returns what was sent where, by country. A country of which little is typed in is one whose numbers somebody may
// earn from.
func (s *Store) Conversions(ctx context.Context) (all []Conversion, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx storage.Tx) error {
		all = nil
		for c, err := range s.counters.All(tx, byCountry, 300) {
			if err != nil {
				return err
			}
			if c.Country == "" {
				break // beyond the countries
			}
			if c.roll(now); c.Sent+c.Was > 0 {
				all = append(all, Conversion{c.Country, c.Sent + c.Was, c.Typed + c.TypedWas})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what messages were of use: %w", err)
	}
	slices.SortFunc(all, func(a, b Conversion) int { return cmp.Compare(a.Country, b.Country) })
	return all, nil
}
