// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
	apple "github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	gateway "github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

const (
	bundle  = "com.example.bank"
	address = "feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface"
	keyID   = "KEY0000001"
	number  = "+31612345678"
	masked  = "+31 ** *** **78"
)

// theatre is a mobile side with Apple's service and Twilio on loopback.
type theatre struct {
	*house
	apple  *apple.Service
	twilio *gateway.Service
	device string
	phone  *device.Device
}

const limited = `mobile {
	type sms_code {
		method sms
		message en "Your code: {code}"
		message nl "Uw code: {code}"
		origin login.example.com
	}
	type push_pin {
		method push_pin
		message en "Sign in to Example"
		fallback sms_code 20s
	}
	sms_limits {
		countries NL US
		user 2
		country NL 30
	}
}`

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	authority, err := loopback.NewAuthority()
	must(t, err)
	th := new(theatre)
	signs, err := apple.NewKey("TEAM000001", keyID)
	must(t, err)
	th.apple, err = apple.Start(apple.Config{
		Authority: authority, Now: time.Now, Keys: []*apple.Key{signs}, Topics: []string{bundle}, Sandbox: true,
	})
	must(t, err)
	t.Cleanup(func() { _ = th.apple.Close() })
	th.apple.Register(address, bundle)
	p8, err := signs.P8()
	must(t, err)
	key, err := apns.ParseKey(p8)
	must(t, err)
	sender, err := apns.New(apns.Config{
		Key: key, TeamID: "TEAM000001", KeyID: keyID, BaseURL: th.apple.URL, SandboxURL: th.apple.URL, Roots: authority.Pool(), Now: time.Now,
	})
	must(t, err)
	t.Cleanup(sender.Close)
	account := "AC" + strings.Repeat("0", 32)
	th.twilio, err = gateway.Start(gateway.Config{
		Authority: authority, Now: time.Now, AccountSID: account, AuthToken: "token-s3cret", Senders: []string{"+15005550006"},
		Stopped: []string{"+31687654321"},
	})
	must(t, err)
	t.Cleanup(func() { _ = th.twilio.Close() })
	texts, err := twilio.New(twilio.Config{
		AccountSID: account, AuthToken: "token-s3cret", From: "+15005550006", BaseURL: th.twilio.URL, Roots: authority.Pool(), Now: time.Now,
	})
	must(t, err)
	t.Cleanup(texts.Close)
	th.house = newHouse(t, read(t, limited), func(h *house) {
		h.applications = notified(t)
		h.parts.Guests = &channels.Guests{
			Push: map[string]push.Sender{"apple": sender}, SMS: []delivery.Gateway{{Name: "twilio", Sender: texts}},
		}
	})
	_, th.phone = th.enrol()
	th.device = th.phone.State().Device
	return th
}

// listen has the phone tell where it is reached.
func (th *theatre) listen(service string) {
	th.t.Helper()
	must(th.t, th.phone.SetPush(th.t.Context(), &envelope.PushAddress{Service: service, Address: address}))
}

// TestTestPush reaches the phone with a question that there is not; dry, it says which way that would go.
func TestTestPush(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	th.listen("apple")
	dry, err := th.phones.TestPush(t.Context(), th.device, true)
	must(t, err)
	if dry.Sent || dry.Operation != "" || dry.Service != "apple" || dry.App != bundle || dry.Environment != "development" || dry.Application != "bank" {
		t.Errorf("dry: %+v", dry)
	}
	if n := len(th.apple.Requests()); n != 0 {
		t.Errorf("a dry run sent %d notifications", n)
	}
	sent, err := th.phones.TestPush(t.Context(), th.device, false)
	must(t, err)
	requests := th.apple.Requests()
	if !sent.Sent || sent.Failure != nil || !strings.HasPrefix(sent.Operation, "op_test_") || len(requests) != 1 {
		t.Fatalf("sent: %+v, %d requests", sent, len(requests))
	}
	if payload := string(requests[0].Payload); !strings.Contains(payload, sent.Operation) {
		t.Errorf("the phone is told %s", payload)
	}
	if _, err := th.phone.Fetch(t.Context(), sent.Operation); err == nil {
		t.Error("the phone finds a question")
	}
}

// TestTestPushFails says what is wrong and what to do, without the address.
func TestTestPushFails(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	if _, err := th.phones.TestPush(t.Context(), "dev_none", false); !errors.Is(err, handset.ErrNotFound) {
		t.Errorf("no device: %v", err)
	}
	refused := func(name, says string) {
		t.Helper()
		got, err := th.phones.TestPush(t.Context(), th.device, true)
		if !errors.Is(err, phones.ErrTrial) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), address) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	refused("a phone without address", "has no push address")
	th.listen("other")
	refused("a service that is not there", `"other"`)
	th.listen("apple")
	fails := func(class push.Class, reason, advice string) {
		t.Helper()
		got, err := th.phones.TestPush(t.Context(), th.device, false)
		must(t, err)
		f := got.Failure
		if got.Sent || f == nil || f.Class != string(class) || f.Reason != reason || !strings.Contains(f.Advice, advice) {
			t.Fatalf("%s: %+v, %+v", reason, got.Trial, f)
		}
	}
	for _, tt := range []struct {
		step   apple.Step
		class  push.Class
		advice string
	}{
		{apple.Step{Status: 400, Reason: "BadDeviceToken"}, push.Refused, "apns_environment"},
		{apple.Step{Status: 400, Reason: "DeviceTokenNotForTopic"}, push.Refused, "bundle id"},
		{apple.Step{Status: 429, Reason: "TooManyRequests"}, push.Throttled, "too often"},
	} {
		th.apple.Script.Add(tt.step)
		fails(tt.class, tt.step.Reason, tt.advice)
	}
	th.apple.Kill(address, time.Now().Add(time.Hour))
	fails(push.Dead, "Unregistered", "marked")
	refused("an address that is gone", "is gone")
	th.apple.Revoke(keyID)
	must(t, th.phone.SetPush(t.Context(), nil))
	th.listen("apple")
	fails(push.Config, "InvalidProviderToken", "nothing goes out")
}

// TestTestSMS sends one message, and says before what it would cost.
func TestTestSMS(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	dry, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: "+31 6 12345678", Type: "sms_code", Language: "nl", DryRun: true})
	must(t, err)
	want := phones.SMSLimit{Number: 10, Prefix: 100, User: 2, Country: 30, All: 1000}
	if dry.Sent || dry.To != masked || dry.Country != "NL" || dry.NumberKind != "mobile" || dry.Gateway != "twilio" || dry.Limits != want {
		t.Errorf("dry: %+v", dry)
	}
	if dry.Text != "Uw code: 000000\n\n@login.example.com #000000" && dry.Text != "Uw code: 000000\n@login.example.com #000000" || dry.Segments != 1 {
		t.Errorf("it would say %q in %d", dry.Text, dry.Segments)
	}
	if n := len(th.twilio.Messages()); n != 0 {
		t.Errorf("a dry run sent %d messages", n)
	}
	sent, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: number})
	must(t, err)
	messages := th.twilio.Messages()
	if !sent.Sent || sent.MessageID == "" || len(messages) != 1 || messages[0].To != number || messages[0].Body != sent.Text {
		t.Fatalf("sent: %+v, %+v", sent, messages)
	}
	if strings.Contains(fmt.Sprintf("%+v", sent), number[3:]) {
		t.Error("the answer has the number")
	}
	failed, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: "+31687654321"})
	must(t, err)
	if failed.Sent || failed.Failure == nil || failed.Failure.Class != "number" || failed.Failure.Reason != "21610" {
		t.Errorf("to somebody who wants nothing: %+v", failed.Failure)
	}
	spent, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: number, DryRun: true})
	must(t, err)
	if spent.Failure == nil || spent.Failure.Reason != "limit_user" {
		t.Errorf("a third test is not over the limit: %+v", spent.Failure)
	}
	if spent, err = th.phones.TestSMS(t.Context(), phones.SMSTest{To: number}); err != nil || spent.Sent || len(th.twilio.Messages()) != 1 {
		t.Errorf("it goes out all the same: %+v, %v", spent, err)
	}
}

// TestTestSMSPolicy: what Gatehouse would not send a code to is sent no test either.
func TestTestSMSPolicy(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	for to, reason := range map[string]string{"+447911123456": "country", "+31900123456": "kind", "+31201234567": "kind"} {
		got, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: to})
		must(t, err)
		if got.Sent || got.Failure == nil || got.Failure.Class != "policy" || got.Failure.Reason != reason || got.Failure.Advice == "" {
			t.Errorf("to a number that is refused for its %s: %+v", reason, got.Failure)
		}
	}
	for name, test := range map[string]phones.SMSTest{
		"no number":      {To: "12"},
		"no gateway":     {To: number, Gateway: "pigeons"},
		"no type":        {To: number, Type: "none"},
		"a type by push": {To: number, Type: "push_pin"},
	} {
		if got, err := th.phones.TestSMS(t.Context(), test); !errors.Is(err, phones.ErrTrial) || test.To == number && strings.Contains(err.Error(), number) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if n := len(th.twilio.Messages()); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
	bare := newHouse(t, nil)
	if _, err := bare.phones.TestSMS(t.Context(), phones.SMSTest{To: number}); !errors.Is(err, phones.ErrTrial) {
		t.Errorf("without a gateway: %v", err)
	}
}

// TestChannelStatus has what was sent, and what the configuration says.
func TestChannelStatus(t *testing.T) {
	t.Parallel()
	th := newTheatre(t)
	_, err := th.phones.TestSMS(t.Context(), phones.SMSTest{To: number})
	must(t, err)
	status, err := th.phones.ChannelStatus(t.Context())
	must(t, err)
	if len(status.Carriers) != 2 || status.Carriers[0].Name != "apple" || status.Carriers[1].Name != "twilio" || status.Carriers[1].Tries["sent"] == 0 {
		t.Errorf("carriers: %+v", status.Carriers)
	}
	if len(status.Types) != 2 || strings.Join(status.Types[0].Chain, " ") != "push_pin sms_code" || status.Types[0].After != 20 || status.Types[1].TimeToLive != 300 {
		t.Errorf("types: %+v", status.Types)
	}
	if len(status.Conversions) != 1 || status.Conversions[0] != (phones.Conversion{Country: "NL", Sent: 1}) {
		t.Errorf("conversions: %+v", status.Conversions)
	}
	for range 2 {
		body := `{"type":"push_pin","user_external_ref":"4711"}`
		if code, asked := th.call("POST", "/operations/authentication", body); code != http.StatusCreated {
			t.Fatalf("%d %v", code, asked)
		}
	}
	status, err = th.phones.ChannelStatus(t.Context())
	must(t, err)
	if diff := cmp.Diff(map[string]int{"push": 2, "sms": 0, "otp": 0, "registration": 0}, status.Open); diff != "" || status.MoreOpen {
		t.Errorf("open: %s", diff)
	}
	empty, err := newHouse(t, nil).phones.ChannelStatus(t.Context())
	must(t, err)
	if empty.Carriers == nil || empty.Types == nil || empty.Conversions == nil || empty.Warnings == nil || len(empty.Open) != 4 {
		t.Errorf("without channels: %+v", empty)
	}
}
