// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// The ages of a provider token: when it is replaced, until when Apple takes it, and how soon Apple takes the next one.
const (
	tokenUse   = 50 * time.Minute
	tokenLife  = time.Hour
	tokenPause = 20 * time.Minute
)

// errHeld is a token that may not be made yet.
var errHeld = errors.New("no new provider token is made yet: Apple has complained of too many")

// minted is a provider token.
type minted struct {
	text string
	at   time.Time
}

// bearer makes the provider tokens of one team and hands them out. It is safe for concurrent use.
type bearer struct {
	signer *jose.Signer
	team   string
	now    func() time.Time

	mu               sync.Mutex
	current, earlier minted
	held             time.Time // no token is made before
	back             bool      // the earlier token is used again, and no connection has seen that yet
}

func newBearer(c *Config) (*bearer, error) {
	signer, err := jose.NewSigner(jose.PrivateKey{KID: c.KeyID, Alg: jose.ES256, Signer: c.Key.private}, "")
	if err != nil {
		return nil, fmt.Errorf("preparing provider tokens: %w", err)
	}
	// Ages are those of the wall clock, which a computer that was asleep finds moved; the monotonic one stands still meanwhile.
	return &bearer{signer: signer, team: c.TeamID, now: func() time.Time { return c.Now().Round(0) }}, nil
}

// get returns the token to use now.
func (b *bearer) get() (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	age := now.Sub(b.current.at)
	switch {
	case b.current.text == "" && !now.Before(b.held), age >= tokenUse && !now.Before(b.held), age < -time.Minute:
		return b.mintLocked(now)
	case b.current.text == "" || age >= tokenLife:
		return "", errHeld
	case b.back:
		b.back, b.held = false, now.Add(tokenPause) // the pause counts from when a connection sees the token
	}
	return b.current.text, nil
}

// expired is told that Apple finds a token too old. It returns one that is worth another try; false when there is none: a token that
// was made just now is too old only where the clock is wrong, and making more of them is what Apple punishes.
func (b *bearer) expired(used string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	switch {
	case b.current.text != used:
		return b.current.text, true // another caller was told the same, and has made one
	case now.Sub(b.current.at) < tokenPause || now.Before(b.held):
		return "", false
	}
	text, err := b.mintLocked(now)
	return text, err == nil
}

// tooMany is told that Apple finds a token too new. None is made for a while, and the one before is used again while it is good.
func (b *bearer) tooMany(used string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.current.text != used {
		return // said of a token that is no longer used
	}
	b.held = now.Add(tokenPause)
	if b.earlier.text != "" && now.Sub(b.earlier.at) < tokenLife-time.Minute {
		b.current, b.earlier, b.back = b.earlier, minted{}, true
	}
}

func (b *bearer) mintLocked(now time.Time) (string, error) {
	text, err := b.signer.Sign(fmt.Appendf(nil, `{"iss":%q,"iat":%d}`, b.team, now.Unix()))
	if err != nil {
		return "", fmt.Errorf("making a provider token: %w", err)
	}
	b.current, b.earlier = minted{text, now}, b.current
	return text, nil
}
