// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Limit slows attempts down: Free of them pass at once, then one each Base, 2×Base, 4×Base … up to Max. The count is void
// when Window has passed without an attempt.
type Limit struct {
	Free   int
	Base   time.Duration
	Max    time.Duration
	Window time.Duration
}

// Throttle is the pair of limits before every login name.
type Throttle struct {
	// PerClient holds per login name and client address. Default: 5 free, then 1 s to 15 min, forgotten after 1 h.
	PerClient Limit
	// PerLogin holds per login name over all addresses. Default: 50 free, then 1 s to 1 min, forgotten after 1 h.
	PerLogin Limit
	// Familiar is how long after a login an address is exempt from PerLogin; negative is never. Default: 30 days.
	Familiar time.Duration
}

// The defaults of [Throttle]. Against one login they leave an attacker about 100 guesses a day from one address and
// 1,500 a day from any number of addresses.
var (
	DefaultPerClient = Limit{Free: 5, Base: time.Second, Max: 15 * time.Minute, Window: time.Hour}
	DefaultPerLogin  = Limit{Free: 50, Base: time.Second, Max: time.Minute, Window: time.Hour}
)

// DefaultFamiliar is the default of [Throttle].Familiar.
const DefaultFamiliar = 30 * 24 * time.Hour

// normalize fills in defaults and refuses limits that would not limit, or that would stop the victim first.
func (t Throttle) normalize() (Throttle, error) {
	t.PerClient = t.PerClient.or(DefaultPerClient)
	t.PerLogin = t.PerLogin.or(DefaultPerLogin)
	if t.Familiar == 0 {
		t.Familiar = DefaultFamiliar
	}
	if err := t.PerClient.check("per_client"); err != nil {
		return t, err
	}
	if err := t.PerLogin.check("per_login"); err != nil {
		return t, err
	}
	if t.PerLogin.Free < t.PerClient.Free || t.PerLogin.Max > t.PerClient.Max {
		return t, invalid("throttle.per_login", "stricter than per_client: an attacker would keep the person out")
	}
	return t, nil
}

func (l Limit) or(d Limit) Limit {
	if l == (Limit{}) {
		return d
	}
	return l
}

func (l Limit) check(name string) error {
	if l.Free < 1 || l.Base < time.Millisecond || l.Max < l.Base || l.Window < l.Max {
		return invalid("throttle."+name, "want free >= 1 and 1ms <= base <= max <= window")
	}
	return nil
}

// delay is the pause after the given number of attempts.
func (l Limit) delay(attempts int) time.Duration {
	if attempts < l.Free {
		return 0
	}
	pause := l.Base
	for range attempts - l.Free {
		if pause *= 2; pause >= l.Max {
			return l.Max
		}
	}
	return pause
}

// counter is the state of one limit. Its key is a hash: what people type into a login field is sometimes a password.
type counter struct {
	Key   string    `json:"-"`
	Count int       `json:"n,omitempty"`
	Until time.Time `json:"u,omitzero"` // no attempt before
	// Void is when Count and Until are forgotten.
	Void time.Time `json:"v,omitzero"`
	// Familiar is set by a login: until then the address is exempt from the counter over all addresses.
	Familiar time.Time `json:"k,omitzero"`
}

var counters = storage.Table[counter]{
	Name:    "login_counter",
	Version: 1,
	ID:      func(c *counter) string { return c.Key },
	Expiry: func(c *counter) time.Time {
		if c.Familiar.After(c.Void) {
			return c.Familiar
		}
		return c.Void
	},
}

// readCounter returns the counter at key as it stands at now, a blank one if there is none.
func readCounter(tx storage.Tx, key string, now time.Time) (counter, error) {
	c, ok, err := counters.Find(tx, key)
	if err != nil {
		return counter{}, err
	}
	c.Key = key
	if !ok || !now.Before(c.Void) {
		c.Count, c.Until, c.Void = 0, time.Time{}, time.Time{}
	}
	return c, nil
}

func (c *counter) wait(now time.Time) time.Duration { return max(0, c.Until.Sub(now)) }

// add enters one attempt.
func (c *counter) add(l Limit, now time.Time) {
	c.Count++
	c.Until, c.Void = now.Add(l.delay(c.Count)), now.Add(l.Window)
}

// write keeps the counter, or removes one that says nothing.
func (c *counter) write(tx storage.Tx, now time.Time) error {
	if c.Count == 0 && !now.Before(c.Familiar) {
		return counters.Delete(tx, c.Key)
	}
	return counters.Put(tx, *c)
}

// keys are where the two counters of an attempt are kept.
type keys struct{ client, login string }

// naming is how counters are named: by a keyed hash.
type naming struct{ key []byte }

// naming asks for the key. It is called outside closures.
func (s *Store) naming() (naming, error) {
	key, err := s.counterKey()
	if err != nil {
		return naming{}, fmt.Errorf("finding the key of login counters: %w", err)
	}
	return naming{key}, nil
}

func (n naming) keys(login, clientIP string) keys {
	return keys{client: n.hash("client", login, foldIP(clientIP)), login: n.login(login)}
}

func (n naming) login(login string) string { return n.hash("login", login) }

func (n naming) hash(parts ...string) string {
	mac := hmac.New(sha256.New, n.key)
	// No part contains a NUL: a canonical login has no control characters.
	fmt.Fprint(mac, strings.Join(parts, "\x00"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// foldIP returns what an attacker cannot change at will: the IPv4 address, or the /64 of an IPv6 address, which is one
// subscriber's. Whatever is no address shares one bucket.
func foldIP(text string) string {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		pair, err := netip.ParseAddrPort(text)
		if err != nil {
			return "unknown"
		}
		addr = pair.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
