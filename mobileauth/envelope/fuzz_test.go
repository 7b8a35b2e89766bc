// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Whatever a stranger sends, it is refused, and never as the phone's.
func FuzzOpenRequest(f *testing.F) {
	w := newWorld(f)
	stranger := phoneKey(f)
	f.Add(w.forge(f, stranger, "gatehouse-request+jws", goodClaims))
	f.Add(w.wrap(f, goodClaims))
	f.Add("....")
	f.Add(strings.Repeat("a", 17<<10))
	f.Fuzz(func(t *testing.T, raw string) {
		if _, err := w.open(raw, envelope.PathPending); !isRefusal(err) || envelope.ReasonOf(err) == envelope.ReasonOther {
			t.Errorf("OpenRequest = %v", err)
		}
	})
}

// What a stranger puts inside, rightly encrypted and signed, is taken only when it says what a request says. The claims come back
// as what another reader finds in them.
func FuzzOpenClaims(f *testing.F) {
	w, k := newWorld(f), phoneKey(f)
	key := mustSignKey(f, k)
	f.Add(goodClaims)
	f.Add(strings.Replace(goodClaims, `"v"`, `"V"`, 1))
	f.Add(strings.Replace(goodClaims, `{}`, `{"a":[1]}`, 1))
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, claims string) {
		u, err := envelope.OpenRequest(w.forge(t, k, "gatehouse-request+jws", claims), w.expected(envelope.PathPending))
		if err != nil {
			if !isRefusal(err) || envelope.ReasonOf(err) == envelope.ReasonOther {
				t.Errorf("OpenRequest = %v", err)
			}
			return
		}
		device, _ := u.Claimed()
		r, err := u.Verify(device, key)
		if err != nil {
			t.Fatal(err)
		}
		var want struct {
			Issuer   string `json:"iss"`
			Audience string `json:"aud"`
			ID       string `json:"jti"`
			Path     string `json:"htu"`
			At       int64  `json:"iat"`
		}
		if err := jose.UnmarshalObject([]byte(claims), &want); err != nil {
			t.Fatalf("%q was taken: %v", claims, err)
		}
		if r.Device != want.Issuer || r.Audience != issuer || r.Audience != want.Audience || r.ID != want.ID || len(r.ID) < 22 ||
			r.Path != envelope.PathPending || r.Path != want.Path || r.At.Unix() != want.At || r.At.Sub(noon).Abs() > envelope.Window {
			t.Errorf("%q was taken as %+v", claims, r)
		}
	})
}

func FuzzOpenAnswer(f *testing.F) {
	w := newWorld(f)
	r := w.request(envelope.PathDevice)
	f.Add(strings.Replace(answerClaims, "IRT", r.ID, 1))
	f.Add(answerClaims)
	f.Add(`{"server_keys":{"keys":[]}}`)
	f.Fuzz(func(t *testing.T, claims string) {
		a, err := envelope.OpenAnswer(encryptTo(t, w.phone.Public().Enc, rawToken(t, w.serverKey, "gatehouse-answer+jws", claims)), w.awaited(r))
		if err != nil {
			if !isRefusal(err) {
				t.Errorf("OpenAnswer = %v", err)
			}
			return
		}
		if a.RequestID != r.ID || a.Device != "dev_1" || a.Issuer != issuer {
			t.Errorf("%q was taken as %+v", claims, a)
		}
	})
}

// What is read as a statement can be made again, and then says the same.
func FuzzReadStatement(f *testing.F) {
	w, k := newWorld(f), phoneKey(f)
	next := newKeys(f).Public()
	for _, p := range purposes {
		payload := strings.Split(mustState(f, statement(p, &next), w.phone).Raw(), ".")[1]
		claims, err := b64.DecodeString(payload)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(claims))
	}
	f.Fuzz(func(t *testing.T, claims string) {
		s, err := envelope.ReadStatement(rawToken(t, k, "gatehouse-statement+jws", claims), mustSignKey(t, k))
		if err != nil {
			if !isRefusal(err) {
				t.Errorf("ReadStatement = %v", err)
			}
			return
		}
		again := mustState(t, s, w.phone)
		back, err := envelope.ReadStatement(again.Raw(), w.phone.Public().Sign)
		if err != nil || back.Purpose != s.Purpose || back.Operation != s.Operation || back.Decision != s.Decision || back.Number != s.Number ||
			back.Target != s.Target || back.Kind != s.Kind || !back.At.Equal(s.At) || back.ID != s.ID || (back.Keys == nil) != (s.Keys == nil) {
			t.Errorf("%q was read as %+v, then as %+v, %v", claims, s, back, err)
		}
	})
}

func FuzzParseActivationCode(f *testing.F) {
	f.Add(arcCode)
	f.Add(strings.ToLower(arcCode))
	f.Add("0O1I8B")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := envelope.ParseActivationCode(text)
		if err != nil {
			if !isRefusal(err) {
				t.Errorf("ParseActivationCode = %v", err)
			}
			return
		}
		if back, err := envelope.ParseActivationCode(c.Text()); err != nil || back != c {
			t.Errorf("%q came back as another, %v", text, err)
		}
	})
}

func FuzzParseInvitation(f *testing.F) {
	code, err := envelope.ParseActivationCode(arcCode)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope.Invitation{Issuer: issuer, Operation: "op_1", Code: code, Key: strings.Repeat("k", 43)}.Text())
	f.Add("gatehouse://enroll?v=1")
	f.Fuzz(func(t *testing.T, text string) {
		i, err := envelope.ParseInvitation(text)
		if err != nil {
			if !isRefusal(err) {
				t.Errorf("ParseInvitation = %v", err)
			}
			return
		}
		if back, err := envelope.ParseInvitation(i.Text()); err != nil || back != i {
			t.Errorf("%q came back as %+v, %v", text, back, err)
		}
	})
}

func FuzzParseDisplay(f *testing.F) {
	f.Add([]byte(`{"v":1,"operation":"op_1","kind":"k","application":"a","title":"t","created":1,"expires":2,"number_match":0,"methods":["pin"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := envelope.ParseDisplay(data, "op_1")
		if err != nil {
			if !isRefusal(err) {
				t.Errorf("ParseDisplay = %v", err)
			}
			return
		}
		if _, err := d.Encode(); err != nil || d.Operation != "op_1" {
			t.Errorf("%q was read as %+v, %v", data, d, err)
		}
	})
}

func BenchmarkOpenRequest(b *testing.B) {
	w := newWorld(b)
	raw := w.seal(b, w.request(envelope.PathPending), envelope.PendingRequest{Wait: 30})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.open(raw, envelope.PathPending); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealAnswer(b *testing.B) {
	w := newWorld(b)
	a := w.request(envelope.PathPending).Reply(noon, w.known)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := envelope.SealAnswer(a, envelope.PendingAnswer{}, w.serverKey, w.phone.Public().Enc); err != nil {
			b.Fatal(err)
		}
	}
}
