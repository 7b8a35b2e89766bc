// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"context"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// shares bound how many of the places requests to one domain have, so that one whose services are slow does not hold all of them. Names
// below one domain are one party's: whoever has a domain has as many names in it as they like.
type shares struct {
	most int

	mu sync.Mutex
	by map[string]*share // of the domains to which something is under way, or waits
}

// share is one domain's.
type share struct {
	places chan struct{}
	users  int // those that hold a place of it or wait for one
}

func newShares(places int, listed bool) *shares {
	part := 4
	if listed {
		part = 2
	}
	return &shares{most: max(1, places/part), by: map[string]*share{}}
}

// enter waits for a place in the share of a host, and returns what gives it back. The error is that of the context.
func (s *shares) enter(ctx context.Context, host string) (leave func(), err error) {
	of := s.take(domain(host))
	select {
	case of.places <- struct{}{}:
		return func() {
			<-of.places
			s.drop(domain(host))
		}, nil
	case <-ctx.Done():
		s.drop(domain(host))
		return nil, ctx.Err()
	}
}

func (s *shares) take(name string) *share {
	s.mu.Lock()
	defer s.mu.Unlock()
	of, known := s.by[name]
	if !known {
		of = &share{places: make(chan struct{}, s.most)}
		s.by[name] = of
	}
	of.users++
	return of
}

func (s *shares) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.by[name]; of.users > 1 {
		of.users--
		return
	}
	delete(s.by, name)
}

// domain returns the domain that a host is in, as it is registered; an address is one by itself (an IPv6 one by its first 64 bits).
func domain(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if address, err := netip.ParseAddr(host); err == nil {
		if address = address.Unmap().WithZone(""); address.Is6() {
			network, _ := address.Prefix(64) // which is in range
			return network.String()
		}
		return address.String()
	}
	if registered, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return registered
	}
	return host
}
