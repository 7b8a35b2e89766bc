// SPDX-License-Identifier: Apache-2.0

package twilio_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
	service "github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

// The vectors were computed apart from this code (openssl, and Twilio's own documentation).
func TestSignature(t *testing.T) {
	t.Parallel()
	call := url.Values{
		"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675309"}, "Digits": {"1234"}, "From": {"+14158675309"}, "To": {"+18005551212"},
	}
	for _, tt := range []struct {
		name, address string
		parameters    url.Values
		want          string
	}{
		{"plain", "https://mycompany.com/myapp.php?foo=1&bar=2", call, "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
		{"with the port", "https://mycompany.com:443/myapp.php?foo=1&bar=2", call, "kvajT1Ptam85bY51eRf/AJRuM3w="},
		{"duplicates", "https://mycompany.com/myapp.php?foo=1&bar=2", url.Values{
			"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"},
		}, "IK+Dwps556ElfBT0I3Rgjkr1wJU="},
	} {
		if got := twilio.Signature("12345", tt.address, tt.parameters); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if call["Digits"][0] != "1234" {
		t.Error("the parameters were changed")
	}
}

// From the message to the report, over the wire.
func TestReports(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	x := w.receive(t, own)
	id, err := w.sender(t, func(c *twilio.Config) { c.StatusCallback = x.URL }).Send(t.Context(), message())
	if err != nil {
		t.Fatal(err)
	}
	report := func(state sms.State, class sms.Class, reason string) []sms.Report {
		return []sms.Report{{ID: id, State: state, Class: class, Reason: reason, At: now}}
	}
	for _, tt := range []struct {
		name   string
		c      service.Callback
		status int
		want   []sms.Report
	}{
		{"queued", service.Callback{Status: "queued"}, 204, nil},
		{"sending", service.Callback{Status: "sending"}, 204, nil},
		{"a word of the future", service.Callback{Status: "teleported"}, 204, nil},
		{"sent", service.Callback{Status: "sent"}, 204, report(sms.Sent, "", "")},
		{"delivered", service.Callback{Status: "delivered"}, 204, report(sms.Delivered, "", "")},
		{"the same again", service.Callback{Status: "delivered"}, 204, report(sms.Delivered, "", "")},
		{"read", service.Callback{Status: "read"}, 204, report(sms.Delivered, "", "")},
		{"undelivered", service.Callback{Status: "undelivered", ErrorCode: "30005"}, 204, report(sms.Failed, sms.Number, "30005")},
		{"filtered", service.Callback{Status: "undelivered", ErrorCode: "30007"}, 204, report(sms.Failed, sms.Blocked, "30007")},
		{"pumping", service.Callback{Status: "failed", ErrorCode: "30450"}, 204, report(sms.Failed, sms.Blocked, "30450")},
		{"unreachable", service.Callback{Status: "undelivered", ErrorCode: "30003"}, 204, report(sms.Failed, sms.Ambiguous, "30003")},
		{"unknown", service.Callback{Status: "undelivered", ErrorCode: "30008"}, 204, report(sms.Failed, sms.Ambiguous, "30008")},
		{"without a code", service.Callback{Status: "canceled"}, 204, report(sms.Failed, sms.Ambiguous, "")},
		{"with a number for a code", service.Callback{Status: "failed", ErrorCode: "31612345678"}, 204, report(sms.Failed, sms.Ambiguous, "")},
		{"parameters of the future, repeated", service.Callback{Status: "sent", Parameters: url.Values{"Raw Dlr": {"2", "1", "1", " x "}}}, 204, report(sms.Sent, "", "")},
		{"a message that is not ours", service.Callback{SID: "SMffffffffffffffffffffffffffffffff", Status: "sent", To: x.URL}, 204,
			[]sms.Report{{ID: "SMffffffffffffffffffffffffffffffff", State: sms.Sent, At: now}}},
		{"something for a SID", service.Callback{SID: "x", Status: "sent", To: x.URL}, 204, nil},
		{"two states", service.Callback{Status: "sent", Parameters: url.Values{"MessageStatus": {"delivered"}}}, 204, nil},
		{"two messages", service.Callback{Status: "sent", Parameters: url.Values{"MessageSid": {"SMffffffffffffffffffffffffffffffff"}}}, 204, nil},
		{"two accounts", service.Callback{Status: "sent", Parameters: url.Values{"AccountSid": {"AC1"}}}, 404, nil},
		{"with the port", service.Callback{Status: "sent", Signed: x.URL}, 204, report(sms.Sent, "", "")},
		{"another address signed", service.Callback{Status: "sent", Signed: x.URL + "/"}, 404, nil},
		{"a forged signature", service.Callback{Status: "sent", Signature: "RSOYDt4T1cUTdK1PDd93/VVr8B8="}, 404, nil},
		{"another path", service.Callback{Status: "sent", To: strings.Replace(x.URL, path, strings.Repeat("x", len(path)), 1)}, 404, nil},
		{"a query that was not there", service.Callback{Status: "sent", To: x.URL + "?x=y", Signed: x.URL}, 404, nil},
		{"a query that was signed", service.Callback{Status: "sent", To: x.URL + "?x=y"}, 404, nil},
	} {
		if tt.c.SID == "" {
			tt.c.SID = id
		}
		status, err := w.Call(t.Context(), tt.c)
		if err != nil || status != tt.status {
			t.Errorf("%s: %d, %v, want %d", tt.name, status, err, tt.status)
		}
		if diff := cmp.Diff(tt.want, x.take()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// Servers and proxies add and remove the port that goes without saying.
func TestThePortThatGoesWithoutSaying(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tt := range []struct {
		name, public, signed string
		status               int
	}{
		{"as configured", "https://auth.example.com/sms/" + path, "https://auth.example.com/sms/" + path, 204},
		{"added", "https://auth.example.com/sms/" + path, "https://auth.example.com:443/sms/" + path, 204},
		{"removed", "https://auth.example.com:443/sms/" + path, "https://auth.example.com/sms/" + path, 204},
		{"another", "https://auth.example.com:8443/sms/" + path, "https://auth.example.com/sms/" + path, 404},
		{"the other way", "https://auth.example.com/sms/" + path, "https://auth.example.com:8443/sms/" + path, 404},
		{"that of another scheme", "https://auth.example.com/sms/" + path, "https://auth.example.com:80/sms/" + path, 404},
		{"another scheme", "https://auth.example.com/sms/" + path, "http://auth.example.com/sms/" + path, 404},
		{"added, on this host", "http://localhost/sms/" + path, "http://localhost:80/sms/" + path, 204},
		{"an address that a library would write in another way", "https://AUTH.example.com/s%6ds/" + path, "https://AUTH.example.com/s%6ds/" + path, 204},
	} {
		x := w.receive(t, func(string) string { return tt.public })
		status, err := w.Call(t.Context(), service.Callback{SID: service.NewSID(), Status: "sent", To: x.URL, Signed: tt.signed})
		if err != nil || status != tt.status || (len(x.take()) == 1) != (tt.status == 204) {
			t.Errorf("%s: %d, %v, want %d", tt.name, status, err, tt.status)
		}
	}
}

func TestReportsNobodyWants(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	x := w.receive(t, own)
	for err, want := range map[error]int{fmt.Errorf("x: %w", sms.ErrUnknown): 204, errors.New("the store is down"): 503} {
		x.fail = err
		if status, err := w.Call(t.Context(), service.Callback{SID: service.NewSID(), Status: "sent", To: x.URL}); err != nil || status != want {
			t.Errorf("%v: %d, want %d", err, status, want)
		}
	}
}

// What is no callback is answered as if nothing were there.
func TestCallsThatAreNone(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	const public = "https://auth.example.com/sms/" + path
	handler, err := w.sender(t, nil).Reports(path, public, func(context.Context, sms.Report) error {
		t.Error("it was told")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	good := url.Values{"AccountSid": {account}, "MessageSid": {service.NewSID()}, "MessageStatus": {"sent"}}
	for _, tt := range []struct {
		name, method, body string
		header             http.Header
	}{
		{"no signature", "POST", good.Encode(), http.Header{}},
		{"an empty signature", "POST", good.Encode(), http.Header{twilio.SignatureField: {""}}},
		{"two signatures", "POST", good.Encode(), http.Header{twilio.SignatureField: {twilio.Signature(token, public, good), "x"}}},
		{"of another account", "POST", "AccountSid=AC1", http.Header{twilio.SignatureField: {twilio.Signature(token, public, url.Values{"AccountSid": {"AC1"}})}}},
		{"of no account", "POST", "", http.Header{twilio.SignatureField: {twilio.Signature(token, public, nil)}}},
		{"by another token", "POST", good.Encode(), http.Header{twilio.SignatureField: {twilio.Signature("", public, good)}}},
		{"another method", "GET", good.Encode(), http.Header{twilio.SignatureField: {twilio.Signature(token, public, good)}}},
		{"no form", "POST", good.Encode(), http.Header{twilio.SignatureField: {twilio.Signature(token, public, good)}, "Content-Type": {"application/json"}}},
		{"a broken form", "POST", "a=%zz", http.Header{twilio.SignatureField: {twilio.Signature(token, public, nil)}}},
		{"one that Go reads in another way", "POST", good.Encode() + ";x=y", http.Header{twilio.SignatureField: {twilio.Signature(token, public, good)}}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, "/sms/"+path, strings.NewReader(tt.body))
		r.Header = tt.header
		if r.Header.Get("Content-Type") == "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		rw := httptest.NewRecorder()
		if handler.ServeHTTP(rw, r); rw.Code != 404 || strings.Contains(rw.Body.String(), "SM") {
			t.Errorf("%s: %d %s", tt.name, rw.Code, rw.Body)
		}
	}
}

func TestReportsRefuses(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	told := func(context.Context, sms.Report) error { return nil }
	for _, tt := range []struct {
		name, path, public string
		told               sms.Told
		change             func(*twilio.Config)
	}{
		{"no token", path, "https://auth.example.com/" + path, told, func(c *twilio.Config) { c.KeySID, c.KeySecret, c.AuthToken = key, "x", "" }},
		{"a short secret", "short", "https://auth.example.com/short", told, nil},
		{"another address", path, "https://auth.example.com/sms", told, nil},
		{"an address that only ends so", path, "https://auth.example.com/x" + path, told, nil},
		{"a relative address", path, "/" + path, told, nil},
		{"in clear", path, "http://auth.example.com/" + path, told, nil},
		{"nobody", path, "https://auth.example.com/" + path, nil, nil},
	} {
		if h, err := w.sender(t, tt.change).Reports(tt.path, tt.public, tt.told); err == nil || h != nil || strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Whatever comes with whatever signature: nothing is told that was not signed, and nothing but the three states.
func FuzzCallback(f *testing.F) {
	const public = "https://auth.example.com/sms/" + path
	s, err := twilio.New(twilio.Config{AccountSID: account, AuthToken: token, From: sender, Now: message().Expires.UTC})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("AccountSid="+account+"&MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=sent", true)
	f.Add("AccountSid="+account+"&MessageSid=SM0123456789abcdef0123456789abcdef&MessageStatus=failed&ErrorCode=30005", true)
	f.Add("AccountSid="+account+"&a=1&a=2&a=1", true)
	f.Add("a=b;c", false)
	f.Fuzz(func(t *testing.T, body string, signed bool) {
		handler, err := s.Reports(path, public, func(_ context.Context, r sms.Report) error {
			if !signed || !r.State.Valid() || len(r.ID) != 34 || sms.Word(r.Reason) != r.Reason || (r.State == sms.Failed) != (r.Class != "") {
				t.Errorf("told %+v, signed %v", r, signed)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/sms/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(twilio.SignatureField, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		form, err := url.ParseQuery(body)
		if signed && err == nil {
			r.Header.Set(twilio.SignatureField, service.Sign(token, public, form))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == 204 != (signed && err == nil && len(form["AccountSid"]) == 1 && form.Get("AccountSid") == account) {
			t.Errorf("%q, signed %v: %d", body, signed, w.Code)
		}
	})
}
