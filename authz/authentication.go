// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
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
	Device string               `json:"device,omitempty"`
}

// Authenticate sums up fresh proofs as an authentication; false when none of them determines a user. Proofs that are no
// longer fresh, and proofs of somebody else, are left out.
func Authenticate(engine *realm.Engine, wanted []string, proofs realm.Proofs, now time.Time) (Authentication, bool) {
	identity, ok := engine.Identity(proofs)
	if !ok {
		return Authentication{}, false
	}
	auth := Authentication{Subject: identity.Subject, Name: identity.Name, Realms: map[string]time.Time{}}
	for name, proof := range proofs {
		r, ok := engine.Realm(name)
		if !ok || now.Sub(proof.Time) > r.MaxAge || proof.Subject != "" && proof.Subject != identity.Subject {
			continue
		}
		auth.Realms[name] = proof.Time
		if auth.Device == "" {
			auth.Device = proof.Device
		}
		for _, method := range proof.AMR {
			if !slices.Contains(auth.AMR, method) {
				auth.AMR = append(auth.AMR, method)
			}
		}
	}
	slices.Sort(auth.AMR)
	auth.ACR, auth.AuthTime = engine.Achieved(wanted, proofs, now)
	if auth.AuthTime.IsZero() {
		auth.AuthTime = identity.Time
	}
	return auth, true
}
