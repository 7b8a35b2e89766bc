// SPDX-License-Identifier: Apache-2.0

package terms_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// TestCheck: section 4 says what belongs to a mode, and keys have to be there for what is signed.
func TestCheck(t *testing.T) {
	t.Parallel()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	const endpoint = "https://client.example.com/cb"
	for _, tt := range []struct {
		name  string
		terms terms.Terms
		keys  bool
		want  string // in the error; empty is none
	}{
		{"4 poll", terms.Terms{Mode: terms.Poll}, false, ""},
		{"4 ping", terms.Terms{Mode: terms.Ping, Endpoint: endpoint}, false, ""},
		{"4 push", terms.Terms{Mode: terms.Push, Endpoint: endpoint}, false, ""},
		{"4 no mode", terms.Terms{}, false, "unknown mode"},
		{"4 another mode", terms.Terms{Mode: "pull"}, false, "pull"},
		{"4 ping without an endpoint", terms.Terms{Mode: terms.Ping}, false, "no notification endpoint"},
		{"4 push without an endpoint", terms.Terms{Mode: terms.Push}, false, "no notification endpoint"},
		{"4 poll with an endpoint", terms.Terms{Mode: terms.Poll, Endpoint: endpoint}, false, "told nothing"},
		{"7.1.1 signed", terms.Terms{Mode: terms.Poll, Signed: jose.ES256}, true, ""},
		{"7.1.1 signed without keys", terms.Terms{Mode: terms.Poll, Signed: jose.ES256}, false, "needs keys"},
		{"7.1.1 a MAC", terms.Terms{Mode: terms.Poll, Signed: "HS256"}, true, "HS256"},
		{"7.1.1 none", terms.Terms{Mode: terms.Poll, Signed: "none"}, true, "none"},
		{"14 a friend", terms.Terms{Mode: terms.Poll, HintIssuers: map[string][]jose.PublicKey{"https://a": {key.Public()}}}, false, ""},
		{"14 a friend without a key", terms.Terms{Mode: terms.Poll, HintIssuers: map[string][]jose.PublicKey{"https://a": nil}}, false, "no key"},
		{"14 a friend without a name", terms.Terms{Mode: terms.Poll, HintIssuers: map[string][]jose.PublicKey{"": {key.Public()}}}, false, "no name"},
		{"14 an unfit key", terms.Terms{Mode: terms.Poll, HintIssuers: map[string][]jose.PublicKey{"https://a": {{KID: "k", Alg: jose.ES256}}}}, false, "unfit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.terms.Check(tt.keys)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it is %v", err)
			}
		})
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	for mode, want := range map[terms.Mode][2]bool{terms.Poll: {false, true}, terms.Ping: {true, true}, terms.Push: {true, false}, "": {}} {
		if mode.Told() != want[0] || mode.Polls() != want[1] {
			t.Errorf("%q is told: %v, polls: %v", mode, mode.Told(), mode.Polls())
		}
	}
	if len(terms.Modes()) != 3 {
		t.Errorf("the modes are %v", terms.Modes())
	}
}
