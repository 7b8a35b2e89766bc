// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/validation"
)

// How long a set is fresh: as long as the issuer says, within bounds.
const (
	MinFresh     = time.Minute
	DefaultFresh = 15 * time.Minute // where the issuer does not say
	MaxFresh     = time.Hour
)

// Defaults of [KeysConfig].
const (
	DefaultStaleFor = 6 * time.Hour
	DefaultFloor    = 10 * time.Second
)

// ErrUnavailable is wrapped when an issuer cannot be asked and nothing it said before may still be used.
var ErrUnavailable = errors.New("the issuer is not available")

// KeysConfig says where the keys of an issuer are and for how long they are believed.
type KeysConfig struct {
	// Issuer is whose keys they are: https, or http on a loopback host. Required.
	Issuer string
	// JWKSURI is the address of the key set. Default: what the issuer's metadata says.
	JWKSURI string
	// Client carries the requests. Its cookies and its rule for redirects are not used. Required.
	Client *http.Client
	// Now is the clock. Required.
	Now func() time.Time
	// StaleFor is for how long a set that is no longer fresh may be used while the issuer is down. Default:
	// [DefaultStaleFor].
	StaleFor time.Duration
	// Floor is the time between two fetches, whatever asks for them. Default: [DefaultFloor].
	Floor time.Duration
	// Logger, unless nil, is told of fetches that went wrong.
	Logger *slog.Logger
}

// Keys are the keys of a remote issuer. It is safe for concurrent use.
type Keys struct {
	config KeysConfig
	client *client
	set    atomic.Pointer[keySet]

	mu        sync.Mutex
	flight    *flight // the fetch under way
	attempted time.Time
	failure   error // of the last fetch
}

// keySet is what a fetch brought.
type keySet struct {
	keys                   validation.KeySet
	freshUntil, staleUntil time.Time
}

// flight is a fetch that any number of requests wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// NewKeys returns the keys of an issuer, or an error that says what the configuration lacks. It fetches nothing.
func NewKeys(c KeysConfig) (*Keys, error) {
	if c.StaleFor == 0 {
		c.StaleFor = DefaultStaleFor
	}
	if c.Floor == 0 {
		c.Floor = DefaultFloor
	}
	if c.Client == nil || c.Now == nil || c.StaleFor < 0 || c.Floor < 0 {
		return nil, fmt.Errorf("preparing the keys of %q: a client and a clock are required, and no time may be negative", host(c.Issuer))
	}
	if err := checkAddress(c.Issuer, true); err != nil {
		return nil, fmt.Errorf("preparing the keys of %q: %w", host(c.Issuer), err)
	}
	if c.JWKSURI != "" {
		// Whoever configures both addresses may put them where he likes.
		if err := checkAddress(c.JWKSURI, true); err != nil {
			return nil, fmt.Errorf("preparing the keys at %q: %w", host(c.JWKSURI), err)
		}
	}
	return &Keys{config: c, client: newClient(c.Client, true)}, nil
}

// Key returns the key with an identifier: from memory while the set is fresh. An identifier the set does not have makes it
// fetched again, since issuers rotate their keys, but no sooner than the floor allows. [validation.ErrUnknownKey] means
// that the issuer has no such key, [ErrUnavailable] that there is no set to look into.
func (k *Keys) Key(ctx context.Context, kid string) (validation.Key, error) {
	now := k.config.Now()
	set := k.set.Load()
	if set != nil {
		key, err := set.keys.Key(ctx, kid)
		if err == nil && now.Before(set.freshUntil) {
			return key, nil
		}
		// While the issuer is known to be down, a request that can be served by the old set does not wait for it.
		if err == nil && now.Before(set.staleUntil) && k.tryAgain(ctx, now) {
			return key, nil
		}
	}
	failure := k.refresh(ctx, now)
	if set = k.set.Load(); set != nil && now.Before(set.staleUntil) {
		return set.keys.Key(ctx, kid)
	}
	if failure == nil {
		failure = errors.New("the keys are too old")
	}
	return validation.Key{}, fmt.Errorf("%w: %w", ErrUnavailable, failure)
}

// tryAgain starts a fetch when one is due and does not wait for it; false when the last fetch went well, so that the next
// is worth waiting for.
func (k *Keys) tryAgain(ctx context.Context, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure == nil {
		return false
	}
	k.takeOffLocked(ctx, now)
	return true
}

// refresh waits for the fetch under way, or for a new one when that is due. It returns why there is no new set.
func (k *Keys) refresh(ctx context.Context, now time.Time) error {
	k.mu.Lock()
	f, failure := k.takeOffLocked(ctx, now), k.failure
	k.mu.Unlock()
	if f == nil {
		return failure
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// takeOffLocked returns the fetch under way, after starting it when it is due; nil when there is none.
func (k *Keys) takeOffLocked(ctx context.Context, now time.Time) *flight {
	if k.flight != nil {
		return k.flight
	}
	// A clock that was set back does not keep the keys from being fetched.
	if !k.attempted.IsZero() && now.Sub(k.attempted) < k.config.Floor && !now.Before(k.attempted) {
		return nil
	}
	k.attempted = now
	k.flight = &flight{done: make(chan struct{})}
	// The request that happens to come first may go away; those that wait with it stay.
	go k.fly(context.WithoutCancel(ctx), k.flight)
	return k.flight
}

func (k *Keys) fly(ctx context.Context, f *flight) {
	set, err := k.fetch(ctx)
	if err == nil {
		k.set.Store(set)
	} else if k.config.Logger != nil {
		k.config.Logger.LogAttrs(ctx, slog.LevelWarn, "fetching keys went wrong",
			slog.String("issuer", k.config.Issuer), slog.String("cause", err.Error()))
	}
	k.mu.Lock()
	k.flight, k.failure, f.err = nil, err, err
	k.mu.Unlock()
	close(f.done)
}

// fetch asks the issuer. It runs outside any request, where nobody would catch a panic of the client's transport.
func (k *Keys) fetch(ctx context.Context) (set *keySet, err error) {
	defer func() {
		if p := recover(); p != nil {
			set, err = nil, fmt.Errorf("fetching the keys of %q: a panic: %v", k.config.Issuer, p)
		}
	}()
	address := k.config.JWKSURI
	if address == "" {
		m, err := k.client.discover(ctx, k.config.Issuer)
		if err != nil {
			return nil, err
		}
		address = m.JWKSURI
	}
	body, header, err := k.client.get(ctx, address, jose.MaxSet)
	if err != nil {
		return nil, fmt.Errorf("fetching the keys of %q: %w", k.config.Issuer, err)
	}
	keys, err := validation.ParseKeySet(body)
	if err != nil {
		return nil, fmt.Errorf("fetching the keys of %q: %w", k.config.Issuer, err)
	}
	fresh := k.config.Now().Add(freshness(header))
	return &keySet{keys: keys, freshUntil: fresh, staleUntil: fresh.Add(k.config.StaleFor)}, nil
}

// freshness returns for how long an answer is fresh (RFC 9111 4.2.1), within the bounds.
func freshness(header http.Header) time.Duration {
	fresh := DefaultFresh
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return MinFresh
		case "max-age":
			// A number too large to read is as good as the largest; anything else counts as no time at all.
			seconds, _ := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			fresh = time.Duration(seconds) * time.Second
		}
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		fresh -= time.Duration(age) * time.Second
	}
	return min(max(fresh, MinFresh), MaxFresh)
}
