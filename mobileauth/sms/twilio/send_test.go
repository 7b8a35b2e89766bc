// SPDX-License-Identifier: Apache-2.0

package twilio_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
	service "github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

// What is sent is exactly what is documented.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	w := start(t, func(c *service.Config) { c.Redaction = true })
	for _, tt := range []struct {
		name   string
		change func(*twilio.Config)
		user   string
		want   url.Values
	}{
		{"the usual", nil, account, url.Values{"From": {sender}}},
		{"an API key", func(c *twilio.Config) { c.KeySID, c.KeySecret, c.AuthToken = key, "key-s3cret", "" }, key, url.Values{"From": {sender}}},
		{"a name", func(c *twilio.Config) { c.From = "Example" }, account, url.Values{"From": {"Example"}}},
		{"a service", func(c *twilio.Config) { c.From, c.MessagingService = "", pool }, account, url.Values{"MessagingServiceSid": {pool}}},
		{"everything", func(c *twilio.Config) {
			c.Redact, c.SmartEncoded, c.RiskCheck, c.StatusCallback = true, true, "disable", "https://auth.example.com/sms/"+path
		}, account, url.Values{
			"From": {sender}, "ContentRetention": {"discard"}, "AddressRetention": {"obfuscate"}, "SmartEncoded": {"true"}, "RiskCheck": {"disable"},
			"StatusCallback": {"https://auth.example.com/sms/" + path},
		}},
	} {
		id, err := w.sender(t, tt.change).Send(t.Context(), message())
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		m := w.Messages()[len(w.Messages())-1]
		if id != m.SID || m.To != to || m.Body != "Your code: 739154" || m.ValidityPeriod != 5*time.Minute {
			t.Errorf("%s: %s, taken %+v", tt.name, id, m)
		}
		r := w.Requests()[len(w.Requests())-1]
		got, err := url.ParseQuery(string(r.Body))
		if err != nil {
			t.Fatal(err)
		}
		tt.want["To"], tt.want["Body"], tt.want["ValidityPeriod"] = []string{to}, []string{"Your code: 739154"}, []string{"300"}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
		if r.Method != "POST" || r.URI != "/2010-04-01/Accounts/"+account+"/Messages.json" || r.Protocol != 2 || r.Header.Get("User-Agent") != "Gatehouse" {
			t.Errorf("%s: %s %s", tt.name, r.Method, r.URI)
		}
	}
}

// A code is not delivered when it is worth nothing any more.
func TestValidity(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	s := w.sender(t, nil)
	for _, tt := range []struct {
		left, want time.Duration
	}{
		{time.Second, time.Second}, {1999 * time.Millisecond, time.Second}, {10 * time.Hour, 10 * time.Hour}, {11 * time.Hour, 10 * time.Hour},
		{999 * time.Millisecond, 0}, {0, 0}, {-time.Second, 0},
	} {
		m := message()
		m.Expires = now.Add(tt.left)
		before := len(w.Messages())
		_, err := s.Send(t.Context(), m)
		taken := w.Messages()[before:]
		if tt.want == 0 {
			if f := failure(t, err); f.Class != sms.Refused || f.Reason != "expired" || len(taken) != 0 {
				t.Errorf("with %v left: %v", tt.left, err)
			}
		} else if err != nil || taken[0].ValidityPeriod != tt.want {
			t.Errorf("with %v left: %+v, %v", tt.left, taken, err)
		}
	}
}

// Every row of the table of errors (research: Twilio Messages), and what is said without or against it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	body := func(code string) string {
		return `{"code": ` + code + `, "message": "739154 to +31612345678 is s3cret", "more_info": "https://www.twilio.com/docs/errors", "status": 400}`
	}
	for _, tt := range []struct {
		name   string
		step   served.Step
		class  sms.Class
		reason string
	}{
		{"20003", served.Step{Status: 401, Body: body("20003")}, sms.Config, "20003"},
		{"20404", served.Step{Status: 404, Body: body("20404")}, sms.Config, "20404"},
		{"20429", served.Step{Status: 429, Body: body("20429")}, sms.Throttled, "20429"},
		{"21211", served.Step{Status: 400, Body: body("21211")}, sms.Number, "21211"},
		{"21408", served.Step{Status: 400, Body: body("21408")}, sms.Blocked, "21408"},
		{"21606", served.Step{Status: 400, Body: body("21606")}, sms.Config, "21606"},
		{"21212", served.Step{Status: 400, Body: body("21212")}, sms.Config, "21212"},
		{"21603", served.Step{Status: 400, Body: body("21603")}, sms.Config, "21603"},
		{"21609", served.Step{Status: 400, Body: body("21609")}, sms.Config, "21609"},
		{"21610", served.Step{Status: 400, Body: body("21610")}, sms.Number, "21610"},
		{"21614", served.Step{Status: 400, Body: body("21614")}, sms.Number, "21614"},
		{"21617", served.Step{Status: 400, Body: body("21617")}, sms.Refused, "21617"},
		{"30450", served.Step{Status: 400, Body: body("30450")}, sms.Blocked, "30450"},
		{"60410", served.Step{Status: 403, Body: body("60410")}, sms.Blocked, "60410"},
		{"60605", served.Step{Status: 403, Body: body("60605")}, sms.Blocked, "60605"},
		{"21611", served.Step{Status: 400, Body: body("21611")}, sms.Throttled, "21611"},
		{"30029", served.Step{Status: 400, Body: body("30029")}, sms.Config, "30029"},
		{"a code in quotes", served.Step{Status: 400, Body: body(`"21211"`)}, sms.Number, "21211"},
		{"an unknown code", served.Step{Status: 400, Body: body("29999")}, sms.Refused, "29999"},
		{"a code that is none", served.Step{Status: 400, Body: body("739154")}, sms.Refused, "status_400"},
		{"a code that is a fraction", served.Step{Status: 400, Body: body("21211.5")}, sms.Refused, "status_400"},
		{"a page", served.Step{Status: 400, Body: "<h1>s3cret</h1>"}, sms.Refused, "status_400"},
		{"a page that asks for a password", served.Step{Status: 401, Body: "<h1>s3cret</h1>"}, sms.Config, "status_401"},
		{"too many, and no JSON", served.Step{Status: 429}, sms.Throttled, "status_429"},
		{"too many, with the number's code", served.Step{Status: 429, Body: body("21211")}, sms.Throttled, "21211"},
		{"an error of the server's", served.Step{Status: 500, Body: body("20500")}, sms.Ambiguous, "20500"},
		{"an error of the server's that blames the number", served.Step{Status: 500, Body: body("21211")}, sms.Ambiguous, "21211"},
		{"unavailable", served.Step{Status: 503}, sms.Ambiguous, "status_503"},
		{"a gateway's time-out", served.Step{Status: 504, Body: "<h1>"}, sms.Ambiguous, "status_504"},
		{"a request's time-out", served.Step{Status: 408}, sms.Ambiguous, "status_408"},
		{"a redirect", served.Step{Status: 307, Header: map[string]string{"Location": "https://example.com/s3cret"}}, sms.Config, "status_307"},
		{"taken, and a page", served.Step{Status: 201, Body: "<h1>s3cret</h1>"}, sms.Ambiguous, "malformed_answer"},
		{"taken, and nothing", served.Step{Status: 201}, sms.Ambiguous, "malformed_answer"},
		{"taken, without SID", served.Step{Status: 201, Body: `{"status":"queued"}`}, sms.Ambiguous, "malformed_answer"},
		{"taken, with something for a SID", served.Step{Status: 201, Body: `{"sid":"SM739154"}`}, sms.Ambiguous, "malformed_answer"},
		{"failed at once", served.Step{Status: 201, Body: `{"sid":"SM0123456789abcdef0123456789abcdef","status":"failed","error_code":30006}`}, sms.Number, "30006"},
		{"failed at once, without a reason", served.Step{Status: 201, Body: `{"sid":"SM0123456789abcdef0123456789abcdef","status":"undelivered","error_code":null}`}, sms.Ambiguous, ""},
		{"the connection breaks", served.Step{Reset: true}, sms.Ambiguous, "network"},
		{"the answer breaks off", served.Step{Status: 201, Body: `{"sid":`, Cut: true}, sms.Ambiguous, "network"},
		{"it breaks after the message was taken", served.Step{Status: 500, Done: true}, sms.Ambiguous, "status_500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.Requests())
			w.Script.Add(tt.step)
			id, err := w.sender(t, nil).Send(t.Context(), message())
			f := failure(t, err)
			if id != "" || f.Class != tt.class || f.Reason != tt.reason || tt.step.Status != 0 && !tt.step.Cut && f.Status != tt.step.Status {
				t.Errorf("Send = %q, %v, want %s, %q", id, err, tt.class, tt.reason)
			}
			for _, never := range []string{"s3cret", "6123", "739154", account, "https:"} {
				if strings.Contains(err.Error(), never) {
					t.Errorf("the error tells too much: %v", err)
				}
			}
			if n := len(w.Requests()) - before; n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for value, want := range map[string]time.Duration{"7": 7 * time.Second, now.Add(time.Minute).Format(time.RFC1123): 0, "": 0, "soon": 0} {
		if strings.HasSuffix(value, "UTC") {
			value, want = strings.Replace(value, "UTC", "GMT", 1), time.Minute
		}
		w.Script.Add(served.Step{Status: 429, Header: map[string]string{"Retry-After": value}})
		_, err := w.sender(t, nil).Send(t.Context(), message())
		if f := failure(t, err); f.RetryAfter != want {
			t.Errorf("%q: %v, want %v", value, f.RetryAfter, want)
		}
	}
}

// Silence is a message of which nobody knows; who gives up has not unsent it.
func TestSilence(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	w.Script.Add(served.Step{Stall: true, Done: true}, served.Step{Stall: true})
	// The connection is there before the clock of the call begins to matter.
	s := w.sender(t, func(c *twilio.Config) { c.Timeout = 2 * time.Second })
	_, err := s.Send(t.Context(), message())
	if f := failure(t, err); f.Class != sms.Ambiguous || f.Reason != "timeout" || len(w.Messages()) != 1 {
		t.Errorf("Send = %v, %d taken", err, len(w.Messages()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for len(w.Requests()) < 2 && t.Context().Err() == nil {
			<-tick.C
		}
		cancel()
	}()
	_, err = s.Send(ctx, message())
	if f := failure(t, err); f.Class != sms.Ambiguous || f.Reason != "cancelled" && f.Reason != "timeout" {
		t.Errorf("Send = %v", err)
	}
	_, err = s.Send(ctx, message())
	if f := failure(t, err); f.Class != sms.Transient || f.Reason != "cancelled" || len(w.Requests()) != 2 {
		t.Errorf("Send = %v", err)
	}
}

func TestNobodyElseIsTold(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	_, err := w.sender(t, func(c *twilio.Config) { c.Roots = x509.NewCertPool() }).Send(t.Context(), message())
	if f := failure(t, err); f.Class != sms.Config || f.Reason != "certificate" || len(w.Requests()) != 0 {
		t.Errorf("Send = %v", err)
	}
	closed := start(t, nil)
	s := closed.sender(t, nil)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), message())
	if f := failure(t, err); f.Class != sms.Transient || f.Reason != "network" {
		t.Errorf("Send = %v", err)
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, change := range []func(*sms.Message){
		func(m *sms.Message) { m.To = "0612345678" }, func(m *sms.Message) { m.Text = "" },
		func(m *sms.Message) { m.Text = strings.Repeat("رمز🎉", 2000) }, func(m *sms.Message) { m.ID = "" },
	} {
		m := message()
		change(&m)
		_, err := w.sender(t, nil).Send(t.Context(), m)
		if f := failure(t, err); f.Class != sms.Refused {
			t.Errorf("Send = %v", err)
		}
	}
	if len(w.Requests()) != 0 {
		t.Error("Twilio was asked")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, tt := range []struct {
		name   string
		change func(*twilio.Config)
		says   string // empty where it is accepted
	}{
		{"the usual", func(*twilio.Config) {}, ""},
		{"Twilio itself", func(c *twilio.Config) { c.BaseURL = "" }, ""},
		{"a short code", func(c *twilio.Config) { c.From = "12345" }, ""},
		{"a name with a blank", func(c *twilio.Config) { c.From = "My Bank" }, ""},
		{"no clock", func(c *twilio.Config) { c.Now = nil }, "clock"},
		{"no account", func(c *twilio.Config) { c.AccountSID = "" }, "account SID"},
		{"an account that is a path", func(c *twilio.Config) { c.AccountSID = "AC/../x" }, "account SID"},
		{"an account in capitals", func(c *twilio.Config) { c.AccountSID = strings.ToUpper(account) }, "account SID"},
		{"no credentials", func(c *twilio.Config) { c.AuthToken = "" }, "auth token"},
		{"half a key", func(c *twilio.Config) { c.KeySID = key }, "API key"},
		{"the other half", func(c *twilio.Config) { c.KeySecret = "s3cret" }, "API key"},
		{"a key that is none", func(c *twilio.Config) { c.KeySID, c.KeySecret = "SK1", "s3cret" }, "API key"},
		{"no sender", func(c *twilio.Config) { c.From = "" }, "sender"},
		{"two senders", func(c *twilio.Config) { c.MessagingService = pool }, "sender"},
		{"a service that is none", func(c *twilio.Config) { c.From, c.MessagingService = "", "MG1" }, "messaging service"},
		{"a name that is too long", func(c *twilio.Config) { c.From = "TwelveLetter" }, "sender"},
		{"a name without a letter", func(c *twilio.Config) { c.From = "0612345678" }, "sender"},
		{"a number with blanks", func(c *twilio.Config) { c.From = "+1 555" }, "sender"},
		{"a risk check that is none", func(c *twilio.Config) { c.RiskCheck = "on" }, "risk check"},
		{"a callback in clear", func(c *twilio.Config) { c.StatusCallback = "http://example.com/s3cret" }, "not https"},
		{"a callback with an underscore", func(c *twilio.Config) { c.StatusCallback = "https://a_b.example.com/s3cret" }, "underscore"},
		{"a callback that is relative", func(c *twilio.Config) { c.StatusCallback = "/s3cret" }, "absolute"},
		{"a callback with a query", func(c *twilio.Config) { c.StatusCallback = "https://example.com/?s3cret" }, "query"},
		{"a callback without end", func(c *twilio.Config) { c.StatusCallback = "https://example.com/" + strings.Repeat("s3cret", 700) }, "absolute"},
		{"an address in clear", func(c *twilio.Config) { c.BaseURL = "http://example.com" }, "https"},
		{"a proxy that is none", func(c *twilio.Config) { c.Proxy = &url.URL{Scheme: "socks5", Host: "x"} }, "proxy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := w.config()
			tt.change(&c)
			s, err := twilio.New(c)
			if tt.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("New = %v, want %s", err, tt.says)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	s := w.sender(t, func(c *twilio.Config) { c.KeySID, c.KeySecret = key, "key-s3cret" })
	c := w.config()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "sender", s, "token", c.AuthToken)
	c.Now = nil
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %s", s, s, s, s, c, c, &log)
	if strings.Contains(text, "s3cret") || strings.Contains(text, token) {
		t.Errorf("it prints as %s", text)
	}
}
