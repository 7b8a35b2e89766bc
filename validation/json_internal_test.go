// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"testing"
)

// FuzzMembers walks any text to its end, and finds in an object what encoding/json finds in it.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : 1 , "b":[{"c":"]}\\\""}], "\u0064":{"e":null}} `, `{"a":true}`, ``, `{`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":[`, `{"a":"\`,
		`[1]`, `null`, `{"a"}`, `{:}`, `{,}`, `}`, `{"a":}`, `"{"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, object string) {
		found := map[string]string{}
		for name, value := range members(object) {
			found[name] = value
			_, _ = readString(value)
			_, _ = readStrings(value)
			_, _ = readTime(value)
			_ = readRealms(value)
		}
		if wellFormed([]byte(object)) != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(object), &want); err != nil {
			t.Fatal(err)
		}
		if len(found) != len(want) {
			t.Fatalf("got %q, want %q", found, want)
		}
		for name, value := range want {
			if found[name] != string(value) {
				t.Fatalf("%q: got %q, want %q", name, found[name], value)
			}
		}
	})
}
