// SPDX-License-Identifier: Apache-2.0

package jose_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// What parses has one spelling: put together again from what was read, it is the same string. Its JSON is the same to
// another reader. What does not parse says so, and no more.
func FuzzParse(f *testing.F) {
	k := testKey(f, jose.ES256)
	v := victim{k}
	f.Add(mustSign(f, k, "at+jwt", accessClaims))
	f.Add(v.forge(f, `{"typ":"application\/at+jwt","x5t":"a","alg":"RS256","kid":"a b"}`, "\t{ \"a\" : [ ] }\n"))
	f.Add(v.forge(f, `{"alg":"none"}`, `{}`))
	f.Add(v.forge(f, `{"alg":"ES256","\u0061lg":"ES256"}`, `{"a":"\ud83d\ude00","b":-0.1e+2}`))
	f.Add(rfc7515ES256)
	f.Add(rfc8037)
	f.Add(hostileToken(f))
	f.Add("a.b.c")
	f.Add("...")
	f.Add("e30.e30.e30\n")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := jose.Parse(raw)
		if err != nil {
			if !errors.Is(err, jose.ErrMalformed) || token.Payload != nil {
				t.Errorf("Parse = %v, %v", token, err)
			}
			return
		}
		header, err := b64.DecodeString(strings.SplitN(raw, ".", 2)[0])
		if err != nil {
			t.Fatal(err)
		}
		if again := compact(string(header), string(token.Payload), token.Signature); again != raw {
			t.Errorf("%q was read as %q", raw, again)
		}
		sameHeader(t, header, token.Header)
		plainObject(t, token.Payload)
		var claims map[string]any
		if err := token.Claims(&claims); err != nil {
			t.Errorf("Claims = %v for a payload that was accepted: %q", err, token.Payload)
		}
		if err := token.Verify(testKey(t, jose.RS256).Public()); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("Verify = %v", err)
		}
	})
}

// sameHeader holds the header against the standard library's reading of it.
func sameHeader(t *testing.T, data []byte, got jose.Header) {
	t.Helper()
	plainObject(t, data)
	var members map[string]string
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatalf("header %q: %v", data, err)
	}
	if want := (jose.Header{Alg: jose.Algorithm(members["alg"]), KID: members["kid"], Typ: members["typ"]}); got != want {
		t.Errorf("header %q was read as %+v", data, got)
	}
	if !got.Alg.Supported() {
		t.Errorf("algorithm %q was accepted", got.Alg)
	}
	for name := range members {
		if !strings.Contains(" alg kid typ x5t x5t#S256 ", " "+name+" ") {
			t.Errorf("header member %q was accepted", name)
		}
	}
}

// plainObject fails unless data is one JSON object in UTF-8 without duplicate members, by the standard library's judgment.
func plainObject(t *testing.T, data []byte) {
	t.Helper()
	if !utf8.Valid(data) || !json.Valid(data) || bytes.TrimLeft(data, " \t\r\n")[0] != '{' {
		t.Fatalf("accepted %q", data)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	uniqueMembers(t, d, data)
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("accepted something behind the object: %q", data)
	}
}

// uniqueMembers reads one value.
func uniqueMembers(t *testing.T, d *json.Decoder, data []byte) {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return
	}
	seen := make(map[any]bool)
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			if seen[name] {
				t.Errorf("accepted member %q twice: %q", name, data)
			}
			seen[name] = true
		}
		uniqueMembers(t, d, data)
	}
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
}

// The strict reader never takes what the standard library does not, and of what that takes refuses only what the profile
// names.
func FuzzUnmarshalObject(f *testing.F) {
	f.Add([]byte(accessClaims))
	f.Add([]byte(`{"a":[1,-0,0.5,1e9,2E-3,true,false,null,"\u00e9\ud83d\ude00",{"a":{}}]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(`{"\ud800":1}`))
	f.Add([]byte(`{"a":01}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var members map[string]json.RawMessage
		err := jose.UnmarshalObject(data, &members)
		if err == nil {
			plainObject(t, data)
			return
		}
		if !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("UnmarshalObject = %v", err)
		}
		// Without a second member, nesting or an escape there is nothing to be stricter about.
		simple := utf8.Valid(data) && json.Valid(data) && bytes.Count(data, []byte(":")) <= 1 &&
			bytes.Count(data, []byte("[")) < jose.MaxDepth && !bytes.Contains(data, []byte(`\u`)) &&
			bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
		if simple {
			t.Errorf("UnmarshalObject(%q) = %v", data, err)
		}
	})
}

// What is taken from a set can be published, is the same when it is read again, and holds no secret.
func FuzzParseSet(f *testing.F) {
	var all []jose.PublicKey
	for _, alg := range algorithms {
		all = append(all, testKey(f, alg).Public())
	}
	set, err := jose.MarshalSet(all)
	if err != nil {
		f.Fatal(err)
	}
	private, err := jose.MarshalPrivate(testKey(f, jose.ES256))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(set)
	f.Add([]byte(`{"keys":[` + string(private) + `]}`))
	f.Add([]byte(`{"keys":[` + rfc7515ES256Key + `,` + rfc7515RS256Key + `,` + rfc8037Key + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA","use":"enc"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := jose.ParseSet(data)
		if err != nil {
			if keys != nil || !errors.Is(err, jose.ErrMalformed) && !errors.Is(err, jose.ErrKey) {
				t.Errorf("ParseSet = %v, %v", keys, err)
			}
			return
		}
		plainObject(t, data)
		again, err := jose.MarshalSet(keys)
		if err != nil {
			t.Fatalf("a key that was taken cannot be published: %v", err)
		}
		back, err := jose.ParseSet(again)
		if err != nil || len(back) != len(keys) {
			t.Fatalf("%d keys were read back as %d, %v", len(keys), len(back), err)
		}
		for i := range keys {
			if !sameKey(keys[i], back[i]) {
				t.Errorf("key %d was read back as another", i)
			}
		}
	})
}
