// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/egress"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	own := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	for _, tt := range []struct {
		name, address  string
		public, allows bool // without and with the prefixes above
	}{
		{"a public address", "93.184.215.14", true, true},
		{"the first public one", "1.0.0.0", true, true},
		{"the last public one", "223.255.255.255", true, true},
		{"a public IPv6 address", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", true, true},
		{"the public one in IPv6 clothes", "::ffff:93.184.215.14", true, true},
		{"this network", "0.0.0.0", false, false},
		{"another of this network", "0.1.2.3", false, false},
		{"loopback", "127.0.0.1", false, true},
		{"another loopback", "127.255.255.254", false, true},
		{"loopback in IPv6 clothes", "::ffff:127.0.0.1", false, true},
		{"IPv6 loopback", "::1", false, false},
		{"unspecified IPv6", "::", false, false},
		{"loopback in old IPv6 clothes", "::127.0.0.1", false, false},
		{"private A, allowed", "10.1.2.3", false, true},
		{"private A, not allowed", "10.2.2.3", false, false},
		{"private B", "172.16.0.1", false, false},
		{"the end of private B", "172.31.255.255", false, false},
		{"beyond private B", "172.32.0.0", true, true},
		{"private C", "192.168.0.1", false, false},
		{"carrier grade NAT", "100.64.0.1", false, false},
		{"the end of carrier grade NAT", "100.127.255.255", false, false},
		{"beyond it", "100.128.0.0", true, true},
		{"the metadata service of clouds", "169.254.169.254", false, false},
		{"protocol assignments", "192.0.0.170", false, false},
		{"documentation", "203.0.113.5", false, false},
		{"benchmarks", "198.19.255.255", false, false},
		{"6to4 relays", "192.88.99.1", false, false},
		{"multicast", "224.0.0.1", false, false},
		{"the future", "240.0.0.1", false, false},
		{"broadcast", "255.255.255.255", false, false},
		{"unique local", "fd00::1", false, false},
		{"the metadata service over IPv6", "fd00:ec2::254", false, false},
		{"link-local", "fe80::1", false, true},
		{"link-local with a zone", "fe80::1%eth0", false, true},
		{"a public address with a zone", "2606:2800::1%eth0", false, false},
		{"site-local", "fec0::1", false, false},
		{"IPv6 multicast", "ff02::1", false, false},
		{"IPv6 documentation", "2001:db8::1", false, false},
		{"new IPv6 documentation", "3fff:fff::1", false, false},
		{"Teredo", "2001:0:7f00:1::1", false, false},
		{"6to4 with loopback in it", "2002:7f00:1::1", false, false},
		{"NAT64 with loopback in it", "64:ff9b::7f00:1", false, false},
		{"NAT64 of a network", "64:ff9b:1::1", false, false},
		{"discard", "100::1", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := netip.MustParseAddr(tt.address)
			for _, c := range []struct {
				guard egress.Guard
				want  bool
			}{{egress.Guard{}, tt.public}, {egress.Guard{Allow: own}, tt.allows}} {
				if err := c.guard.Check(address); (err == nil) != c.want || err != nil && !errors.Is(err, egress.ErrAddress) {
					t.Errorf("with %v: %v", c.guard.Allow, err)
				}
			}
		})
	}
}

func TestCheckRefusesNoAddress(t *testing.T) {
	t.Parallel()
	guard := egress.Guard{Allow: []netip.Prefix{{}}}
	if err := guard.Check(netip.Addr{}); !errors.Is(err, egress.ErrAddress) {
		t.Error(err)
	}
	for _, at := range [][2]string{{"tcp", "93.184.215.14:443"}, {"udp4", "93.184.215.14:443"}, {"unix", "/run/x"}, {"tcp4", "example.com:443"}} {
		if err := guard.Control(at[0], at[1], nil); !errors.Is(err, egress.ErrAddress) {
			t.Errorf("%v: %v", at, err)
		}
	}
}

// The dialer asks for each address that a name has.
func TestControlJudgesWhatANameStandsFor(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("localhost", port)
	strict, open := &egress.Guard{}, &egress.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	if conn, err := (&net.Dialer{Control: strict.Control}).DialContext(t.Context(), "tcp", address); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("connected to %v, %v", conn, err)
	}
	conn, err := (&net.Dialer{Control: open.Control}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close() // it has served
}
