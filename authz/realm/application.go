// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"maps"
	"slices"
)

// Application is the app that somebody uses. It is what the app says of itself: that it is that app, and not another one that says
// the same, is for other realms to prove.
type Application struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// Applications knows which versions of apps are refused wherever they are. It is asked for every request, and answers from
// memory. What it does not know is disabled.
type Applications interface {
	Disabled(id, platform, version string) bool
}

// Barred reports whether the app is refused at present; nil, which is no app, is not. What was given to it counts again as soon as
// it is not refused any more.
func (a *Application) Barred(by Applications) bool {
	return a != nil && by != nil && by.Disabled(a.ID, a.Platform, a.Version)
}

// Application returns the app that the proofs speak of, nil for none, and takes those out that speak of another one: what is done
// is done with one app, and whether it may go on is asked about that one alone. The newest counts.
func (p Proofs) Application() *Application {
	var newest Proof
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if proof := p[name]; proof.Application != nil && (newest.Application == nil || proof.Time.After(newest.Time)) {
			newest = proof
		}
	}
	maps.DeleteFunc(p, func(_ string, p Proof) bool { return p.Application != nil && *p.Application != *newest.Application })
	return newest.Application
}

// Reviewer is implemented by login modules whose proofs can lose their force before they are too old, such as when a version of an
// app is switched off.
type Reviewer interface {
	// Stands reports whether a proof of the module's still counts. It answers from memory.
	Stands(Proof) bool
}

// Stands reports whether a proof still counts, however old it is: one whose realm is defined, and whose login module has not
// changed its mind.
func (e *Engine) Stands(proof Proof) bool {
	r, ok := e.realms[proof.Realm]
	if !ok {
		return false
	}
	reviewer, reviews := r.LoginModule.(Reviewer)
	return !reviews || reviewer.Stands(proof)
}

// Standing returns those of the proofs that still count.
func (e *Engine) Standing(proofs Proofs) Proofs {
	standing := make(Proofs, len(proofs))
	for name, proof := range proofs {
		if e.Stands(proof) {
			standing[name] = proof
		}
	}
	return standing
}
