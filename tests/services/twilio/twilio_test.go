// SPDX-License-Identifier: Apache-2.0

package twilio_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/twilio"
)

const (
	account = "AC0123456789abcdef0123456789abcdef"
	token   = "fedcba9876543210fedcba9876543210"
	key     = "SK0123456789abcdef0123456789abcdef"
	pool    = "MG0123456789abcdef0123456789abcdef"
)

func start(t *testing.T, change func(*twilio.Config)) (*twilio.Service, string) {
	t.Helper()
	authority, err := loopback.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	c := twilio.Config{
		Authority: authority, Now: time.Now, AccountSID: account, AuthToken: token, Keys: map[string]string{key: "s3cret"},
		Senders: []string{"+15550006789", "Example"}, Services: []string{pool}, Calling: []string{"31", "44"},
		Stopped: []string{"+31600000001"}, Landlines: []string{"+31101234567"},
	}
	if change != nil {
		change(&c)
	}
	s, err := twilio.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, roots
}

func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(program + " is not installed")
	}
	return path
}

// curl posts as the examples in Twilio's documentation do.
func curl(t *testing.T, roots, address, user string, parameters ...string) (status string, answer map[string]any) {
	t.Helper()
	arguments := []string{"-sS", "--noproxy", "*", "--cacert", roots, "-u", user, "-w", "\n%{http_code}", "-X", "POST", address}
	for _, p := range parameters {
		arguments = append(arguments, "--data-urlencode", p)
	}
	out, err := exec.CommandContext(t.Context(), find(t, "curl"), arguments...).Output()
	if err != nil {
		t.Fatal(err)
	}
	body, status, _ := strings.Cut(string(out), "\n\n")
	if status == "" {
		i := strings.LastIndexByte(string(out), '\n')
		body, status = string(out[:i]), string(out[i+1:])
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return status, answer
}

func TestCurlSendsAMessage(t *testing.T) {
	t.Parallel()
	s, roots := start(t, nil)
	at := s.URL + "/2010-04-01/Accounts/" + account + "/Messages.json"
	for _, user := range []string{account + ":" + token, key + ":s3cret"} {
		status, got := curl(t, roots, at, user, "To=+31612345678", "From=+15550006789", "Body=Your code: 123456 & more", "ValidityPeriod=300")
		if status != "201" || got["status"] != "queued" || got["to"] != "+31612345678" || got["num_segments"] != "1" || got["error_code"] != nil {
			t.Errorf("%s: %v", status, got)
		}
		m := s.Messages()[len(s.Messages())-1]
		if m.SID != got["sid"] || m.Body != "Your code: 123456 & more" || m.ValidityPeriod != 5*time.Minute {
			t.Errorf("taken: %+v", m)
		}
	}
	n, ok := s.Inbox.Take(t.Context(), "+31612345678")
	if !ok || !strings.Contains(string(n.Payload), "123456") {
		t.Errorf("in the inbox: %+v", n)
	}
	if status, got := curl(t, roots, at, account+":"+token, "To=+31612345678", "MessagingServiceSid="+pool, "Body=x"); status != "201" || got["status"] != "accepted" {
		t.Errorf("by a service: %s %v", status, got)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s, roots := start(t, nil)
	at := s.URL + "/2010-04-01/Accounts/" + account + "/Messages.json"
	good := []string{"To=+31612345678", "From=+15550006789", "Body=x"}
	for _, tt := range []struct {
		name, address, user string
		parameters          []string
		status              string
		code                float64
	}{
		{"a wrong token", at, account + ":x", good, "401", 20003},
		{"a wrong secret", at, key + ":x", good, "401", 20003},
		{"nobody", at, "x:" + token, good, "401", 20003},
		{"another account", strings.Replace(at, "AC0", "AC1", 1), account + ":" + token, good, "404", 20404},
		{"another resource", strings.Replace(at, "Messages", "Calls", 1), account + ":" + token, good, "404", 20404},
		{"no number", at, "", []string{"From=+15550006789", "Body=x"}, "400", 21604},
		{"a wrong number", at, "", []string{"To=0612345678", "From=+15550006789", "Body=x"}, "400", 21211},
		{"another region", at, "", []string{"To=+12015550123", "From=+15550006789", "Body=x"}, "400", 21408},
		{"one who wants nothing", at, "", []string{"To=+31600000001", "From=+15550006789", "Body=x"}, "400", 21610},
		{"a landline", at, "", []string{"To=+31101234567", "From=+15550006789", "Body=x"}, "400", 21614},
		{"no sender", at, "", []string{"To=+31612345678", "Body=x"}, "400", 21603},
		{"another's sender", at, "", []string{"To=+31612345678", "From=+15550006780", "Body=x"}, "400", 21606},
		{"no such service", at, "", []string{"To=+31612345678", "MessagingServiceSid=MG1", "Body=x"}, "400", 21705},
		{"no text", at, "", []string{"To=+31612345678", "From=Example"}, "400", 21602},
		{"a long text", at, "", []string{"To=+31612345678", "From=Example", "Body=" + strings.Repeat("x", 1601)}, "400", 21617},
		{"a wrong callback", at, "", append(good, "StatusCallback=https://a_b.test/x"), "400", 21609},
		{"a life of no time", at, "", append(good, "ValidityPeriod=0"), "400", 20001},
		{"redaction that is not there", at, "", append(good, "ContentRetention=discard"), "400", 30029},
		{"redaction of the number", at, "", append(good, "AddressRetention=obfuscate"), "400", 30030},
		{"an unknown parameter", at, "", append(good, "Text=x"), "400", 20001},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.user == "" {
				tt.user = account + ":" + token
			}
			status, got := curl(t, roots, tt.address, tt.user, tt.parameters...)
			if status != tt.status || got["code"] != tt.code || got["status"] == nil || got["message"] == "" {
				t.Errorf("%s: %v", status, got)
			}
		})
	}
	if n := len(s.Messages()); n != 0 {
		t.Errorf("%d were taken", n)
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	s, roots := start(t, func(c *twilio.Config) { c.Redaction = true })
	status, _ := curl(t, roots, s.URL+"/2010-04-01/Accounts/"+account+"/Messages.json", account+":"+token,
		"To=+31612345678", "From=Example", "Body=x", "ContentRetention=discard", "AddressRetention=obfuscate")
	if status != "201" || !s.Messages()[0].Redact {
		t.Errorf("%s %+v", status, s.Messages())
	}
}

// The signature is what openssl computes over the same text.
func TestOpensslSignsTheSame(t *testing.T) {
	t.Parallel()
	openssl := find(t, "openssl")
	form := url.Values{"Sid": {"CA123"}, "SidAccount": {"AC123"}, "Digits": {"5678", "1234", "1234"}}
	const address = "https://mycompany.com/myapp.php?foo=1&bar=2"
	command := exec.CommandContext(t.Context(), openssl, "dgst", "-sha1", "-hmac", "12345", "-binary")
	command.Stdin = strings.NewReader(address + "Digits1234Digits5678SidCA123SidAccountAC123")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want, got := base64.StdEncoding.EncodeToString(out), twilio.Sign("12345", address, form); got != want || got != "IK+Dwps556ElfBT0I3Rgjkr1wJU=" {
		t.Errorf("Sign = %s, openssl says %s", got, want)
	}
}

func TestCallbacks(t *testing.T) {
	t.Parallel()
	told := make(chan url.Values, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		if twilio.Sign(token, "http://"+r.Host+r.RequestURI, form) != r.Header.Get("X-Twilio-Signature") {
			w.WriteHeader(403)
		}
		told <- form
	}))
	t.Cleanup(receiver.Close)
	s, roots := start(t, func(c *twilio.Config) { c.Deliver = true })
	_, got := curl(t, roots, s.URL+"/2010-04-01/Accounts/"+account+"/Messages.json", account+":"+token,
		"To=+31612345678", "From=Example", "Body=x", "StatusCallback="+receiver.URL+"/told")
	for _, status := range []string{"queued", "sent", "delivered"} {
		form := <-told
		if form.Get("MessageStatus") != status || form.Get("MessageSid") != got["sid"] || form.Get("To") != "+31612345678" || form.Get("AccountSid") != account {
			t.Errorf("told %v, want %s", form, status)
		}
	}
	sid := got["sid"].(string)
	for _, tt := range []struct {
		name   string
		c      twilio.Callback
		status int
	}{
		{"a failure", twilio.Callback{SID: sid, Status: "undelivered", ErrorCode: "30005"}, 200},
		{"duplicates", twilio.Callback{SID: sid, Status: "sent", Parameters: url.Values{"X": {"1", "1", "2"}}}, 200},
		{"another signed address", twilio.Callback{SID: sid, Status: "sent", Signed: "https://elsewhere.test/"}, 403},
		{"a forged signature", twilio.Callback{SID: sid, Status: "sent", Signature: "AAAA"}, 403},
	} {
		status, err := s.Call(t.Context(), tt.c)
		if form := <-told; err != nil || status != tt.status || form.Get("ErrorCode") != tt.c.ErrorCode {
			t.Errorf("%s: %d, %v, %v", tt.name, status, err, form)
		}
	}
	if _, err := s.Call(t.Context(), twilio.Callback{SID: "SM0", Status: "sent"}); err == nil {
		t.Error("a message that nobody sent is told of")
	}
}
