// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"maps"
	"slices"
	"time"
)

// Authentication is the one fact tokens are minted from: who the user is, how strongly and when that was proven. It is
// fixed when a grant is made and does not move on refresh (RFC 9068 2.2.1).
type Authentication struct {
	Subject string `json:"sub"`
	Name    string `json:"name,omitempty"`
	// ACR is the assurance level that was reached and AuthTime the event that completed it.
	ACR      string    `json:"acr"`
	AMR      []string  `json:"amr,omitempty"`
	AuthTime time.Time `json:"auth_time"`
	// Realms tells when each realm was proven, so that freshness can be judged per realm.
	Realms map[string]time.Time `json:"realms"`
	// Devices are those that gave the proofs, in the order of their names; most often there is none, or one.
	Devices []string `json:"devices,omitempty"`
	// Attestation says where the keys of these devices were shown to be; empty where it is not known of each, or is not the same.
	Attestation string `json:"attestation,omitempty"`
	// Application is the app it was made with; nil where nobody asked for one.
	Application *Application `json:"application,omitempty"`
}

// Authenticate sums up fresh proofs as an authentication; false when none of them determines a user. Proofs that are no
// longer fresh or do not stand any more, and proofs of somebody else, count for nothing: neither for the realms nor for the level.
func (e *Engine) Authenticate(wanted []string, proofs Proofs, now time.Time) (Authentication, bool) {
	fresh := Proofs{}
	for name, proof := range e.Standing(proofs) {
		r, ok := e.Realm(name)
		if ok && (Requirement{Realm: name, MaxAge: r.MaxAge}).MetBy(proofs, now) {
			fresh[name] = proof
		}
	}
	identity, ok := e.Identity(fresh)
	if !ok {
		return Authentication{}, false
	}
	maps.DeleteFunc(fresh, func(_ string, p Proof) bool { return p.Subject != "" && p.Subject != identity.Subject })
	auth := Authentication{Subject: identity.Subject, Name: identity.Name, Realms: map[string]time.Time{}, Application: fresh.Application()}
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		proof := fresh[name]
		auth.Realms[name] = proof.Time
		if proof.Device != "" {
			if len(auth.Devices) == 0 {
				auth.Attestation = proof.Attestation
			} else if auth.Attestation != proof.Attestation {
				auth.Attestation = ""
			}
			auth.Devices = append(auth.Devices, proof.Device)
		}
		auth.AMR = append(auth.AMR, proof.AMR...)
	}
	slices.Sort(auth.AMR)
	auth.AMR = slices.Compact(auth.AMR)
	slices.Sort(auth.Devices)
	auth.Devices = slices.Compact(auth.Devices)
	auth.ACR, auth.AuthTime = e.Achieved(wanted, fresh, now) // the identity realm, if nothing better
	return auth, true
}
