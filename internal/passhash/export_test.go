// SPDX-License-Identifier: Apache-2.0

package passhash

// Cheap returns a verifier that refuses whatever costs more than a moment, so that any number of texts can be tried.
func Cheap() (*Verifier, error) {
	return newWithin(Config{Like: "$pbkdf2-sha256$1$c2FsdA$rRzag.OGIAs7donFlrtqlBqxjOU227djzCgNT.HSdLk"}, limits{
		memory: 1 << 18, passes: 2, bcryptCost: 4, iterations: 1000, rounds: minRounds,
	})
}

// Shape returns the kind and the cost that the verifier stands in with for unknown users.
func (v *Verifier) Shape() string { return v.like.Load().shape() }

// StandIn reports whether what stands in for unknown users matches the password.
func (v *Verifier) StandIn(password string) (bool, error) {
	return v.like.Load().match([]byte(password))
}

// Prefixes returns how the accepted kinds begin.
func Prefixes() (prefixes []string) {
	for _, k := range kinds {
		prefixes = append(prefixes, k.prefix)
	}
	return prefixes
}
