// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio signs with HMAC-SHA1, which collisions of SHA-1 do not break
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// SignatureField is the header field of a callback's signature.
const SignatureField = "X-Twilio-Signature"

// Signature returns what Twilio signs a callback with: the base64 of the HMAC-SHA1, by the auth token, of the address followed by name
// and value of each parameter. Names are sorted; of one that is repeated, its distinct values are.
func Signature(token sms.Secret, address string, parameters url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		values := slices.Clone(parameters[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			mac.Write([]byte(name + value))
		}
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Reports returns the handler for Twilio's status callbacks. It needs the auth token. The public address is the one that stands in
// [Config.StatusCallback] of this sender or another; with or without the scheme's own port is the same, since servers and proxies add
// and remove it.
func (s *Sender) Reports(secretPath, publicURL string, told sms.Told) (http.Handler, error) {
	if s.c.AuthToken == "" {
		return nil, errors.New("reading the callbacks of Twilio: the auth token is required, since it signs them")
	}
	at, err := checkCallback(publicURL)
	if err != nil {
		return nil, fmt.Errorf("reading the callbacks of Twilio: %w", err)
	}
	if !strings.HasSuffix(at.Path, "/"+secretPath) {
		return nil, errors.New("reading the callbacks of Twilio: the public address does not end with the secret")
	}
	addresses := spellings(publicURL, at)
	return sms.Receiver{Secret: secretPath, Told: told, Read: func(r *http.Request, body []byte) ([]sms.Report, bool) {
		return s.report(r, body, addresses)
	}}.Handler()
}

// checkCallback refuses an address that Twilio does not take. It repeats nothing of it, since it holds a secret.
func checkCallback(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || len(address) > maxCallback:
		return nil, errors.New("the address of callbacks is not an absolute URL")
	case u.User != nil || strings.ContainsAny(address, "?#"):
		return nil, errors.New("the address of callbacks has user information, a query or a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return nil, errors.New("the address of callbacks is not https")
	case strings.Contains(u.Host, "_"):
		return nil, errors.New("the host of the address of callbacks has an underscore, which Twilio refuses")
	}
	return u, nil
}

// spellings returns an address as it is, letter by letter, and with the scheme's own port added or taken away.
func spellings(address string, at *url.URL) []string {
	port, host := map[string]string{"https": ":443", "http": ":80"}[at.Scheme], at.Host
	switch {
	case at.Port() == "":
		host = at.Host + port
	case strings.HasSuffix(at.Host, port):
		host = strings.TrimSuffix(at.Host, port)
	}
	return []string{address, strings.Replace(address, "://"+at.Host, "://"+host, 1)}
}

// report reads one callback. It is authentic when one of the addresses was signed, and of this account.
func (s *Sender) report(r *http.Request, body []byte, addresses []string) ([]sms.Report, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	signatures := r.Header.Values(SignatureField)
	if err != nil || kind != "application/x-www-form-urlencoded" || len(signatures) != 1 || r.URL.RawQuery != "" {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, false
	}
	good := 0
	for _, address := range addresses {
		good |= subtle.ConstantTimeCompare([]byte(Signature(s.c.AuthToken, address, form)), []byte(signatures[0]))
	}
	if good != 1 || !only(form, "AccountSid", s.c.AccountSID) {
		return nil, false
	}
	return s.news(form), true
}

// only reports whether a parameter has one value, this one.
func only(form url.Values, name, value string) bool {
	return len(form[name]) == 1 && form[name][0] == value
}

// states are Twilio's words for what became of a message. The others ("queued", "sending") are no news.
var states = map[string]sms.State{
	"sent": sms.Sent, "delivered": sms.Delivered, "read": sms.Delivered,
	"undelivered": sms.Failed, "failed": sms.Failed, "canceled": sms.Failed,
}

func (s *Sender) news(form url.Values) []sms.Report {
	id, state := form.Get("MessageSid"), states[form.Get("MessageStatus")]
	if state == "" || len(form["MessageSid"]) != 1 || len(form["MessageStatus"]) != 1 || !messageForm.MatchString(id) {
		return nil
	}
	report := sms.Report{ID: id, State: state, At: s.c.Now()}
	if state == sms.Failed {
		report.Class, report.Reason = judge(json.Number(form.Get("ErrorCode")))
	}
	return []sms.Report{report}
}
