// SPDX-License-Identifier: Apache-2.0

package authz

import "slices"

// Audiences returns every audience that access tokens of the registered clients have, in ascending order.
func (r *Clients) Audiences() []string {
	all := slices.Clone(r.sites.Audience)
	for _, c := range r.byID {
		all = append(all, c.Audience...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
