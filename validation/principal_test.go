// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/validation"
)

func TestReadPrincipal(t *testing.T) {
	t.Parallel()
	p, err := validation.ReadPrincipal([]byte(`{"active":true,"sub":"u\u0073r","scope":"a","n":1.50,"b":false,"l":["x","y"],"o":{"a":1},"z":null,"s":"t e\u0078t","m":["x",1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Subject != "usr" || !p.Scopes.Has("a") || !p.ExpiresAt.IsZero() {
		t.Errorf("got %+v", p)
	}
	for claim, want := range map[string]string{
		"sub": "usr", "s": "t ext", "n": "1.50", "b": "false", "active": "true", "l": "x y", "o": "", "z": "", "m": "", "absent": "", "": "", "SUB": "",
	} {
		if got := p.Text(claim); got != want {
			t.Errorf("%s: got %q, want %q", claim, got, want)
		}
	}
	var into struct {
		Number float64 `json:"n"`
		Object struct{ A int }
	}
	if err := p.Claims(&into); err != nil || into.Number != 1.5 {
		t.Errorf("got %+v, %v", into, err)
	}
	var wrong struct {
		Number string `json:"n"`
	}
	if err := p.Claims(&wrong); !errors.Is(err, validation.ErrClaims) {
		t.Errorf("got %v", err)
	}
	if got := new(validation.Principal).Text("sub"); got != "" {
		t.Errorf("a principal without claims says %q", got)
	}
	for _, bad := range []string{``, `[]`, `null`, `"x"`, `{"sub":1}`, `{"sub":"a","sub":"b"}`, `{"exp":"1"}`, `{"scope":{}}`, `{"aud":1}`, `{"SUB":"a"}`} {
		if p, err := validation.ReadPrincipal([]byte(bad)); !errors.Is(err, validation.ErrClaims) {
			t.Errorf("%s: got %v, %v", bad, p, err)
		}
	}
	if _, err := validation.ReadPrincipal([]byte(`{"cnf":{}}`)); !errors.Is(err, validation.ErrBound) {
		t.Errorf("bound: got %v", err)
	}
}

func TestCheckTime(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		p      validation.Principal
		leeway time.Duration
		want   error
	}{
		{"no times", validation.Principal{}, 0, nil},
		{"before exp", validation.Principal{ExpiresAt: start.Add(1)}, 0, nil},
		{"at exp", validation.Principal{ExpiresAt: start}, 0, validation.ErrExpired},
		{"at exp with leeway", validation.Principal{ExpiresAt: start}, 1, nil},
		{"at the end of the leeway", validation.Principal{ExpiresAt: start.Add(-time.Minute)}, time.Minute, validation.ErrExpired},
		{"nbf at the skew", validation.Principal{NotBefore: start.Add(validation.Skew)}, 0, nil},
		{"nbf beyond the skew", validation.Principal{NotBefore: start.Add(validation.Skew + 1)}, 0, validation.ErrEarly},
		{"nbf at a leeway longer than the skew", validation.Principal{NotBefore: start.Add(time.Minute)}, time.Minute, nil},
		{"iat at the skew", validation.Principal{IssuedAt: start.Add(validation.Skew)}, 0, nil},
		{"iat beyond the skew", validation.Principal{IssuedAt: start.Add(validation.Skew + 1)}, 0, validation.ErrEarly},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if err := test.p.CheckTime(start, test.leeway); !errors.Is(err, test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRealmsAt(t *testing.T) {
	t.Parallel()
	realms := validation.Realms{{Realm: "password", At: start}, {Realm: "phone", At: start.Add(1)}}
	if at, ok := realms.At("phone"); !ok || !at.Equal(start.Add(1)) {
		t.Errorf("got %v, %t", at, ok)
	}
	for _, name := range []string{"", "pass", "PHONE"} {
		if _, ok := realms.At(name); ok {
			t.Errorf("%q is there", name)
		}
	}
	if _, ok := validation.Realms(nil).At("phone"); ok {
		t.Error("nothing proves something")
	}
}

func TestPrincipalFromContext(t *testing.T) {
	t.Parallel()
	if _, ok := validation.PrincipalFrom(t.Context()); ok {
		t.Error("somebody is there")
	}
	if _, ok := validation.PrincipalFrom(validation.WithPrincipal(t.Context(), nil)); ok {
		t.Error("nobody is somebody")
	}
	want := &validation.Principal{Subject: "usr_1"}
	if got, ok := validation.PrincipalFrom(validation.WithPrincipal(t.Context(), want)); !ok || got != want {
		t.Errorf("got %v, %t", got, ok)
	}
}

// Whatever strings a token holds come out as they went in, though they share the memory of the payload.
func TestPrincipalKeepsStrings(t *testing.T) {
	t.Parallel()
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a", `"`, `\`, "<&>", "\u2028", "sub", "usr_1", "\x00"}))
	lists := rapid.SliceOfN(texts, 1, 5)
	rapid.Check(t, func(t *rapid.T) {
		want := &validation.Principal{
			Issuer: texts.Draw(t, "iss"), Subject: texts.Draw(t, "sub"), ClientID: texts.Draw(t, "client"), TokenID: texts.Draw(t, "jti"),
			GrantID: texts.Draw(t, "gid"), SessionID: texts.Draw(t, "sid"), ACR: texts.Draw(t, "acr"), AMR: lists.Draw(t, "amr"),
			Audience: lists.Draw(t, "aud"),
		}
		data, err := json.Marshal(map[string]any{
			"iss": want.Issuer, "sub": want.Subject, "client_id": want.ClientID, "jti": want.TokenID, "gid": want.GrantID,
			"sid": want.SessionID, "acr": want.ACR, "amr": want.AMR, "aud": want.Audience,
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := validation.ReadPrincipal(data)
		if err != nil {
			t.Fatal(err)
		}
		// JSON has no other strings than UTF-8.
		var wantUTF8, gotUTF8 any
		must(t, json.Unmarshal(mustJSON(t, want), &wantUTF8))
		must(t, json.Unmarshal(mustJSON(t, got), &gotUTF8))
		if diff := cmp.Diff(wantUTF8, gotUTF8); diff != "" {
			t.Fatal(diff)
		}
	})
}

func mustJSON(t *rapid.T, v any) []byte {
	data, err := json.Marshal(v)
	must(t, err)
	return data
}

func must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzReadPrincipal compares what is read with what encoding/json reads of the same text.
func FuzzReadPrincipal(f *testing.F) {
	f.Add([]byte(`{"iss":"a","sub":"b","aud":["c"],"exp":1e300,"scope":"a b","realms":{"x":1.5},"amr":["y"]}`))
	f.Add([]byte(`{"aud":"c","exp":-1e400,"scope":["a"],"realms":[],"cnf":{}}`))
	f.Add([]byte(` { "exp" : 1767225600.999999999 , "nbf":0.1,"sid":1,"\u0061ud":"" , "x":{"sub":"]}\"","y":[1,{"z":"\\"}]} } `))
	f.Add([]byte(`{"sub":"\ud83d\ude00\"\\\/\b","acr":"\\","amr":["a\"b","",",]}"],"realms":{"a\u0062":-1,"c":{}}}`))
	f.Add([]byte(`{"iss":"a","of":1e700}`))
	f.Add([]byte(`{"jti":"t","client_id":"","azp":"z","gid":"g","sid":"s","auth_time":0,"iat":1,"l":["p","q"],"n":null,"t":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := validation.ReadPrincipal(data)
		if err != nil {
			if p != nil || !errors.Is(err, validation.ErrClaims) && !errors.Is(err, validation.ErrBound) {
				t.Fatalf("got %v, %v", p, err)
			}
			return
		}
		var all map[string]any
		var large *json.UnmarshalTypeError // a number that nobody reads, and that encoding/json has no room for
		switch err := json.Unmarshal(data, &all); {
		case errors.As(err, &large):
			return
		case err != nil:
			t.Fatalf("accepted what is not JSON: %v", err)
		}
		if _, ok := all["cnf"]; ok {
			t.Fatal("accepted a bound token")
		}
		client := textOf(all["client_id"])
		if client == "" {
			client = textOf(all["azp"])
		}
		want := &validation.Principal{
			Issuer: textOf(all["iss"]), Subject: textOf(all["sub"]), ClientID: client, TokenID: textOf(all["jti"]),
			GrantID: textOf(all["gid"]), SessionID: textOf(all["sid"]), ACR: textOf(all["acr"]), AMR: listOf(all["amr"]), Audience: listOf(all["aud"]),
			Scopes: p.Scopes, ExpiresAt: timeOf(t, all, "exp", p.ExpiresAt), NotBefore: timeOf(t, all, "nbf", p.NotBefore),
			IssuedAt: timeOf(t, all, "iat", p.IssuedAt), AuthTime: timeOf(t, all, "auth_time", p.AuthTime),
		}
		realms, _ := all["realms"].(map[string]any)
		for _, proof := range p.Realms {
			want.Realms = append(want.Realms, validation.Proof{Realm: proof.Realm, At: timeOf(t, realms, proof.Realm, proof.At)})
		}
		if len(p.Realms) != 0 && len(p.Realms) != len(realms) {
			t.Fatalf("got %v of %v", p.Realms, realms)
		}
		if diff := cmp.Diff(want, p, cmpopts.IgnoreUnexported(validation.Principal{})); diff != "" {
			t.Fatal(diff)
		}
		for name, value := range all {
			if s, ok := value.(string); ok && p.Text(name) != s {
				t.Fatalf("%q: got %q, want %q", name, p.Text(name), s)
			}
		}
		if text := strings.Join(listOf(all["scope"]), " "); len(p.Scopes) > 0 {
			for scope := range strings.SplitSeq(text, " ") {
				if !p.Scopes.Has(scope) {
					t.Fatalf("%q is lost from %q", scope, text)
				}
			}
		} else if strings.Trim(text, " ") != "" {
			t.Fatalf("scopes %q are lost", text)
		}
		_ = p.CheckTime(start, 0)
	})
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

func listOf(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	values, _ := v.([]any)
	var list []string
	for _, v := range values {
		list = append(list, textOf(v))
	}
	return list
}

// timeOf returns got if it is the time that was sent, within what a float64 can tell apart, or the end of the calendar
// where that lies beyond.
func timeOf(t *testing.T, all map[string]any, name string, got time.Time) time.Time {
	t.Helper()
	sent, ok := all[name].(float64)
	switch {
	case !ok:
		return time.Time{}
	case got.Year() < 1 || got.Year() > 9999:
		t.Fatalf("a time in the year %d", got.Year())
	case sent < -6.2e10 && got.IsZero(), sent > 2.5e11 && got.Year() == 9999:
		return got
	}
	if d := float64(got.Unix()) - sent; d > 1 || d < -1 {
		t.Fatalf("%s: %f became %v", name, sent, got)
	}
	return got
}

// FuzzValidate: whatever a good token is turned into, it is either that token or refused.
func FuzzValidate(f *testing.F) {
	h := newHouse(f)
	good := access(f)
	f.Add(good, 0, byte(0))
	f.Add(good, 10, byte(1))
	f.Add("a.b.c", 0, byte(0))
	f.Add("", 0, byte(0))
	f.Fuzz(func(t *testing.T, raw string, at int, flip byte) {
		if changed := []byte(raw); len(changed) > 0 && at >= 0 {
			changed[at%len(changed)] ^= flip
			raw = string(changed)
		}
		p, err := h.Validate(t.Context(), validation.Bearer(raw))
		if err == nil && raw != good {
			t.Fatalf("%q is accepted: %+v", raw, p)
		}
		if err != nil {
			wantCode(t, err, "invalid_token", 401)
		}
	})
}
