// SPDX-License-Identifier: Apache-2.0

package realm

// Application is the app that somebody uses. It is what the app says of itself: that it is that app, and not another one that says
// the same, is for other realms to prove.
type Application struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
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
