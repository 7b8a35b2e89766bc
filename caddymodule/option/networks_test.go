// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, text, want, err string
	}{
		{"network", "10.0.0.0/8", "10.0.0.0/8", ""},
		{"address", "192.0.2.7", "192.0.2.7/32", ""},
		{"IPv6", "2001:db8::/32", "2001:db8::/32", ""},
		{"address of IPv6", "2001:db8::1", "2001:db8::1/128", ""},
		{"everybody", "0.0.0.0/0", "0.0.0.0/0", ""},
		{"name", "portal.example.com", "", "neither"},
		{"nothing", "", "", "neither"},
		{"bits beside the prefix", "10.1.2.3/8", "", "10.0.0.0/8"},
		{"IPv4 in IPv6", "::ffff:10.0.0.0/104", "", "IPv4 as such"},
		{"address of IPv4 in IPv6", "::ffff:10.0.0.1", "", "IPv4 as such"},
		{"zone", "fe80::1%eth0", "", "neither"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := option.Networks("allowed_networks", []string{test.text})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "allowed_networks") {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0] != netip.MustParsePrefix(test.want) {
				t.Error(cmp.Diff(test.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })), err)
			}
		})
	}
	if got, err := option.Networks("allow", nil); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}
