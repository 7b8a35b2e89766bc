// SPDX-License-Identifier: Apache-2.0

package option

import (
	"fmt"
	"net/netip"
)

// Networks reads the words of an option that are addresses and networks. A network that has bits beside its prefix, or that is IPv4 in
// IPv6 clothes, is refused: it does not mean what it seems to. The error names the option.
func Networks(name string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if address, plain := netip.ParseAddr(text); plain == nil && address.Zone() == "" {
			network, err = address.Prefix(address.BitLen())
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s %q is neither an address nor a network such as 10.0.0.0/8", name, text)
		case network.Addr().Is4In6():
			return nil, fmt.Errorf("%s %q: write IPv4 as such", name, text)
		case network != network.Masked():
			return nil, fmt.Errorf("%s %q: the network is %s", name, text, network.Masked())
		}
		all = append(all, network)
	}
	return all, nil
}
