// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/gateway"
	"github.com/gatehouse-id/gatehouse/tests/services/served"
	service "github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
)

// hard are texts that would be something else if they were put into a template as they stand.
var hard = []string{
	"Your code: 739154", `a "quote" and \ backslash`, "two\nlines", "a&to=+31600000000&text=b", "100% + more; x=y#z", `","to":"+31600000000`, "{to} {id} {text}",
	"<b>Größe</b> رمز 🎉", "'/../?#", "@login.example.com #739154",
}

func TestEveryShape(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	shapes := map[string]func(*gateway.Config){
		"JSON": func(*gateway.Config) {},
		"form": func(c *gateway.Config) { c.URL, c.Format, c.Body = w.URL+"/form", gateway.Form, formBody },
		"address": func(c *gateway.Config) {
			c.URL, c.Method, c.Format, c.Body, c.Exposed = w.URL+"/get?"+formBody, http.MethodGet, gateway.None, "", true
		},
	}
	for name, shape := range shapes {
		for _, spelling := range []gateway.Spelling{"", gateway.E164, gateway.Digits, gateway.Zeros} {
			s := w.sender(t, func(c *gateway.Config) {
				shape(c)
				c.Number = spelling
			})
			for i, text := range hard {
				m := message()
				m.ID, m.Text = fmt.Sprintf("msg_%s_%s_%d", name, spelling, i), text
				id, err := s.Send(t.Context(), m)
				if err != nil {
					t.Fatalf("%s, %q: %v", name, text, err)
				}
				want := service.Message{ID: id, To: to, From: "Example", Text: text, Reference: m.ID, TTL: 300}
				if diff := cmp.Diff(want, w.Messages()[len(w.Messages())-1]); diff != "" || id == "" {
					t.Errorf("%s (-want +got)\n%s", name, diff)
				}
			}
			last := w.Requests()[len(w.Requests())-1]
			spelt := map[gateway.Spelling]string{"": "31612345678", gateway.E164: "31612345678", gateway.Digits: "31612345678", gateway.Zeros: "0031612345678"}[spelling]
			if !strings.Contains(last.URI+string(last.Body), spelt) || spelling == gateway.Digits && strings.ContainsAny(last.URI+string(last.Body), "+") && name == "JSON" {
				t.Errorf("%s, %s: %s %s", name, spelling, last.URI, last.Body)
			}
		}
	}
}

// What is sent is exactly what the template says.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, func(c *gateway.Config) {
		c.Method, c.URL = http.MethodPut, w.URL+"/v1/{from}/x%2Fy?reference={id}&a=b+c"
		c.Header = map[string]string{"idempotency-key": "k-{id}-{ttl}", "X-Plain": "y"}
		c.Body = ` {"b": [1, 2.50, true, null, {"text": "say {text}!"}], "a": "{to}", "t": "{ttl}", "n": "{ttl:number}", "é<&>": "{}{ }"} `
	})
	w.Script.Add(served.Step{Status: 200, Body: `{"messages":[{"id":7}]}`})
	m := message()
	m.ID, m.Text = "a/b c", `"hi"`
	if id, err := s.Send(t.Context(), m); err != nil || id != "7" {
		t.Fatalf("Send = %q, %v", id, err)
	}
	got := w.Requests()[0]
	header := http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Gatehouse"}, "Accept": {"application/json, */*;q=0.1"},
		"Idempotency-Key": {"k-a/b c-300"}, "X-Plain": {"y"}, "Content-Length": {fmt.Sprint(len(got.Body))},
	}
	want := served.Request{
		Protocol: 2, Method: "PUT", URI: "/v1/Example/x%2Fy?reference=a%2Fb+c&a=b+c", Header: header,
		Body: []byte(`{"b":[1,2.50,true,null,{"text":"say \"hi\"!"}],"a":"+31612345678","t":"300","n":300,"é<&>":"{}{ }"}`),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(served.Request{}, "At", "Host")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		c    service.Config
		auth gateway.Auth
		good bool
	}{
		{"basic", service.Config{User: "u", Password: "p:s3cret"}, gateway.Auth{User: "u", Password: "p:s3cret"}, true},
		{"bearer", service.Config{Bearer: "s3cret"}, gateway.Auth{Bearer: "s3cret"}, true},
		{"a field", service.Config{Key: "s3cret"}, gateway.Auth{Field: "x-api-key", Value: "s3cret"}, true},
		{"none", service.Config{Key: "s3cret"}, gateway.Auth{}, false},
		{"a wrong one", service.Config{Bearer: "s3cret"}, gateway.Auth{Bearer: "s3cre7"}, false},
		{"a signature", service.Config{Secret: "s3cret"}, gateway.Auth{HMAC: &gateway.HMAC{
			Secret: "s3cret", Field: "X-Signature", Prefix: "sha256=", TimeField: "X-Timestamp",
		}}, true},
		{"a signature and a token", service.Config{Secret: "s3cret", Bearer: "t"}, gateway.Auth{Bearer: "t", HMAC: &gateway.HMAC{
			Secret: "s3cret", Field: "X-Signature", Prefix: "sha256=", TimeField: "X-Timestamp",
		}}, true},
		{"another's signature", service.Config{Secret: "s3cret"}, gateway.Auth{HMAC: &gateway.HMAC{
			Secret: "s3cre7", Field: "X-Signature", Prefix: "sha256=", TimeField: "X-Timestamp",
		}}, false},
		{"a signature without time", service.Config{Secret: "s3cret"}, gateway.Auth{HMAC: &gateway.HMAC{
			Secret: "s3cret", Field: "X-Signature", Prefix: "sha256=",
		}}, false},
	} {
		w := start(t, tt.c)
		_, err := w.sender(t, func(c *gateway.Config) { c.Auth = tt.auth }).Send(t.Context(), message())
		if tt.good != (err == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && (failure(t, err).Class != sms.Config || strings.Contains(err.Error(), "s3cr")) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// openssl dgst -sha512 -hmac key, over the body alone, in base64.
func TestOtherSignatures(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, func(c *gateway.Config) {
		c.Format, c.Body, c.From, c.Answers.ID = gateway.Form, "t={text}&to={to}", "", ""
		c.Auth.HMAC = &gateway.HMAC{Secret: "key", Field: "Sig", Hash: "sha512", Encoding: "base64"}
	})
	w.Script.Add(served.Step{Status: 200})
	m := message()
	m.Text = "a"
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	// printf 't=a&to=%%2B31612345678' | openssl dgst -sha512 -hmac key -binary | base64 -w0
	const want = "n6PE38kIz5nPZrXRpqFJbHQwfjxwgpeuV37SfF7bUvj9AUuy5FaHIFK7aUpWoSxmqUtvJZFgyW2YeIt7/L9Fzw=="
	if got := w.Requests()[0].Header.Get("Sig"); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{Bad: map[string]string{"+31600000001": "opted_out"}})
	code := func(word string) string {
		return `{"error":{"code":"` + word + `","message":"739154 to +31612345678 is s3cret"}}`
	}
	named := func(c *gateway.Config) {
		c.Answers.Success, c.Answers.Retryable = []int{200, 202}, []int{429, 502, 503}
	}
	said := func(c *gateway.Config) {
		c.Answers.Accepted, c.Answers.AcceptedWords, c.Answers.ID = "/ok", []string{"true", "1"}, ""
	}
	for _, tt := range []struct {
		name   string
		change func(*gateway.Config)
		step   served.Step
		class  sms.Class // empty where it was taken
		reason string
		id     string
	}{
		{"taken", nil, served.Step{Status: 202, Body: `{"messages":[{"id":"m-1"}]}`}, "", "", "m-1"},
		{"created", nil, served.Step{Status: 201, Body: `{"messages":[{"id":18446744073709551616}]}`}, "", "", "18446744073709551616"},
		{"taken, and nobody asked for the id", func(c *gateway.Config) { c.Answers.ID = "" }, served.Step{Status: 200, Body: "OK"}, "", "", ""},
		{"taken, and a page", func(c *gateway.Config) { c.Answers.ID = "" }, served.Step{Status: 200, Body: "<h1>", Header: map[string]string{"Content-Type": "text/html; charset=utf-8"}}, sms.Ambiguous, "malformed_answer", ""},
		{"taken, and no id", nil, served.Step{Status: 200, Body: `{"messages":[]}`}, sms.Ambiguous, "malformed_answer", ""},
		{"taken, and no JSON", nil, served.Step{Status: 200, Body: `{"messages":[`}, sms.Ambiguous, "malformed_answer", ""},
		{"taken, and too much", nil, served.Step{Status: 200, Body: `{"messages":[{"id":"m-1"}],"x":"` + strings.Repeat("x", gateway.MaxAnswer) + `"}`}, sms.Ambiguous, "malformed_answer", ""},
		{"taken, and an id with a line", nil, served.Step{Status: 200, Body: `{"messages":[{"id":"m\n1"}]}`}, sms.Ambiguous, "malformed_answer", ""},
		{"taken, and an id without end", nil, served.Step{Status: 200, Body: `{"messages":[{"id":"` + strings.Repeat("x", 129) + `"}]}`}, sms.Ambiguous, "malformed_answer", ""},
		{"said to be accepted", said, served.Step{Status: 200, Body: `{"ok":true}`}, "", "", ""},
		{"said to be accepted by a number", said, served.Step{Status: 200, Body: `{"ok":1}`}, "", "", ""},
		{"said to be refused", said, served.Step{Status: 200, Body: `{"ok":false,"error":{"code":"invalid_number"}}`}, sms.Number, "invalid_number", ""},
		{"said to be refused, by a word of nobody's", said, served.Step{Status: 200, Body: `{"ok":false,"error":{"code":"moon"}}`}, sms.Refused, "moon", ""},
		{"said neither", said, served.Step{Status: 200, Body: `{}`}, sms.Ambiguous, "malformed_answer", ""},
		{"said nothing", said, served.Step{Status: 200}, sms.Ambiguous, "malformed_answer", ""},
		{"a status that is not named", named, served.Step{Status: 201, Body: `{"messages":[{"id":"m-1"}]}`}, sms.Ambiguous, "status_201", ""},
		{"a word", nil, served.Step{Status: 422, Body: code("invalid_number")}, sms.Number, "invalid_number", ""},
		{"a word for a policy", nil, served.Step{Status: 403, Body: code("country")}, sms.Blocked, "country", ""},
		{"a word for a queue", nil, served.Step{Status: 400, Body: code("queue")}, sms.Throttled, "queue", ""},
		{"a word of nobody's", nil, served.Step{Status: 422, Body: code("moon")}, sms.Refused, "moon", ""},
		{"a text for a word", nil, served.Step{Status: 422, Body: code("bad number +31612345678")}, sms.Refused, "status_422", ""},
		{"a word of nobody's that knows the number", nil, served.Step{Status: 422, Body: code("31612345678")}, sms.Refused, "status_422", ""},
		{"too many", nil, served.Step{Status: 429, Body: "<h1>"}, sms.Throttled, "status_429", ""},
		{"unavailable", nil, served.Step{Status: 503}, sms.Ambiguous, "status_503", ""},
		{"unavailable, and said to be harmless", named, served.Step{Status: 503}, sms.Transient, "status_503", ""},
		{"an error of the server's with a word", nil, served.Step{Status: 500, Body: code("queue")}, sms.Ambiguous, "queue", ""},
		{"an error of the server's with a word, and said to be harmless", named, served.Step{Status: 502, Body: code("invalid_number")}, sms.Number, "invalid_number", ""},
		{"time is over", nil, served.Step{Status: 408}, sms.Ambiguous, "status_408", ""},
		{"unauthorized", nil, served.Step{Status: 401, Body: "<h1>s3cret"}, sms.Config, "status_401", ""},
		{"no such page", nil, served.Step{Status: 404}, sms.Config, "status_404", ""},
		{"a redirect", nil, served.Step{Status: 302, Header: map[string]string{"Location": "/s3cret"}}, sms.Config, "status_302", ""},
		{"malformed", nil, served.Step{Status: 400}, sms.Refused, "status_400", ""},
		{"the connection breaks", nil, served.Step{Reset: true}, sms.Ambiguous, "network", ""},
		{"the answer breaks off", nil, served.Step{Status: 202, Body: "{", Cut: true}, sms.Ambiguous, "network", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.Script.Add(tt.step)
			id, err := w.sender(t, tt.change).Send(t.Context(), message())
			if tt.class == "" {
				if err != nil || id != tt.id {
					t.Errorf("Send = %q, %v", id, err)
				}
				return
			}
			f := failure(t, err)
			if id != "" || f.Class != tt.class || f.Reason != tt.reason {
				t.Errorf("Send = %q, %v, want %s, %s", id, err, tt.class, tt.reason)
			}
			for _, never := range []string{"s3cret", "6123", "739154", "https:"} {
				if strings.Contains(err.Error(), never) {
					t.Errorf("the error tells too much: %v", err)
				}
			}
		})
	}
	m := message()
	m.To = "+31600000001"
	if _, err := w.sender(t, nil).Send(t.Context(), m); failure(t, err).Class != sms.Number || failure(t, err).Reason != "opted_out" {
		t.Errorf("Send = %v", err)
	}
	w.Script.Add(served.Step{Status: 429, Header: map[string]string{"Retry-After": "9"}})
	if _, err := w.sender(t, nil).Send(t.Context(), message()); failure(t, err).RetryAfter != 9*time.Second {
		t.Errorf("Send = %v", err)
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	for _, change := range []func(*sms.Message){
		func(m *sms.Message) { m.To = "0612345678" }, func(m *sms.Message) { m.Text = "" }, func(m *sms.Message) { m.Expires = now },
		func(m *sms.Message) { m.Expires = now.Add(999 * time.Millisecond) },
	} {
		m := message()
		change(&m)
		if _, err := w.sender(t, nil).Send(t.Context(), m); failure(t, err).Class != sms.Refused {
			t.Errorf("Send = %v", err)
		}
	}
	if len(w.Requests()) != 0 {
		t.Error("the provider was asked")
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	s := w.sender(t, func(c *gateway.Config) {
		c.URL += "?key=s3cret"
		c.Auth = gateway.Auth{Bearer: "s3cret", HMAC: &gateway.HMAC{Secret: "s3cret", Field: "Sig"}}
	})
	var log strings.Builder
	auth := gateway.Auth{User: "u", Password: "s3cret", Bearer: "s3cret", Value: "s3cret"}
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "sender", s, "auth", auth)
	text := fmt.Sprintf("%v %+v %#v %s %+v %#v %s", s, s, s, s, auth, auth, &log)
	if strings.Contains(text, "s3cret") {
		t.Errorf("it prints as %s", text)
	}
}
