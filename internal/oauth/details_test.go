// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const payment = `{"type":"payment_initiation","instructedAmount":{"currency":"EUR","amount":"123.50"},"creditorName":"Merchant A"}`

func parsed(t testing.TB, text string) oauth.Details {
	t.Helper()
	d, err := oauth.ParseDetails(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func TestRFC9396Details(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `[{"b":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `,"type":"a"}]`
	}
	for _, tt := range []struct {
		name, text, want string // "" is refused
	}{
		{"2 one object", "[" + payment + "]", `[{"creditorName":"Merchant A","instructedAmount":{"amount":"123.50","currency":"EUR"},"type":"payment_initiation"}]`},
		{"2 the same type twice", `[{"type":"a"},{"type":"a","b":1}]`, `[{"type":"a"},{"b":1,"type":"a"}]`},
		{"2 spaces and line breaks", " [ {\n\t\"type\" : \"a\" } ]\r\n", `[{"type":"a"}]`},
		{"2 numbers as they are written", `[{"type":"a","b":1.50,"c":-1000}]`, `[{"b":1.50,"c":-1000,"type":"a"}]`},
		{"2 every kind of value", `[{"type":"a","b":[true,false,null,{}]}]`, `[{"b":[true,false,null,{}],"type":"a"}]`},
		{"2 no escapes that need not be", `[{"type":"a","b":"\u003c\u00e9&"}]`, `[{"b":"<é&","type":"a"}]`},
		{"2 a type that is a URL", `[{"type":"https://example.com/photo-api"}]`, `[{"type":"https://example.com/photo-api"}]`},
		{"2 no array", payment, ""},
		{"2 nothing", "", ""},
		{"2 an empty array", "[]", ""},
		{"2 null", "null", ""},
		{"2 no object in it", `["payment_initiation"]`, ""},
		{"2 an array in it", `[[{"type":"a"}]]`, ""},
		{"2 no type", `[{"actions":["read"]}]`, ""},
		{"2 an empty type", `[{"type":""}]`, ""},
		{"2 a type that is no string", `[{"type":1}]`, ""},
		{"2 a type with other letters", `[{"Type":"a"}]`, ""},
		{"2 a type with a quote", `[{"type":"a\"b"}]`, ""},
		{"2 a type with a space", `[{"type":"a b"}]`, ""},
		{"2 a type that is too long", `[{"type":"` + strings.Repeat("a", oauth.MaxDetailType+1) + `"}]`, ""},
		{"2 no JSON", `[{"type":"a"`, ""},
		{"2 two values", `[{"type":"a"}][]`, ""},
		{"2 text behind it", `[{"type":"a"}] x`, ""},
		{"2 a trailing comma", `[{"type":"a",}]`, ""},
		{"a member that stands twice", `[{"type":"a","b":1,"b":2}]`, ""},
		{"a member that stands twice, in other spelling", `[{"type":"a","b":1,"\u0062":2}]`, ""},
		{"a member that stands twice, further in", `[{"type":"a","b":{"c":1,"c":1}}]`, ""},
		{"two types", `[{"type":"a","type":"b"}]`, ""},
		{"as deep as may be", deep(10), deep(10)},
		{"too deep", deep(11), ""},
		{"far too deep", deep(2000), ""},
		{"a number that nobody reads alike", `[{"type":"a","b":` + strings.Repeat("1", 41) + `}]`, ""},
		{"an amount of more digits than a double keeps", `[{"type":"a","b":1234567890123456.78}]`, ""},
		{"a whole number of more than fifteen digits, which a double rounds", `[{"type":"a","b":9007199254740993}]`, ""},
		{"a number with an exponent", `[{"type":"a","b":1e3}]`, ""},
		{"a negative zero", `[{"type":"a","b":-0}]`, ""},
		{"a number of a billion digits", `[{"type":"a","b":1e999999999}]`, ""},
		{"a number of no size at all", `[{"type":"a","b":1E-100}]`, ""},
		{"as many as may be", "[" + strings.Repeat(`{"type":"a"},`, oauth.MaxDetails-1) + `{"type":"a"}]`, "[" + strings.Repeat(`{"type":"a"},`, oauth.MaxDetails-1) + `{"type":"a"}]`},
		{"too many", "[" + strings.Repeat(`{"type":"a"},`, oauth.MaxDetails) + `{"type":"a"}]`, ""},
		{"too large", `[{"type":"a","b":"` + strings.Repeat("x", oauth.MaxDetailsBytes) + `"}]`, ""},
		{"too large once escaped", `[{"type":"a","b":"` + strings.Repeat("\u2028", oauth.MaxDetailsBytes/4) + `"}]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParseDetails(tt.text)
			if tt.want == "" {
				var e *oauth.Error
				if !errors.As(err, &e) || e.Code != oauth.InvalidAuthorizationDetails || got != nil {
					t.Fatalf("got %v, %v, want invalid_authorization_details", got, err)
				}
				return
			}
			if err != nil || got.String() != tt.want {
				t.Fatalf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

// RFC 9396 6: a token may be asked for with less than was granted, and never with more.
func TestRFC9396_6_Within(t *testing.T) {
	t.Parallel()
	lists := map[string][]string{"a": {"actions", "locations"}}
	for _, tt := range []struct {
		name, asked, granted string
		want                 bool
	}{
		{"the same", `[{"type":"a","b":1}]`, `[{"b":1,"type":"a"}]`, true},
		{"one of two", `[{"type":"a","b":1}]`, `[{"type":"a","b":2},{"type":"a","b":1}]`, true},
		{"another order", `[{"type":"a","b":1},{"type":"a","b":2}]`, `[{"type":"a","b":2},{"type":"a","b":1}]`, true},
		{"another value", `[{"type":"a","b":2}]`, `[{"type":"a","b":1}]`, false},
		{"another type", `[{"type":"b"}]`, `[{"type":"a"}]`, false},
		{"a member more", `[{"type":"a","b":1,"c":1}]`, `[{"type":"a","b":1}]`, false},
		{"a member less: it may have been a limit", `[{"type":"a"}]`, `[{"type":"a","b":1}]`, false},
		{"the same twice", `[{"type":"a"},{"type":"a"}]`, `[{"type":"a"}]`, false},
		{"the same twice of two", `[{"type":"a"},{"type":"a"}]`, `[{"type":"a"},{"type":"a"}]`, true},
		{"fewer actions", `[{"type":"a","actions":["r"]}]`, `[{"type":"a","actions":["r","w"]}]`, true},
		{"actions in another order", `[{"type":"a","actions":["w","r"]}]`, `[{"type":"a","actions":["r","w"]}]`, true},
		{"an action more", `[{"type":"a","actions":["r","x"]}]`, `[{"type":"a","actions":["r","w"]}]`, false},
		{"no action, which may be all", `[{"type":"a","actions":[]}]`, `[{"type":"a","actions":["r"]}]`, false},
		{"an action as text", `[{"type":"a","actions":"r"}]`, `[{"type":"a","actions":["r"]}]`, false},
		{"an action that is no text", `[{"type":"a","actions":["r",1]}]`, `[{"type":"a","actions":["r",1,2]}]`, false},
		{"fewer of what is no list of the type's", `[{"type":"a","datatypes":["r"]}]`, `[{"type":"a","datatypes":["r","w"]}]`, false},
		{"fewer actions of another type", `[{"type":"b","actions":["r"]}]`, `[{"type":"b","actions":["r","w"]}]`, false},
		{"fewer actions and another value", `[{"type":"a","actions":["r"],"b":2}]`, `[{"type":"a","actions":["r","w"],"b":1}]`, false},
		{"the exact one is left to whom it fits", `[{"type":"a","actions":["r"]},{"type":"a","actions":["r","w"]}]`, `[{"type":"a","actions":["r","w"]},{"type":"a","actions":["r"]}]`, true},
		{"1 is not 1.0", `[{"type":"a","b":1.0}]`, `[{"type":"a","b":1}]`, false},
		{"1 is not \"1\"", `[{"type":"a","b":"1"}]`, `[{"type":"a","b":1}]`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := parsed(t, tt.asked).Within(parsed(t, tt.granted), lists); got != tt.want {
				t.Errorf("within is %v, want %v", got, tt.want)
			}
		})
	}
	if !oauth.Details(nil).Within(nil, nil) || parsed(t, `[{"type":"a"}]`).Within(nil, nil) {
		t.Error("nothing is within everything, and something not within nothing")
	}
}

func TestDetailScalars(t *testing.T) {
	t.Parallel()
	d := parsed(t, `[{"type":"a","s":"x","n":1.50,"t":true,"f":false,"z":null,"l":["x"],"o":{"s":"y","":"e"},"o.s":"z"}]`)[0]
	for _, tt := range []struct {
		path, want string
		ok         bool
	}{
		{"type", "a", true}, {"s", "x", true}, {"n", "1.50", true}, {"t", "true", true}, {"f", "false", true}, {"o.s", "y", true},
		{"o.", "e", true}, {"z", "", false}, {"l", "", false}, {"l.0", "", false}, {"o", "", false}, {"o.t", "", false}, {"s.x", "", false}, {"", "", false},
	} {
		if got, ok := d.Scalar(tt.path); got != tt.want || ok != tt.ok {
			t.Errorf("at %q there is %q, %v, want %q, %v", tt.path, got, ok, tt.want, tt.ok)
		}
	}
	if d.Type() != "a" {
		t.Errorf("the type is %q", d.Type())
	}
}

func TestDetailsMarshal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[]", `[{"type":"a"}]`, `[{"type":"a"},{"b":"<\u2028>","type":"b"}]`} {
		var d oauth.Details
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(map[string]any{"d": d})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]oauth.Details
		if err := json.Unmarshal(out, &back); err != nil || back["d"].String() != d.String() {
			t.Errorf("%s comes back as %s (%v)", text, out, err)
		}
	}
	for _, text := range []string{`{}`, `[1]`, `[{}]`, `"x"`} {
		var d oauth.Details
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s is read as %s", text, d)
		}
	}
	var d oauth.Details
	if err := json.Unmarshal([]byte("null"), &d); err != nil || d != nil || d.String() != "" {
		t.Errorf("null is read as %v (%v)", d, err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, parsed(t, `[{"type":"a"},{"type":"b"},{"type":"a"}]`).Types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
}

// drawDetails draws details of few kinds, so that many of them meet.
func drawDetails(t *rapid.T, name string) oauth.Details {
	word := rapid.SampledFrom([]string{"r", "w", "x"})
	object := rapid.Custom(func(t *rapid.T) map[string]any {
		o := map[string]any{"type": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "type")}
		if rapid.Bool().Draw(t, "actions?") {
			o["actions"] = rapid.SliceOfNDistinct(word, 0, 3, rapid.ID).Draw(t, "actions")
		}
		if rapid.Bool().Draw(t, "amount?") {
			o["amount"] = rapid.IntRange(1, 2).Draw(t, "amount")
		}
		return o
	})
	text, err := json.Marshal(rapid.SliceOfN(object, 1, 4).Draw(t, name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := oauth.ParseDetails(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rights spells out what details permit: an action on an amount, as often as it is granted.
func rights(d oauth.Details) map[string]int {
	all := map[string]int{}
	for _, detail := range d {
		value := detail.Value()
		amount, _ := detail.Scalar("amount")
		actions, listed := value["actions"].([]any)
		key := detail.Type() + " " + amount + " "
		if !listed || len(actions) == 0 { // no list is no limit
			all[key+"everything"]++
		}
		for _, action := range actions {
			all[key+action.(string)]++
		}
	}
	return all
}

// TestNarrowingNeverWidens: what lies within a grant permits nothing that the grant does not, and a step further in lies within too.
func TestNarrowingNeverWidens(t *testing.T) {
	t.Parallel()
	lists := map[string][]string{"a": {"actions"}}
	rapid.Check(t, func(t *rapid.T) {
		granted, asked, further := drawDetails(t, "granted"), drawDetails(t, "asked"), drawDetails(t, "further")
		if rapid.Bool().Draw(t, "cut") { // else few would lie within
			asked = slices.Clone(granted[:rapid.IntRange(1, len(granted)).Draw(t, "kept")])
		}
		if !asked.Within(granted, lists) {
			return
		}
		has := rights(granted)
		for right, n := range rights(asked) {
			if n > has[right] {
				t.Fatalf("%s permits %q %d times, and %s only %d", asked, right, n, granted, has[right])
			}
		}
		if further.Within(asked, lists) && exceeds(rights(further), has) {
			t.Fatalf("%s lies within %s, and exceeds %s", further, asked, granted)
		}
	})
}

func exceeds(rights, has map[string]int) bool {
	for right, n := range rights {
		if n > has[right] {
			return true
		}
	}
	return false
}

// FuzzParseDetails: what is accepted is read again as the same, is within itself, and is no larger than may be stored.
func FuzzParseDetails(f *testing.F) {
	f.Add("[" + payment + "]")
	f.Add(`[{"type":"a","b":[1.0,{"c":null}]},{"type":"a"}]`)
	f.Add(`[{"type":"a","b":"\ud800"}]`)
	f.Add(`[{"type":"a","type":"b"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		d, err := oauth.ParseDetails(text)
		if err != nil {
			return
		}
		again, err := oauth.ParseDetails(d.String())
		if err != nil || again.String() != d.String() {
			t.Fatalf("%q is read as %s, and that as %s (%v)", text, d, again, err)
		}
		if !d.Within(again, nil) || len(d.String()) > oauth.MaxDetailsBytes || !json.Valid([]byte(d.String())) {
			t.Fatalf("%q is read as %s", text, d)
		}
		for _, detail := range d {
			if typ, ok := detail.Scalar("type"); !ok || typ != detail.Type() {
				t.Fatalf("the type of %s is %q", detail, detail.Type())
			}
		}
	})
}
