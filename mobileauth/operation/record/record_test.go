// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation/record"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func limits(t testing.TB) *record.Limits {
	t.Helper()
	l, err := record.Limits{}.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	return &l
}

// late is an authentication by PIN that goes over to SMS.
func late() record.Start {
	return record.Start{
		Kind: record.Authentication, UserID: "usr_1", Methods: []string{"pin"}, Asked: "pin",
		Way: record.Way{Type: "pin", Of: mobiletype.PushPIN, Named: "gold"},
		Late: &record.StartLate{After: time.Minute, TimeToLive: 5 * time.Minute, Way: record.Way{
			Channel: record.BySMS, Type: "sms", Of: mobiletype.SMS, Resends: 2,
			SMS: &record.Texting{To: "+31612345678", Masked: "+31 ** *** **78", Text: "{code}"},
		}},
	}
}

func draw(t testing.TB, st record.Start) record.Operation {
	t.Helper()
	o, err := st.Draw(limits(t), noon)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	o := draw(t, late())
	code := o.Late.Way.SMS.Code
	if len(code) != record.CodeDigits || !o.Late.At.Equal(noon.Add(time.Minute)) || o.Channel != record.ByPush {
		t.Fatalf("drawn %+v", o)
	}
	o.DeviceID = "dev_1"
	before := o.Clone()
	o.Switch(noon.Add(time.Minute), record.SkippedNotFetched)
	if o.Channel != record.BySMS || o.SMS.Code != code || o.Late != nil || o.Number != "" || len(o.Methods) != 0 || o.Version != 2 ||
		!o.AnswerBy.Equal(noon.Add(6*time.Minute)) || !o.ResendAt().Equal(noon.Add(90*time.Second)) {
		t.Errorf("switched to %+v", o)
	}
	if o.DeviceID != "" {
		t.Errorf("over sms the device %s is to answer", o.DeviceID)
	}
	if before.Late == nil || before.Number == "" || len(before.Skipped) != 0 {
		t.Error("the copy changed with it")
	}
	o.Prove("")
	if o.ACR != "sms" || o.Method != record.MethodSMS {
		t.Errorf("it proves %s by %s", o.ACR, o.Method)
	}
	o.End(record.Approved, "", noon)
	if o.SMS.Code != "" || before.Late.Way.SMS.Code != code {
		t.Error("the code is forgotten in one of them alone")
	}
}

// TestEndForgets: nothing of what was secret outlives the operation, however it ends, and also where nobody has written down yet
// that it has.
func TestEndForgets(t *testing.T) {
	t.Parallel()
	scan := record.Start{Kind: record.Authentication, Way: record.Way{Channel: record.ByOTP}}
	for name, o := range map[string]record.Operation{"late": draw(t, late()), "scanned": draw(t, scan)} {
		text, err := json.Marshal(o.At(noon.Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{`"otp":`, `"code":`} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
	o := draw(t, scan)
	if record.HashOTP(o.OTP) != o.OTPHash || strings.Contains(o.OTPHash, o.OTP) {
		t.Errorf("it is named %s", o.OTPHash)
	}
	if again := draw(t, scan); again.OTP == o.OTP {
		t.Error("the same is scanned twice")
	}
}

func TestResendDelays(t *testing.T) {
	t.Parallel()
	for resent, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute, 2 * time.Minute} {
		o := record.Operation{SentAt: noon, Resent: resent}
		if got := o.ResendAt().Sub(noon); got != want {
			t.Errorf("after %d: %s", resent, got)
		}
	}
}

// TestLateAfterTheEnd: what would take over has to do so while the question can be answered.
func TestLateAfterTheEnd(t *testing.T) {
	t.Parallel()
	st := late()
	st.TimeToLive = time.Minute
	_, err := st.Draw(limits(t), noon)
	var field *record.FieldError
	if !errors.As(err, &field) || field.Field != "fallback" {
		t.Errorf("error %v", err)
	}
}

// TestDesk plays wrong and right answers against the rules: who is blocked, and what clears what.
func TestDesk(t *testing.T) {
	t.Parallel()
	l := limits(t)
	rapid.Check(t, func(rt *rapid.T) {
		var d record.Desk
		now := noon
		factors, numbers, codes := 0, 0, 0
		rt.Repeat(map[string]func(*rapid.T){
			"wrong": func(rt *rapid.T) {
				of := rapid.SampledFrom([]record.Wrong{record.WrongFactor, record.WrongNumber, record.WrongCode}).Draw(rt, "of")
				alert := d.Fail(l, of, now)
				*[]*int{&factors, &numbers, &codes}[of]++
				n := factors + numbers + codes
				want := map[bool]record.Alert{true: record.AlertBlocked}[n >= l.Failures]
				if n == l.Failures-1 {
					want = record.AlertLastTry
				}
				if alert != want || d.Blocked(now) != (n >= l.Failures) || d.Barred != (n >= l.FailuresForGood) {
					rt.Fatalf("after %d: %q, %+v", n, alert, d)
				}
			},
			"right": func(rt *rapid.T) {
				if d.Blocked(now) {
					rt.Skip("nothing is taken from whoever is blocked")
				}
				switch rapid.IntRange(0, 2).Draw(rt, "of") {
				case 0:
					d.Succeed(true, false)
					factors, numbers = 0, 0
				case 1:
					d.Succeed(false, true)
					numbers = 0
				default:
					d.Typed()
					codes = 0
				}
			},
			"later": func(*rapid.T) { now = now.Add(time.Hour) },
			"": func(rt *rapid.T) {
				if d.Failures() != factors+numbers+codes {
					rt.Fatalf("%+v, want %d, %d and %d", d, factors, numbers, codes)
				}
				if (d.Failures() == 0 && !d.Barred) != d.Bare() || d.Expires().IsZero() != true {
					rt.Fatalf("bare %t: %+v", d.Bare(), d)
				}
			},
		})
	})
}

// TestNoClientKeepsTheUserOut: whatever any number of clients have begun, the user's own question finds a place, and where they
// have named the user alone, so does one that comes with the user's credential.
func TestNoClientKeepsTheUserOut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l, err := record.Limits{
			Open: rapid.IntRange(2, record.MaxOpen).Draw(rt, "open"), OpenOfClient: rapid.IntRange(1, record.MaxOpen).Draw(rt, "share"),
		}.Normalize()
		if err != nil {
			rt.Fatal(err)
		}
		var d record.Desk
		of := map[string]int{}
		open := []*record.Operation{}
		credentials := false
		for i := range rapid.IntRange(0, 40).Draw(rt, "questions") {
			o := &record.Operation{
				ID: fmt.Sprint(i), ClientID: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(rt, "client"),
				OwnRequest: rapid.Bool().Draw(rt, "credential"),
			}
			if d.Admit(&l, o) == nil {
				d.Add(o)
				open = append(open, o)
				of[o.ClientID]++
				credentials = credentials || o.OwnRequest
			}
			if len(open) > 0 && rapid.IntRange(0, 3).Draw(rt, "end") == 0 {
				d.Drop(open[0].ID)
				of[open[0].ClientID]--
				open = open[1:]
			}
			if of[o.ClientID] > l.OpenOfClient {
				rt.Fatalf("%s has %d", o.ClientID, of[o.ClientID])
			}
			for _, own := range []record.Operation{{}, {ClientID: "site:https://www.example.com", OwnRequest: true, Common: true}} {
				if err := d.Admit(&l, &own); err != nil {
					rt.Fatalf("the user is kept out: %v, %+v", err, d.Open)
				}
			}
			if own := (record.Operation{ClientID: "z", OwnRequest: true}); l.Open > 2 && !credentials && d.Admit(&l, &own) != nil {
				rt.Fatalf("a request of the user's is kept out: %+v", d.Open)
			}
		}
	})
}

// TestTextingPrintsMasked: what is printed of a message is what may be shown.
func TestTextingPrintsMasked(t *testing.T) {
	t.Parallel()
	text := record.Texting{To: "+31612345678", Masked: "+31 ** *** **78", Code: "493817"}
	want := "message to +31 ** *** **78"
	if diff := cmp.Diff([]string{want, want, want}, []string{fmt.Sprint(text), fmt.Sprintf("%#v", text), text.LogValue().String()}); diff != "" {
		t.Error(diff)
	}
}
