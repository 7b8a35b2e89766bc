// SPDX-License-Identifier: Apache-2.0

package carriers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-id/gatehouse/caddymodule/development"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
	"github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
	"github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

// reporting is a gateway that tells what became of messages.
type reporting interface {
	sms.Sender
	sms.Reporter
	ReportsAt() string
}

const (
	path    = "kGB2lDZ7C0iT_5r-QcwX1w"
	reports = "https://auth.example.com/sms/reports/"
)

func TestTwilio(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	sid := "AC" + strings.Repeat("0", 32)
	service := closing(t, func() (*twilio.Service, error) {
		return twilio.Start(twilio.Config{Authority: a, Now: time.Now, AccountSID: sid, AuthToken: "tw1lio-secret", Senders: []string{"+15005550006"}})
	})
	between := closing(t, func() (*proxy.Proxy, error) { return proxy.Start(proxy.Config{}) })
	s := guest[reporting](t, "gatehouse.sms.twilio", fmt.Sprintf(`twilio {
		account_sid %s
		auth_token {file.%s}
		from +15005550006
		status_callback %stwilio/%s
		endpoint %s
		proxy %s
		ca_file %s
	}`, sid, write(t, "token", []byte("tw1lio-secret")), reports, path, service.URL, between.URL, ca), "tw1lio-secret")
	id, err := s.Send(t.Context(), text())
	if err != nil {
		t.Fatal(err)
	}
	m := service.Messages()[0]
	if m.SID != id || m.To != number || m.Body != text().Text || m.StatusCallback != reports+"twilio/"+path || len(between.Asked()) != 1 {
		t.Errorf("taken: %+v by %q", m, between.Asked())
	}
	if s.ReportsAt() != reports+"twilio/"+path {
		t.Errorf("reports come to %q", s.ReportsAt())
	}
	if _, err := s.Reports(path, s.ReportsAt(), func(context.Context, sms.Report) error { return nil }); err != nil {
		t.Error(err)
	}
}

// gatewayOptions are those that the service's JSON needs.
const gatewayOptions = `http {
	url {file.%[1]s}/json
	body ` + "`" + `{"to": "{to}", "from": "{from}", "text": "{text}", "reference": "{id}", "ttl": "{ttl:number}"}` + "`" + `
	header X-Note {file.%[2]s}
	from Example
	number e164
	%[5]s
	hmac {
		secret {file.%[3]s}
		field X-Signature
		prefix sha256=
		time_field X-Timestamp
	}
	answers {
		id /messages/0/id
		reason /error/code
		class invalid_number number
	}
	receipts {
		list /receipts
		id /id
		state /state
		reason /reason
		word DELIVRD delivered
		word UNDELIV failed
		class absent number
		hmac {
			secret {file.%[3]s}
			field X-Signature
			prefix sha256=
			time_field X-Timestamp
		}
	}
	status_callback ` + reports + `http/` + path + `
	ca_file %[4]s
}`

func TestGateway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, option string
		service      smsgateway.Config
	}{
		{"by a token", "bearer s3cret-word", smsgateway.Config{Bearer: "s3cret-word"}},
		{"by a password", "basic_auth me s3cret-word", smsgateway.Config{User: "me", Password: "s3cret-word"}},
		{"by a key", "api_key X-Api-Key s3cret-word", smsgateway.Config{Key: "s3cret-word"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a, ca := authority(t)
			c.service.Authority, c.service.Now, c.service.Secret = a, time.Now, "hm4c-secret"
			c.service.Bad = map[string]string{"+31687654321": "invalid_number"}
			service := closing(t, func() (*smsgateway.Service, error) { return smsgateway.Start(c.service) })
			s := guest[reporting](t, "gatehouse.sms.http", fmt.Sprintf(gatewayOptions, write(t, "url", []byte(service.URL)),
				write(t, "note", []byte("n0te-secret")), write(t, "secret", []byte("hm4c-secret")), ca, c.option), "hm4c-secret", "n0te-secret")
			id, err := s.Send(t.Context(), text())
			if err != nil {
				t.Fatal(err)
			}
			want := []smsgateway.Message{{ID: id, To: number, From: "Example", Text: text().Text, Reference: "msg_1"}}
			if diff := cmp.Diff(want, service.Messages(), cmpopts.IgnoreFields(smsgateway.Message{}, "TTL")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if note := service.Requests()[0].Header.Get("X-Note"); note != "n0te-secret" {
				t.Errorf("the note is %q", note)
			}
			m := text()
			m.To = "+31687654321"
			if _, err := s.Send(t.Context(), m); sms.ClassOf(err) != sms.Number {
				t.Errorf("a number that is none: %v", err)
			}
			told(t, s, service, id)
		})
	}
}

// told expects that a receipt is understood, and one with another signature is not.
func told(t *testing.T, s reporting, service *smsgateway.Service, id string) {
	t.Helper()
	var got []sms.Report
	handler, err := s.Reports(path, s.ReportsAt(), func(_ context.Context, r sms.Report) error {
		got = append(got, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	body := `{"receipts":[{"id":"` + id + `","state":"UNDELIV","reason":"absent"}]}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	for _, c := range []struct {
		signature string
		status    int
	}{{"sha256=00", http.StatusNotFound}, {service.Sign(at, []byte(body)), http.StatusNoContent}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.ReportsAt(), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Timestamp", at)
		r.Header.Set("X-Signature", c.signature)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("the answer is %d, want %d", w.Code, c.status)
		}
	}
	want := []sms.Report{{ID: id, State: sms.Failed, Class: sms.Number, Reason: "absent"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sms.Report{}, "At")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSecretsInTemplates: a secret with characters that mean something stays one value, wherever it stands.
func TestSecretsInTemplates(t *testing.T) {
	t.Parallel()
	const odd = `a "b"\+c&text=d%/e`
	for _, c := range []struct {
		name, format, body string
		value              func(body string) string
	}{
		{"json", "json", "`" + `{"to": "{to}", "text": "{text}", "k": "{file.%s}"}` + "`", func(body string) string {
			var sent struct{ K string }
			_ = json.Unmarshal([]byte(body), &sent)
			return sent.K
		}},
		{"form", "form", "to={to}&text={text}&k={file.%s}", func(body string) string {
			sent, _ := url.ParseQuery(body)
			return sent.Get("k")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var body, key string
			service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				data, _ := io.ReadAll(r.Body)
				body, key = string(data), r.URL.Query().Get("k")
			}))
			t.Cleanup(service.Close)
			secret := write(t, "odd", []byte(odd))
			s := guest[sms.Sender](t, "gatehouse.sms.http", fmt.Sprintf("http {\nurl %s/send?k={file.%s}&v=1\nformat %s\nbody %s\n}",
				service.URL, secret, c.format, fmt.Sprintf(c.body, secret)))
			if _, err := s.Send(t.Context(), text()); err != nil {
				t.Fatal(err)
			}
			if key != odd || c.value(body) != odd {
				t.Errorf("the address has %q, the body %s", key, body)
			}
		})
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	s := guest[interface {
		sms.Sender
		development.Only
	}](t, "gatehouse.sms.log", "log")
	if id, err := s.Send(t.Context(), text()); err != nil || id != "msg_1" {
		t.Errorf("Send = %q, %v", id, err)
	}
	if !strings.Contains(s.DevelopmentOnly(), "codes") {
		t.Errorf("it is for development because %q", s.DevelopmentOnly())
	}
}
