// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// pager is a push service, pigeons a gateway that tells what became of messages.
type pager struct{ sent chan push.Message }

func (p *pager) Send(_ context.Context, m push.Message) error {
	p.sent <- m
	return nil
}

func (*pager) Check(address string) error {
	if strings.Trim(address, "0123456789abcdef") != "" {
		return push.ErrAddress
	}
	return nil
}

type pigeons struct {
	sent    chan sms.Message
	address string
}

func (p *pigeons) Send(_ context.Context, m sms.Message) (string, error) {
	p.sent <- m
	return "SM1", nil
}

func (p *pigeons) ReportsAt() string { return p.address }

func (*pigeons) Reports(secret, _ string, told sms.Told) (http.Handler, error) {
	return sms.Receiver{
		Secret: secret, Told: told,
		Read: func(_ *http.Request, body []byte) ([]sms.Report, bool) {
			return []sms.Report{{ID: "SM1", State: sms.State(body)}}, true
		},
	}.Handler()
}

const secretSegment = "s3cr3t-segment-0123456789"

// notified is the application with a push service.
func notified(t *testing.T) []apps.Config {
	t.Helper()
	configs := bank(t)
	configs[0].Push = map[string]apps.Push{"ios": {Services: []string{"apple"}, Environment: "development"}}
	return configs
}

const types = `mobile {
	type push_pin {
		method push_pin
		message en "Sign in to Example"
		fallback sms_code
	}
	type sms_code {
		method sms
		message en "Your code: {code}"
	}
	type scan {
		method otp
		message en "Sign in to Example"
	}
	context_template en "{message} Device: {operating_system} {browser}"
}`

// reached starts a mobile side with a push service and a gateway.
func reached(t *testing.T) (*house, *pager, *pigeons) {
	t.Helper()
	p, g := &pager{make(chan push.Message, 8)}, &pigeons{sent: make(chan sms.Message, 8)}
	h := newHouse(t, read(t, types), func(h *house) {
		g.address = h.url + "/sms/reports/pigeons/" + secretSegment
		h.applications = notified(t)
		h.parts.Guests = &channels.Guests{
			Push: map[string]push.Sender{"apple": p}, SMS: []delivery.Gateway{{Name: "pigeons", Sender: g}},
		}
	})
	return h, p, g
}

// TestTypeIsPushed: "the phone shows: you are logging into the XYZ portal", after a notification that says nothing but an id.
func TestTypeIsPushed(t *testing.T) {
	t.Parallel()
	h, p, _ := reached(t)
	user, phone := h.enrol()
	if err := phone.SetPush(t.Context(), &envelope.PushAddress{Service: "apple", Address: "../somewhere else"}); err == nil {
		t.Error("an address that is none is taken")
	}
	must(t, phone.SetPush(t.Context(), &envelope.PushAddress{Service: "apple", Address: "feedfacefeedface"}))
	status, asked := h.call("POST", "/operations/authentication", `{"type":"push_pin","user_id":"`+user+`",
		"user_agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_3) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/73.0.3683.75 Safari/537.36"}`)
	if status != http.StatusCreated || asked["push"] != "queued" || asked["type"] != "push_pin" {
		t.Fatalf("%d %v", status, asked)
	}
	m := <-p.sent
	if m.Operation != asked["id"] || m.Address != "feedfacefeedface" || m.App != "com.example.bank" || !m.Sandbox {
		t.Errorf("notified of %q at %q for %q", m.Operation, m.Address, m.App)
	}
	question, err := phone.Fetch(t.Context(), m.Operation)
	must(t, err)
	if want := "Sign in to Example Device: macOS 10.14 Chrome 73"; question.Display.Content != want {
		t.Errorf("the phone shows %q, want %q", question.Display.Content, want)
	}
	must(t, phone.Approve(t.Context(), question, device.Approval{Number: fmt.Sprint(asked["number"]), Proof: device.Proof{PIN: pin}}))
	_, done := h.call("GET", "/operations/"+m.Operation, "")
	if done["state"] != "approved" || done["acr"] != "push_pin" {
		t.Errorf("the result is %v", done)
	}
}

// TestFallbackIsSent: "the user has no phone enrolled, so an SMS goes out instead and the answer says so".
func TestFallbackIsSent(t *testing.T) {
	t.Parallel()
	h, _, g := reached(t)
	_, added := h.call("POST", "/users", `{"external_ref":"4712","attributes":{"phone_number":"+31 6 12345678"}}`)
	user := fmt.Sprint(added["id"])
	status, asked := h.call("POST", "/operations/authentication", `{"type":"push_pin","user_id":"`+user+`"}`)
	if status != http.StatusCreated || asked["type"] != "sms_code" {
		t.Fatalf("%d %v", status, asked)
	}
	m := <-g.sent
	code := regexp.MustCompile(`\d{6}`).FindString(m.Text)
	if m.To != "+31612345678" || m.Text != "Your code: "+code {
		t.Errorf("sent %q to %q", m.Text, m.To)
	}
	if text := fmt.Sprint(asked); strings.Contains(text, code) || strings.Contains(text, "12345678") {
		t.Errorf("the answer says too much: %v", asked)
	}
	report := func(path string) int {
		status, _ := h.send("POST", path, "text/plain", string(sms.Delivered))
		return status
	}
	if status := report("/sms/reports/pigeons/" + secretSegment); status != http.StatusNoContent {
		t.Errorf("a report is answered with %d", status)
	}
	if status := report("/sms/reports/pigeons/another-secret-0123456789"); status != http.StatusNotFound {
		t.Errorf("a report without the secret is answered with %d", status)
	}
	verify := "/operations/" + fmt.Sprint(asked["id"]) + "/verify"
	if status, refused := h.call("POST", verify, `{"code":"`+wrong(code)+`"}`); status < 400 || refused["remaining"] != 2.0 {
		t.Errorf("a wrong code: %d %v", status, refused)
	}
	if status, done := h.call("POST", verify, `{"code":"`+code+`"}`); status != http.StatusOK || done["state"] != "approved" || done["acr"] != "sms" {
		t.Errorf("the code: %d %v", status, done)
	}
}

// wrong returns another code.
func wrong(code string) string {
	return strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, code)
}

// TestReportsAddress: an address that is not below the issuer would never be called.
func TestReportsAddress(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for name, address := range map[string]string{
		"another host":    "https://example.com/sms/reports/pigeons/" + secretSegment,
		"another gateway": h.url + "/sms/reports/other/" + secretSegment,
		"another path":    h.url + "/reports/" + secretSegment,
		"no secret":       h.url + "/sms/reports/pigeons/",
		"a short secret":  h.url + "/sms/reports/pigeons/short",
		"more segments":   h.url + "/sms/reports/pigeons/more/" + secretSegment,
		"a query":         h.url + "/sms/reports/pigeons/" + secretSegment + "?a=b",
	} {
		parts := h.parts
		parts.Guests = &channels.Guests{SMS: []delivery.Gateway{{Name: "pigeons", Sender: &pigeons{address: address}}}}
		_, err := phones.New(nil, bank(t), parts)
		if err == nil || strings.Contains(err.Error(), secretSegment) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPushServiceThatIsNotConfigured is found before anything starts.
func TestPushServiceThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	err := phones.Check(read(t, types), notified(t), []string{"ES256"})
	if err == nil || errors.Is(err, push.ErrAddress) {
		t.Fatal("a configuration is taken without gateway and push service")
	}
	err = phones.Check(nil, notified(t), []string{"ES256"})
	if err == nil || !strings.Contains(err.Error(), `"apple"`) {
		t.Errorf("got %v", err)
	}
}
