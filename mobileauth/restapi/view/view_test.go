// SPDX-License-Identifier: Apache-2.0

package view_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
)

// full is an operation that has everything that is secret about any.
func full() operation.Operation {
	return operation.Operation{
		ID: "op_1", State: operation.Pending, UserID: "usr_1", Number: "4711", OTP: "SCANNED", OTPHash: "NAMED", Methods: []string{"biometric"},
		Registration: json.RawMessage(`"ACTIVATION"`),
		Way: operation.Way{Channel: operation.ByPush, Resends: 1, SMS: &operation.Texting{
			To: "+31612345678", Masked: "+31 ** *** **78", Text: "TEXT", Code: "493817",
		}},
	}
}

// TestSecrets: what only the starter may know it gets while it is of use; code, number of the phone and what enrolment keeps nobody.
func TestSecrets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		mine bool
		end  bool
		want []string
	}{
		{"the starter", true, false, []string{"4711", "SCANNED", "qr.png"}},
		{"another client", false, false, nil},
		{"the starter, afterwards", true, true, nil},
	} {
		o := full()
		if test.end {
			o.End(operation.Failed, "", time.Now())
		}
		said, err := json.Marshal(view.Of(&o, view.To{Mine: test.mine, Issuer: "https://id.example.com", Prefix: "/api/v1"}))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"4711", "SCANNED", "qr.png", "NAMED", "ACTIVATION", "+31612345678", "TEXT", "493817"} {
			told := false
			for _, w := range test.want {
				told = told || w == secret
			}
			if strings.Contains(string(said), secret) != told {
				t.Errorf("%s: %q in %s", test.name, secret, said)
			}
		}
	}
}

// TestResends: what was sent may be sent again, and what is scanned was not sent.
func TestResends(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		channel operation.Channel
		want    bool
	}{{operation.ByPush, true}, {operation.BySMS, true}, {operation.ByOTP, false}} {
		o := full()
		o.Channel = test.channel
		said, err := json.Marshal(view.Of(&o, view.To{Mine: true}))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(said), `"resends":1,"resend_at":`) != test.want || strings.Contains(string(said), "resend") != test.want {
			t.Errorf("over %s: %s", test.channel, said)
		}
	}
}

// TestNameless: who has scanned is told when they have approved, to the starter as to others, and never when they have not.
func TestNameless(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		state operation.State
		want  bool
	}{
		{"scanned", operation.Delivered, false},
		{"denied", operation.Denied, false},
		{"failed", operation.Failed, false},
		{"expired", operation.Expired, false},
		{"cancelled", operation.Cancelled, false},
		{"approved", operation.Approved, true},
		{"redeemed", operation.Redeemed, true},
	} {
		o := full()
		o.Channel, o.SMS, o.State = operation.ByOTP, nil, test.state
		o.DeviceID, o.AnsweredBy, o.Statement = "dev_1", "dev_1", "SIGNED BY dev_1"
		if test.want {
			o.Prove("pin")
		}
		for _, mine := range []bool{true, false} {
			said, err := json.Marshal(view.Of(&o, view.To{Mine: mine}))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"usr_1", "dev_1"} {
				if strings.Contains(string(said), name) != test.want {
					t.Errorf("%s: %s in %s", test.name, name, said)
				}
			}
		}
	}
	put := operation.Operation{UserID: "usr_1", DeviceID: "dev_1", State: operation.Pending}
	if got := view.Of(&put, view.To{}); got.UserID != "usr_1" || got.DeviceID != "dev_1" {
		t.Errorf("what was put to somebody is %+v", got)
	}
}

// TestDevice: what is shown of a device has no key and no address.
func TestDevice(t *testing.T) {
	t.Parallel()
	d := handset.Device{ID: "dev_1", PGP: []byte("KEY"), Push: &handset.Push{Service: "fcm", Address: "ADDRESS"}, Factors: []handset.Factor{{Kind: "pin"}}}
	got := view.DeviceOf(&d)
	if got.Encryption != "openpgp" || got.Push.Service != "fcm" || got.Attestation.Result != handset.Absent || got.Attestation.Grade != attestation.Unknown || len(got.Factors) != 1 {
		t.Errorf("%+v", got)
	}
	said, err := json.Marshal(got)
	if err != nil || strings.Contains(string(said), "ADDRESS") || strings.Contains(string(said), "KEY") {
		t.Errorf("%s, %v", said, err)
	}
}

// TestAuthMethod: until it is approved it is the method that is asked, then the one that was used.
func TestAuthMethod(t *testing.T) {
	t.Parallel()
	o := full()
	if got := view.Of(&o, view.To{}).AuthMethod; got != mobiletype.PushFingerprint {
		t.Errorf("it is %s", got)
	}
	o.Used = mobiletype.PushPIN
	if got := view.Of(&o, view.To{}).AuthMethod; got != mobiletype.PushPIN {
		t.Errorf("it was %s", got)
	}
	registration := operation.Operation{Kind: operation.Registration}
	if got := view.Of(&registration, view.To{}); got.AuthMethod != "" || got.Methods == nil {
		t.Errorf("a registration is %+v", got)
	}
}

func TestPhone(t *testing.T) {
	t.Parallel()
	d := handset.Device{ID: "dev_1", Push: &handset.Push{Address: "ADDRESS"}}
	if got := view.PhoneOf(d); !got.Push {
		t.Errorf("%+v", got)
	}
	d.Push.DeadAt = time.Now()
	if got := view.PhoneOf(d); got.Push {
		t.Errorf("a dead address: %+v", got)
	}
}
