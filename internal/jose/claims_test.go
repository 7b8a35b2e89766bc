// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

type Registered struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub,omitempty"`
}

type claims struct {
	Registered
	Expiry int64    `json:"exp"`
	AMR    []string `json:"amr"`
	Hidden string   `json:"-"`
	Cnf    struct {
		JKT string `json:"jkt"`
	} `json:"cnf"`
	Untagged string
}

func TestClaimsAreDecoded(t *testing.T) {
	t.Parallel()
	k := testKey(t, jose.ES256)
	token := mustParse(t, mustSign(t, k, "",
		`{"iss":"i","sub":"s","exp":9007199254740993,"amr":["pwd"],"cnf":{"jkt":"j"},"Untagged":"u","x":{}}`))
	var got claims
	if err := token.Claims(&got); err != nil {
		t.Fatal(err)
	}
	want := claims{Registered: Registered{"i", "s"}, Expiry: 9007199254740993, AMR: []string{"pwd"}, Untagged: "u"}
	want.Cnf.JKT = "j"
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(claims{})); diff != "" {
		t.Errorf("Claims (-want +got):\n%s", diff)
	}
	var loose map[string]json.RawMessage
	if err := token.Claims(&loose); err != nil || string(loose["exp"]) != "9007199254740993" {
		t.Errorf("Claims into a map = %s, %v", loose, err)
	}
}

// encoding/json matches names without regard to case, the RFCs do not [RFC 7519 section 10.1.1].
func TestClaimsAreCaseSensitive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, json string
		want       error
	}{
		{"exact", `{"exp":1}`, nil},
		{"capitals beside the exact name", `{"exp":1,"EXP":2}`, jose.ErrMalformed},
		{"capitals before the exact name", `{"Exp":2,"exp":1}`, jose.ErrMalformed},
		{"capitals alone", `{"EXP":1}`, jose.ErrMalformed},
		{"by an escape", `{"\u0045xp":1}`, jose.ErrMalformed},
		{"in an embedded struct", `{"ISS":"x"}`, jose.ErrMalformed},
		{"long s", `{"i\u017f\u017f":"x"}`, jose.ErrMalformed},
		{"untagged field in lower case", `{"untagged":"x"}`, jose.ErrMalformed},
		{"name of the embedded struct", `{"registered":1}`, nil},
		{"name that is no field", `{"Exp2":1,"HIDDEN":1}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var into claims
			if err := jose.UnmarshalObject([]byte(tt.json), &into); !errors.Is(err, tt.want) {
				t.Errorf("UnmarshalObject = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestClaimsOfTheWrongType(t *testing.T) {
	t.Parallel()
	var into claims
	for _, text := range []string{`{"exp":"soon"}`, `{"exp":1.5}`, `{"exp":1e30}`, `{"amr":"pwd"}`, `{"iss":1}`, `{"cnf":[]}`} {
		err := jose.UnmarshalObject([]byte(text), &into)
		if !errors.Is(err, jose.ErrMalformed) || strings.Contains(err.Error(), "soon") {
			t.Errorf("UnmarshalObject(%s) = %v, want ErrMalformed that quotes nothing", text, err)
		}
	}
	if err := jose.UnmarshalObject([]byte(`{}`), nil); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("decoding into nothing = %v", err)
	}
	if err := jose.UnmarshalObject([]byte(`{}`), claims{}); !errors.Is(err, jose.ErrMalformed) {
		t.Errorf("decoding into a value = %v", err)
	}
}

// Each escape stands for what the standard library takes it for, or is refused.
func TestEscapes(t *testing.T) {
	t.Parallel()
	good := []string{
		`\ud800\udc00`, `\udbff\udfff`, `\uDBFF\uDC00`, `\ud800\uDFFF`, `\ud7ff`, `\ue000`, `\uffff`, `\u0000`, `\u00410`,
		`\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`,
	}
	bad := []string{
		`\ud800`, `\udbff`, `\udc00`, `\udfff`, `\udfff\ud800`, `\ud800\ud800`, `\ud800\udbff`, `\ud800\ue000`, `\ud800\n`,
		`\ud800udc00`, `\ud800\udc0`, `\ud800\`, `\u`, `\u0`, `\u004`, `\U0041`, `\x41`, `\0`, `\'`, `\a`, `\v`, `\ `,
	}
	for c := byte(' '); c <= '~'; c++ {
		for place := range 4 {
			digits := []byte("0000")
			digits[place] = c
			switch escape := `\u` + string(digits); {
			case c == '"' || c == '\\':
			case strings.IndexByte("0123456789abcdefABCDEF", c) < 0:
				bad = append(bad, escape)
			case place > 0: // those in front may be surrogates
				good = append(good, escape)
			}
		}
	}
	for _, escape := range good {
		text := `{"a":"` + escape + `"}`
		var got, want struct {
			A string `json:"a"`
		}
		if err := jose.UnmarshalObject([]byte(text), &got); err != nil {
			t.Errorf("UnmarshalObject(%s) = %v", text, err)
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil || got != want {
			t.Errorf("UnmarshalObject(%s) = %q, want %q, %v", text, got.A, want.A, err)
		}
		// The same in a name, where escapes are undone to find duplicates.
		twice := `{"` + escape + `":1,"b":2,"` + escape + `":3}`
		if err := jose.UnmarshalObject([]byte(twice), &struct{}{}); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("UnmarshalObject(%s) = %v", twice, err)
		}
	}
	for _, escape := range bad {
		for _, text := range []string{`{"a":"` + escape + `"}`, `{"` + escape + `":1}`, `{"a":"` + escape} {
			var into map[string]any
			if err := jose.UnmarshalObject([]byte(text), &into); !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("UnmarshalObject(%s) = %v, want ErrMalformed", text, err)
			}
		}
	}
}

// Whatever encoding/json writes within the limits is read, whatever is in its strings.
func TestWhatWeWriteWeRead(t *testing.T) {
	t.Parallel()
	scalar := rapid.OneOf(
		rapid.String().AsAny(), rapid.Int().AsAny(), rapid.Float64().AsAny(), rapid.Bool().AsAny(), rapid.Just[any](nil),
	)
	values := rapid.Deferred(func() *rapid.Generator[any] {
		return rapid.OneOf(scalar, rapid.SliceOfN(scalar, 0, 5).AsAny(), rapid.MapOfN(rapid.String(), scalar, 0, 5).AsAny())
	})
	rapid.Check(t, func(t *rapid.T) {
		want, err := json.Marshal(rapid.MapOfN(rapid.String(), values, 0, 20).Draw(t, "claims"))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]json.RawMessage
		if err := jose.UnmarshalObject(want, &got); err != nil {
			if strings.Contains(string(want), `\ufffd`) {
				t.Skip("names that encoding/json makes equal")
			}
			t.Fatalf("UnmarshalObject(%s) = %v", want, err)
		}
		if back, err := json.Marshal(got); err != nil || !bytes.Equal(back, want) {
			t.Fatalf("read %s, wrote %s, %v", want, back, err)
		}
	})
}
