// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"maps"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Applications knows which versions of apps are refused wherever they are. It is asked for every request, and answers from
// memory. What it does not know is disabled.
type Applications interface {
	Disabled(id, platform, version string) bool
}

// Barred reports whether the authentication was made with a version of an app that is refused. It lasts only as long as that: the
// authentication counts again when the version does.
func (a *Authentication) Barred(apps Applications) bool {
	return apps != nil && a.Application != nil && apps.Disabled(a.Application.ID, a.Application.Platform, a.Application.Version)
}

// application returns the app that proofs speak of, and takes those out that speak of another one: one authentication is made with
// one app, and whether it may go on is asked about that one alone. The newest counts.
func application(proofs realm.Proofs) *realm.Application {
	var newest realm.Proof
	for _, name := range slices.Sorted(maps.Keys(proofs)) {
		if proof := proofs[name]; proof.Application != nil && (newest.Application == nil || proof.Time.After(newest.Time)) {
			newest = proof
		}
	}
	maps.DeleteFunc(proofs, func(_ string, p realm.Proof) bool {
		return p.Application != nil && *p.Application != *newest.Application
	})
	return newest.Application
}
