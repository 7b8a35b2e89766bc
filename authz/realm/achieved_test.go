// SPDX-License-Identifier: Apache-2.0

package realm_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

func TestAchieved(t *testing.T) {
	t.Parallel()
	all := proven("password", time.Hour, "phone", time.Minute, "app", 2*time.Minute, "card", 3*time.Minute)
	tests := []struct {
		name   string
		wanted []string
		proofs realm.Proofs
		acr    string
		age    time.Duration // of the event that completed it
	}{
		{"nothing", nil, nil, "", 0},
		{"the strongest", nil, all, "gold", time.Minute},
		{"completed by its last event, not its first", nil, proven("password", time.Minute, "phone", 2*time.Minute), "silver", time.Minute},
		{"not the strongest, one being stale", nil, proven("password", time.Hour, "phone", time.Minute, "app", 2*time.Hour), "silver", time.Minute},
		{"not the strongest, one missing", nil, proven("password", time.Hour, "app", time.Minute), "bronze", time.Hour},
		{"an identity realm alone", nil, proven("card", time.Minute), "card", time.Minute},
		{"a stale identity realm", nil, proven("card", 2*time.Hour), "", 0},
		{"a realm that determines nobody is no level", nil, proven("phone", time.Minute), "", 0},
		{"unless it is asked for", []string{"phone"}, proven("phone", time.Minute), "phone", time.Minute},
		{"what is asked for", []string{"silver"}, all, "silver", time.Minute},
		{"the first of what is asked for", []string{"card", "gold"}, all, "card", 3 * time.Minute},
		{"the second, the first being unknown", []string{"platinum", "bronze"}, all, "bronze", time.Hour},
		{"the second, the first being missing", []string{"gold", "password"}, proven("password", time.Hour, "phone", time.Minute), "password", time.Hour},
		{"none of what is asked for", []string{"gold", "", "platinum"}, proven("password", time.Hour), "bronze", time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wanted := slices.Clone(tt.wanted)
			acr, at := newEngine(t, standard()).Achieved(wanted, tt.proofs, start)
			equal(t, "acr", acr, tt.acr)
			want := time.Time{}
			if tt.acr != "" {
				want = start.Add(-tt.age)
			}
			equal(t, "completed at", at, want)
			equal(t, "wanted afterwards", fmt.Sprint(wanted), fmt.Sprint(tt.wanted))
		})
	}
}

// model is a random security model: some realms, and levels each of which has one realm more than the one before.
type model struct {
	engine *realm.Engine
	realms []string
	levels []realm.Level
}

func drawModel(t *rapid.T) model {
	var m model
	config := realm.Config{}
	for i := range rapid.IntRange(2, 6).Draw(t, "realms") {
		m.realms = append(m.realms, fmt.Sprint("r", i))
		config.Realms = append(config.Realms, define(m.realms[i], time.Hour))
	}
	config.Identity = rapid.Permutation(m.realms).Draw(t, "identity")[:rapid.IntRange(1, len(m.realms)).Draw(t, "identities")]
	order := rapid.Permutation(m.realms).Draw(t, "order")
	for i := range rapid.IntRange(1, len(order)).Draw(t, "levels") {
		m.levels = append(m.levels, realm.Level{Name: fmt.Sprint("level", i), Realms: order[:i+1]})
	}
	config.Levels = m.levels
	engine, err := realm.New(config)
	if err != nil {
		t.Fatalf("building the engine: %v", err)
	}
	m.engine = engine
	return m
}

// CVE-2025-64103: a session that had proven some of the factors of a level was told to have reached it. Whatever the model
// and the order in which its factors are proven: before the last of them, the level is not reached, nor any above it, even
// if it was asked for.
func TestNoProperPrefixReachesTheLevel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		i := rapid.IntRange(0, len(m.levels)-1).Draw(t, "target")
		target := m.levels[i]
		wanted := []string{target.Name}
		if rapid.Bool().Draw(t, "asked for nothing") {
			wanted = nil
		}
		proofs := realm.Proofs{}
		sequence := rapid.Permutation(target.Realms).Draw(t, "sequence")
		for n, name := range sequence {
			acr, at := m.engine.Achieved(wanted, proofs, start)
			if reached := slices.IndexFunc(m.levels, func(l realm.Level) bool { return l.Name == acr }); reached >= i {
				t.Fatalf("after %v of %v the level is %s", sequence[:n], sequence, acr)
			}
			if acr == "" != at.IsZero() {
				t.Fatalf("the level %q was reached at %s", acr, at)
			}
			need, _ := m.engine.ForACR(target.Name)
			if _, missing := realm.Missing(need, proofs, start); !missing {
				t.Fatalf("after %v of %v nothing is missing", sequence[:n], sequence)
			}
			proofs[name] = realm.Proof{Realm: name, Subject: alice, Time: start.Add(time.Duration(n-len(sequence)) * time.Minute)}
		}
		acr, at := m.engine.Achieved(wanted, proofs, start)
		if acr != target.Name || !at.Equal(start.Add(-time.Minute)) {
			t.Fatalf("after all of %v the level is %q since %s, want %q since a minute ago", sequence, acr, at, target.Name)
		}
	})
}

// One factor taken away, by time or altogether, takes the level away.
func TestEveryFactorCounts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		target := m.levels[len(m.levels)-1]
		proofs := realm.Proofs{}
		for _, name := range target.Realms {
			proofs[name] = realm.Proof{Realm: name, Subject: alice, Time: start}
		}
		lost := rapid.SampledFrom(target.Realms).Draw(t, "lost")
		proof := proofs[lost]
		switch rapid.SampledFrom([]string{"absent", "stale", "future"}).Draw(t, "how") {
		case "absent":
			delete(proofs, lost)
		case "stale":
			proof.Time = start.Add(-time.Hour - 1)
			proofs[lost] = proof
		case "future":
			proof.Time = start.Add(1)
			proofs[lost] = proof
		}
		if acr, _ := m.engine.Achieved([]string{target.Name, lost}, proofs, start); acr == target.Name || acr == lost {
			t.Fatalf("without %s the level is %s", lost, acr)
		}
	})
}

// What a demand requires always determines a user first, asks no realm twice, and is enough for the level it demanded.
func TestRequirementsAreEnough(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		acr := rapid.SampledFrom(append(m.engine.ACRValues(), "unknown")).Draw(t, "acr")
		requirements, err := m.engine.Require(realm.Demand{ACRValues: []string{acr}, NotBefore: start.Add(-time.Second)})
		if (err != nil) != (acr == "unknown") {
			t.Fatalf("requiring %q: %v", acr, err)
		}
		if len(requirements) == 0 || !m.engine.DeterminesUser(requirements[0].Realm) {
			t.Fatalf("the requirements are %v, the first does not determine the user", names(requirements))
		}
		proofs := realm.Proofs{}
		for {
			missing, ok := realm.Missing(requirements, proofs, start)
			if !ok {
				break
			}
			if _, again := proofs[missing.Realm]; again {
				t.Fatalf("the realm %q is asked twice", missing.Realm)
			}
			proofs[missing.Realm] = realm.Proof{Realm: missing.Realm, Subject: alice, Time: start}
		}
		if got, _ := m.engine.Achieved([]string{acr}, proofs, start); acr != "unknown" && got != acr {
			t.Fatalf("with all of %v the level is %q, want %q", names(requirements), got, acr)
		}
	})
}
