// SPDX-License-Identifier: Apache-2.0

package keyset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// snapshot is what the ring answers from. It is never written to.
type snapshot struct {
	fingerprint string
	algs        []jose.Algorithm // with a key in signers, the default first
	signers     map[jose.Algorithm]jose.PrivateKey
	keys        map[string]jose.PublicKey
	infos       []Info
	jwks        []byte
}

// fingerprint tells two rings apart by what they hold and in which state.
func (s *state) fingerprint() string {
	var b strings.Builder
	for _, e := range s.Keys {
		fmt.Fprintf(&b, "%s %s %s\n", e.Alg, e.KID, e.State)
	}
	return b.String()
}

func newSnapshot(s *state, configured []jose.Algorithm) (*snapshot, error) {
	sn := &snapshot{
		fingerprint: s.fingerprint(),
		signers:     make(map[jose.Algorithm]jose.PrivateKey),
		keys:        make(map[string]jose.PublicKey, len(s.Keys)),
	}
	entries := sorted(s.Keys, configured)
	published := make([]jose.PublicKey, 0, len(entries))
	for _, e := range entries {
		public, err := sn.add(e)
		if err != nil {
			return nil, fmt.Errorf("reading signing key %q: %w", e.KID, err)
		}
		published = append(published, public)
	}
	sn.algs = signing(sn.signers, configured, s.algorithms())
	var err error
	sn.jwks, err = jose.MarshalSet(published)
	return sn, err
}

func (sn *snapshot) add(e entry) (jose.PublicKey, error) {
	public, err := jose.ParseSet(e.Public)
	if err != nil {
		return jose.PublicKey{}, err
	}
	if len(public) != 1 || public[0].KID != e.KID || public[0].Alg != e.Alg {
		return jose.PublicKey{}, fmt.Errorf("stored under the name of another key: %w", jose.ErrKey)
	}
	sn.keys[e.KID] = public[0]
	sn.infos = append(sn.infos, e.info())
	if e.State != Active {
		return public[0], nil
	}
	private, err := jose.ParsePrivate(e.Private)
	if err != nil {
		return jose.PublicKey{}, err
	}
	// A pair that does not match would sign what nobody can check.
	if jose.Thumbprint(private.Public()) != jose.Thumbprint(public[0]) || private.KID != e.KID || private.Alg != e.Alg {
		return jose.PublicKey{}, fmt.Errorf("stored with the secret of another key: %w", jose.ErrKey)
	}
	sn.signers[e.Alg] = private
	return public[0], nil
}

// sorted puts the keys in the order they are published in: what signs first, and algorithms as configured.
func sorted(keys []entry, configured []jose.Algorithm) []entry {
	states := []State{Active, Next, Retired}
	rank := func(alg jose.Algorithm) int {
		if i := slices.Index(configured, alg); i >= 0 {
			return i
		}
		return len(configured)
	}
	keys = slices.Clone(keys)
	slices.SortStableFunc(keys, func(a, b entry) int {
		return cmp.Or(
			cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)),
			cmp.Compare(rank(a.Alg), rank(b.Alg)),
			b.CreatedAt.Compare(a.CreatedAt),
			cmp.Compare(a.KID, b.KID),
		)
	})
	return keys
}

// signing returns the configured algorithms that have a signing key. Where none of them has, because all of them are new
// to the ring, those that were configured before stand in until they do.
func signing(signers map[jose.Algorithm]jose.PrivateKey, configured, held []jose.Algorithm) []jose.Algorithm {
	for _, candidates := range [][]jose.Algorithm{configured, held} {
		var algs []jose.Algorithm
		for _, alg := range candidates {
			if _, ok := signers[alg]; ok {
				algs = append(algs, alg)
			}
		}
		if len(algs) > 0 {
			return algs
		}
	}
	return nil
}

// describe lists the keys for the log.
func (sn *snapshot) describe() []string {
	lines := make([]string, 0, len(sn.infos))
	for _, info := range sn.infos {
		lines = append(lines, fmt.Sprintf("%s %s %s", info.State, info.Alg, info.KID))
	}
	return lines
}
