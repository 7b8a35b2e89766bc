// SPDX-License-Identifier: Apache-2.0

package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrAddress is wrapped when an address is not public and not allowed.
var ErrAddress = errors.New("the address is not public, and not allowed by the configuration")

// Guard says where connections may go. The zero value allows public addresses only.
type Guard struct {
	// Allow names further addresses: those of an own network, or of this host.
	Allow []netip.Prefix
}

// notPublic are ranges of IPv4 that the standard library's words do not cover (IANA special-purpose address registry, RFC 6890).
var notPublic = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4",
)

// Of IPv6 only 2000::/3 is given out, and within it these are not for hosts on the internet, or carry an IPv4 address that would
// escape the judgement: documentation, benchmarks, ORCHID, Teredo, 6to4.
var (
	given    = netip.MustParsePrefix("2000::/3")
	notGiven = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Check refuses an address with [ErrAddress]. An IPv4 address in IPv6 clothes (::ffff:0:0/96) is judged as what it is.
func (g *Guard) Check(address netip.Addr) error {
	address = address.Unmap()
	switch {
	case !address.IsValid():
		return fmt.Errorf("checking an address that is none: %w", ErrAddress)
	case public(address) || within(address.WithZone(""), g.Allow):
		return nil
	}
	return fmt.Errorf("checking %s: %w", address, ErrAddress)
}

func public(address netip.Addr) bool {
	if address.Is6() {
		return address.Zone() == "" && given.Contains(address) && !within(address, notGiven)
	}
	return address.IsGlobalUnicast() && !address.IsPrivate() && !within(address, notPublic)
}

func within(address netip.Addr, ranges []netip.Prefix) bool {
	for _, r := range ranges {
		if r.Contains(address) {
			return true
		}
	}
	return false
}

// Control is for [net.Dialer]: it refuses the connection before the first packet. Each address of a name is judged by itself.
func (g *Guard) Control(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("connecting by %q: %w", network, ErrAddress)
	}
	return g.Check(at.Addr())
}
