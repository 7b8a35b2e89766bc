// SPDX-License-Identifier: Apache-2.0

package ltpa_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ltpa"
)

func TestParseProperties(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want       map[string]string
	}{
		{"escapes of a server", "a=x\\=\\=\nb=y\\:z\n", map[string]string{"a": "x==", "b": "y:z"}},
		{"comments and empty lines", "# a=b\n\n  ! c=d\n\t\ne=f", map[string]string{"e": "f"}},
		{"separators", "a = b\nc:d\ne f\n  g\t=\th\ni", map[string]string{"a": "b", "c": "d", "e": "f", "g": "h", "i": ""}},
		{"line ends", "a=b\r\nc=d\re=f", map[string]string{"a": "b", "c": "d", "e": "f"}},
		{"lines that go on", "a=b\\\n   c\\\n#d\ne=f\\\\\ng=h", map[string]string{"a": "bc#d", "e": `f\`, "g": "h"}},
		{"a line that goes on to the end", "a=b\\", map[string]string{"a": "b"}},
		{"a name with escapes", "a\\ b\\=c=d", map[string]string{"a b=c": "d"}},
		{"letters", "a=\\u00e9\\t\\n\\r\\f\\x\\\\", map[string]string{"a": "é\t\n\r\fx\\"}},
		{"separators in values", "a=b=c:d e", map[string]string{"a": "b=c:d e"}},
		{"nothing", "", map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ltpa.ParseProperties(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("unexpected properties (-want +got):\n%s", diff)
			}
		})
	}
	for name, file := range map[string]string{
		"short escape": `a=\u00e`, "escape of no digits": `a=\u00zz`, "escape in a name": `\u=b`, "twice": "a=b\na=c", "huge": strings.Repeat("#\n", 40_000),
	} {
		if got, err := ltpa.ParseProperties(file); err == nil {
			t.Errorf("%s: it is read as %v", name, got)
		}
	}
}

// TestTrap3KeyFilesThatAreNotTheUsual: a file that cannot be what it should be is refused with the property's name, and nothing of
// what it holds.
func TestTrap3KeyFilesThatAreNotTheUsual(t *testing.T) {
	t.Parallel()
	good := golden(t).KeyFile
	without := func(property string) string {
		var kept strings.Builder
		for line := range strings.Lines(good) {
			if !strings.HasPrefix(line, "com.ibm.websphere.ltpa."+property+"=") {
				kept.WriteString(line)
			}
		}
		return kept.String()
	}
	with := func(property, value string) string {
		return without(property) + "com.ibm.websphere.ltpa." + property + "=" + value + "\n"
	}
	for _, tt := range []struct{ name, file, password, says string }{
		{"nothing", "", keyPassword, "3DESKey"},
		{"another password", good, "webas", "the password is wrong"},
		{"no password", good, "", "the password is wrong"},
		{"no shared key", without("3DESKey"), keyPassword, "3DESKey"},
		{"a shared key of another size", with("3DESKey", "AAAA"), keyPassword, "3DESKey"},
		{"a shared key in another form", with("3DESKey", "###"), keyPassword, "3DESKey"},
		{"no public key", without("PublicKey"), keyPassword, "PublicKey"},
		{"a public key of another size", with("PublicKey", "AAAA"), keyPassword, "1024 bits"},
		{"a public key of zeros", with("PublicKey", strings.Repeat("A", 176)), keyPassword, "1024 bits"},
		{"FIPS", good + "com.ibm.websphere.ltpa.sharedKey=x\n", keyPassword, "FIPS"},
		{"hybrid", good + "com.ibm.websphere.ltpa.CryptoMode=hybrid\n", keyPassword, "hybrid"},
		{"ML-DSA", good + "com.ibm.websphere.ltpa.PQCAlgorithm=ML-DSA-65\n", keyPassword, "hybrid"},
		{"another version", with("version", "3.0"), keyPassword, `"3.0"`},
		{"no properties", good + `a=\u`, keyPassword, "hexadecimal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ltpa.ParseKeys([]byte(tt.file), tt.password)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("ParseKeys = %v, want an error about %s", err, tt.says)
			}
			if strings.Contains(err.Error(), wrappedKey[:12]) || strings.Contains(err.Error(), keyPassword) {
				t.Errorf("the error tells what is in the file: %v", err)
			}
		})
	}
	if _, err := ltpa.ParseKeys([]byte(without("PrivateKey")), keyPassword); err != nil {
		t.Errorf("without the private key, which nobody needs: %v", err)
	}
	if _, err := ltpa.ParseKeys([]byte(without("version")), keyPassword); err != nil {
		t.Errorf("without a version: %v", err)
	}
}

// serialize writes user data as a server does.
func serialize(attributes map[string][]string) string {
	escape := strings.NewReplacer(`\`, `\\`, "%", `\%`, "$", `\$`, ":", `\:`, "|", `\|`).Replace
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		var values []string
		for _, value := range attributes[key] {
			values = append(values, escape(value))
		}
		parts = append(parts, key+":"+strings.Join(values, "|"))
	}
	return strings.Join(parts, "$")
}

// What a server writes is read as what it was, and there is no other way to write it.
func TestUserDataHasOneForm(t *testing.T) {
	t.Parallel()
	key := rapid.StringMatching(`[a-zA-Z0-9._-]{1,5}`)
	value := rapid.StringMatching(`[a%$:|\\é, =/]{1,8}`)
	rapid.Check(t, func(t *rapid.T) {
		attributes := map[string][]string{}
		for _, k := range rapid.SliceOfNDistinct(key, 1, 4, rapid.ID[string]).Draw(t, "keys") {
			values := 3
			if k == "u" {
				values = 1
			}
			attributes[k] = rapid.SliceOfN(value, 1, values).Draw(t, k)
		}
		got, ok := ltpa.ParseUserData(serialize(attributes))
		if diff := cmp.Diff(attributes, got); !ok || diff != "" {
			t.Fatalf("%q is not read as what it was (-want +got):\n%s", serialize(attributes), diff)
		}
	})
}

// Whatever user data is: what is accepted would be written in the same way again.
func FuzzUserData(f *testing.F) {
	f.Add(aliceData)
	f.Add(`a:b|c$u:x\|y`)
	f.Add(`a:\\$b:\$`)
	f.Fuzz(func(t *testing.T, data string) {
		if attributes, ok := ltpa.ParseUserData(data); ok && serialize(attributes) != data {
			t.Errorf("%q is read as %q", data, attributes)
		}
	})
}

// Whatever a key file is: it is read or refused, and keys that are read verify.
func FuzzKeyFile(f *testing.F) {
	good := golden(f).KeyFile
	f.Add(good, keyPassword)
	f.Add(good[:len(good)/2], keyPassword)
	f.Add("a=\\u00e9\\\n b", "")
	f.Fuzz(func(t *testing.T, file, password string) {
		keys, err := ltpa.ParseKeys([]byte(file), password)
		if err != nil {
			return
		}
		module := newModule(t, keys)
		if result := judge(t, module, "AAAA"); result.Status != realm.Refused {
			t.Errorf("its keys accept %+v", result)
		}
	})
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		cookie string
		fields []string
		want   string
		asks   bool
	}{
		{"no cookies", "", nil, "", true},
		{"others", "", []string{"a=b; ltpatoken2=x; LtpaToken=y; LtpaToken22=z; LtpaToken2"}, "", true},
		{"one", "", []string{"LtpaToken2=ab+/=="}, "ab+/==", false},
		{"one among others", "", []string{"a=b; LtpaToken2=x; c=d"}, "x", false},
		{"one in a second field", "", []string{"a=b", "c=d;LtpaToken2=x"}, "x", false},
		{"in quotes", "", []string{`LtpaToken2="x=="`}, "x==", false},
		{"a quote", "", []string{`LtpaToken2="`}, `"`, false},
		{"empty", "", []string{"LtpaToken2="}, "", false},
		{"two", "", []string{"LtpaToken2=x; LtpaToken2=y"}, "", false},
		{"the same one twice", "", []string{"LtpaToken2=x", "LtpaToken2=x"}, "", false},
		{"another name", "Sso", []string{"LtpaToken2=x; Sso=y"}, "y", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := ltpa.New(tt.cookie)
			if err != nil {
				t.Fatal(err)
			}
			credentials, challenge, err := a.Collect(t.Context(), realm.Input{
				Headers: map[string][]string{"Cookie": tt.fields}, Fields: map[string]string{ltpa.ValueToken: "answer"},
				ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
			})
			if err != nil {
				t.Fatal(err)
			}
			if tt.asks {
				if diff := cmp.Diff(&realm.Challenge{Message: "login.ltpa"}, challenge); diff != "" {
					t.Errorf("unexpected challenge (-want +got):\n%s", diff)
				}
				return
			}
			want := realm.Credentials{
				Values: map[string]string{ltpa.ValueToken: tt.want}, ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
			}
			if diff := cmp.Diff(want, credentials); diff != "" || challenge != nil {
				t.Errorf("unexpected credentials (-want +got):\n%s", diff)
			}
		})
	}
	for _, name := range []string{"a b", "a=b", "a;b", "é", strings.Repeat("a", 129)} {
		if _, err := ltpa.New(name); err == nil {
			t.Errorf("%q is taken for the name of a cookie", name)
		}
	}
}

// Whatever cookies are sent: what is handed over stands in one of them under the name, and in one alone.
func FuzzCookies(f *testing.F) {
	f.Add("a=b; LtpaToken2=x")
	f.Add(`LtpaToken2="x"; LtpaToken2=y`)
	a, err := ltpa.New("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, field string) {
		credentials, _, err := a.Collect(t.Context(), realm.Input{Headers: map[string][]string{"Cookie": {field}}})
		if err != nil {
			t.Fatal(err)
		}
		token := credentials.Values[ltpa.ValueToken]
		if token != "" && (!strings.Contains(field, "LtpaToken2="+token) && !strings.Contains(field, `LtpaToken2="`+token+`"`)) {
			t.Errorf("%q holds no token %q", field, token)
		}
	})
}
