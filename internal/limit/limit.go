// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"container/list"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Config says what a limiter admits. All fields are required.
type Config struct {
	// Burst is how many events of a key are admitted at once, and Every how long it takes until one more is.
	Burst int
	Every time.Duration
	// Keys is how many keys are remembered.
	Keys int
	Now  func() time.Time
}

// Limiter counts events by key. It is safe for concurrent use. A nil Limiter admits everything.
type Limiter struct {
	config Config

	mu    sync.Mutex
	byKey map[string]*list.Element
	quiet *list.List // of *entry, the one that was counted last in front
}

// entry holds when the key will have been quiet for long enough to be as good as new.
type entry struct {
	key  string
	full time.Time
}

// New returns a limiter, or an error that says which field is missing.
func New(c Config) (*Limiter, error) {
	if c.Burst <= 0 || c.Every <= 0 || c.Keys <= 0 || c.Now == nil {
		return nil, errors.New("building a limiter: burst, interval, keys and a clock are required")
	}
	return &Limiter{config: c, byKey: map[string]*list.Element{}, quiet: list.New()}, nil
}

// Daily returns a limiter that admits so many events of a key at once, and from then on as many in each day.
func Daily(n, keys int, now func() time.Time) (*Limiter, error) {
	c := Config{Burst: n, Keys: keys, Now: now}
	if n > 0 {
		c.Every = 24 * time.Hour / time.Duration(n)
	}
	return New(c)
}

// Wait returns how long the key has to wait until one more event is admitted; zero when it is now. It counts nothing.
func (l *Limiter) Wait(key string) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waitLocked(key, l.config.Now())
}

// Count counts an event of the key, admitted or not. One that is not admitted makes no one wait longer.
func (l *Limiter) Count(key string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	if l.waitLocked(key, now) == 0 {
		l.countLocked(key, now)
	}
}

func (l *Limiter) countLocked(key string, now time.Time) {
	element, ok := l.byKey[key]
	if !ok {
		l.makeRoomLocked()
		element = l.quiet.PushFront(&entry{key: key})
		l.byKey[key] = element
	}
	l.quiet.MoveToFront(element)
	e := entryOf(element)
	if e.full.Before(now) {
		e.full = now
	}
	e.full = e.full.Add(l.config.Every)
}

// Budget is what a key has left.
type Budget struct {
	// Wait is how long until one more event is admitted; zero when this one was.
	Wait time.Duration
	// Left is how many more are admitted now, and Full when it will be all of them again.
	Left int
	Full time.Duration
}

// Take counts an event of the key if it is admitted, and returns what is left. A nil limiter has no bound, and a budget of
// nothing.
func (l *Limiter) Take(key string) Budget {
	if l == nil {
		return Budget{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.config.Now()
	b := Budget{Wait: l.waitLocked(key, now)}
	if b.Wait == 0 {
		l.countLocked(key, now)
	}
	b.Full = max(0, entryOf(l.byKey[key]).full.Sub(now))
	used := int((b.Full + l.config.Every - 1) / l.config.Every)
	b.Left = max(0, l.config.Burst-used)
	return b
}

// Len returns how many keys are remembered.
func (l *Limiter) Len() int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byKey)
}

// waitLocked is the generic cell rate algorithm: the key is as good as new at full, and each event moves that by Every.
func (l *Limiter) waitLocked(key string, now time.Time) time.Duration {
	element, ok := l.byKey[key]
	if !ok {
		return 0
	}
	room := time.Duration(l.config.Burst-1) * l.config.Every
	return max(0, entryOf(element).full.Sub(now)-room)
}

func (l *Limiter) makeRoomLocked() {
	for len(l.byKey) >= l.config.Keys {
		last := l.quiet.Back()
		delete(l.byKey, entryOf(last).key)
		l.quiet.Remove(last)
	}
}

func entryOf(element *list.Element) *entry {
	e, _ := element.Value.(*entry)
	return e
}

// Address returns the part of an IP address that one party controls: an IPv4 address, or the first 64 bits of an IPv6 one.
// Anything else is returned as it is.
func Address(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	return part(addr, 64)
}

// Network returns the part of an IP address that one party has who takes as much as is given away: an IPv4 address, or the first 48 bits of
// an IPv6 one, which have 65,536 times what [Address] returns. Anything else is returned as it is.
func Network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	return part(addr, 48)
}

func part(addr netip.Addr, bits int) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}
