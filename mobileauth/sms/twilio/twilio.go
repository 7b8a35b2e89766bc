// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/call"
)

// DefaultBaseURL is where Twilio is unless a region or an edge of it is configured.
const DefaultBaseURL = "https://api.twilio.com"

// Limits of Twilio's.
const (
	maxValidity = 36_000 // seconds
	maxCallback = 4000   // characters
	maxAnswer   = 64 << 10
)

// Config is what a sender needs.
type Config struct {
	// AccountSID is "AC" and 32 hexadecimal digits. Required.
	AccountSID string
	// AuthToken is the account's primary auth token. It signs status callbacks, also where requests carry an API key.
	AuthToken sms.Secret
	// KeySID ("SK" and 32 hexadecimal digits) and KeySecret are an API key, which requests carry instead of the auth token.
	KeySID    string
	KeySecret sms.Secret
	// From is a number in E.164 form, a short code or an alphanumeric sender of up to 11 characters. Either From or MessagingService is
	// required, and not both.
	From string
	// MessagingService is "MG" and 32 hexadecimal digits: a pool of senders of which Twilio chooses one.
	MessagingService string
	// StatusCallback is the public address at which the handler of [Sender.Reports] is. Without it Twilio tells nothing of deliveries.
	StatusCallback string
	// Redact has Twilio discard text and obfuscate number after it has sent. Only accounts with Message Redaction take that; others
	// refuse every message with the errors 30029 and 30030.
	Redact bool
	// SmartEncoded has Twilio replace characters that would make a message dearer by those that look like them.
	SmartEncoded bool
	// RiskCheck is "enable" or "disable" to say whether Twilio's guard against pumping judges the messages; empty leaves that to the
	// account's settings.
	RiskCheck string

	// BaseURL is that of the API. Default: [DefaultBaseURL].
	BaseURL string
	// Proxy is asked to connect to Twilio. None by default: the environment is not asked.
	Proxy *url.URL
	// Roots are the certificate authorities that may vouch for Twilio. Default: those of the system.
	Roots *x509.CertPool
	// Timeout bounds one request, and Places says how many are under way at once. Defaults: those of internal/provider.
	Timeout time.Duration
	Places  int
	// Now is the clock. Required.
	Now func() time.Time
}

// Sender is one account at Twilio. It does not print its secrets.
type Sender struct {
	c      Config
	at     string // of the Messages resource
	user   string
	secret sms.Secret
	client *provider.Client
}

var (
	_ sms.Sender   = (*Sender)(nil)
	_ sms.Reporter = (*Sender)(nil)
)

var (
	accountForm = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	keyForm     = regexp.MustCompile(`^SK[0-9a-f]{32}$`)
	serviceForm = regexp.MustCompile(`^MG[0-9a-f]{32}$`)
	messageForm = regexp.MustCompile(`^(SM|MM)[0-9a-f]{32}$`)
	numberForm  = regexp.MustCompile(`^(\+[1-9][0-9]{2,14}|[1-9][0-9]{2,7})$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9&+_-][A-Za-z0-9 &+_-]{0,10}$`)
)

// New returns a sender, or an error that says what in the configuration does not fit and repeats no secret. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.BaseURL == "" {
		c.BaseURL = DefaultBaseURL
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("configuring Twilio: %w", err)
	}
	client, err := provider.New(provider.Config{
		URL: c.BaseURL, Proxy: c.Proxy, Roots: c.Roots, Timeout: c.Timeout, Places: c.Places, MaxAnswer: maxAnswer,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring Twilio: %w", err)
	}
	s := &Sender{
		c: c, at: c.BaseURL + "/2010-04-01/Accounts/" + c.AccountSID + "/Messages.json",
		user: c.AccountSID, secret: c.AuthToken, client: client,
	}
	if c.KeySID != "" {
		s.user, s.secret = c.KeySID, c.KeySecret
	}
	return s, nil
}

func (c *Config) check() error {
	switch {
	case c.Now == nil:
		return errors.New("a clock is required")
	case !accountForm.MatchString(c.AccountSID):
		return errors.New("the account SID is not AC and 32 hexadecimal digits")
	case (c.KeySID == "") != (c.KeySecret == ""):
		return errors.New("an API key is a SID and a secret")
	case c.KeySID != "" && !keyForm.MatchString(c.KeySID):
		return errors.New("the SID of the API key is not SK and 32 hexadecimal digits")
	case c.KeySID == "" && c.AuthToken == "":
		return errors.New("an auth token or an API key is required")
	case (c.From == "") == (c.MessagingService == ""):
		return errors.New("either a sender or a messaging service is required, and not both")
	case c.MessagingService != "" && !serviceForm.MatchString(c.MessagingService):
		return errors.New("the messaging service is not MG and 32 hexadecimal digits")
	case c.From != "" && !numberForm.MatchString(c.From) && !isName(c.From):
		return errors.New("the sender is neither a number in E.164 form nor a short code nor a name of up to 11 characters with a letter")
	case c.RiskCheck != "" && c.RiskCheck != "enable" && c.RiskCheck != "disable":
		return errors.New("the risk check is neither enable nor disable")
	case c.StatusCallback != "":
		_, err := checkCallback(c.StatusCallback)
		return err
	}
	return nil
}

func isName(from string) bool {
	return nameForm.MatchString(from) && strings.ContainsFunc(from, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' })
}

// Send hands a message to Twilio, once, and returns its SID.
func (s *Sender) Send(ctx context.Context, m sms.Message) (id string, err error) {
	now := s.c.Now()
	if err := m.Check(now); err != nil {
		return "", err
	}
	form, ok := s.form(m, now)
	if !ok {
		return "", &sms.Failure{Class: sms.Refused, Reason: "expired"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.at, strings.NewReader(form.Encode()))
	if err != nil {
		return "", &sms.Failure{Class: sms.Config, Reason: "address"}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "Gatehouse")
	r.SetBasicAuth(s.user, string(s.secret))
	answer, err := call.Do(s.client, r)
	if err != nil {
		return "", err
	}
	return read(answer, s.c.Now())
}

// form is what Twilio is told; false where a message would arrive too late.
func (s *Sender) form(m sms.Message, now time.Time) (url.Values, bool) {
	validity := min(int64(m.Expires.Sub(now)/time.Second), maxValidity)
	form := url.Values{"To": {m.To}, "Body": {m.Text}, "ValidityPeriod": {strconv.FormatInt(validity, 10)}}
	set := func(name, value string, when bool) {
		if when {
			form.Set(name, value)
		}
	}
	set("From", s.c.From, s.c.From != "")
	set("MessagingServiceSid", s.c.MessagingService, s.c.MessagingService != "")
	set("StatusCallback", s.c.StatusCallback, s.c.StatusCallback != "")
	set("ContentRetention", "discard", s.c.Redact)
	set("AddressRetention", "obfuscate", s.c.Redact)
	set("SmartEncoded", "true", s.c.SmartEncoded)
	set("RiskCheck", s.c.RiskCheck, s.c.RiskCheck != "")
	return form, validity >= 1
}

// Close lets go of connections that wait for the next message.
func (s *Sender) Close() { s.client.Close() }

// String names the account without its secrets.
func (s *Sender) String() string { return "Twilio account " + s.c.AccountSID }

// GoString keeps %#v from printing secrets.
func (s *Sender) GoString() string { return s.String() }

// LogValue keeps structured logs from printing secrets.
func (s *Sender) LogValue() slog.Value { return slog.StringValue(s.String()) }
