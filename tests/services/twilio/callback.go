// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"
)

// Callback is one call to the address that a message named.
type Callback struct {
	// SID is the message's, Status Twilio's word, and ErrorCode its number where there is one.
	SID, Status, ErrorCode string
	// Parameters come beside the usual ones, also repeated.
	Parameters url.Values
	// To is where it goes, the message's address by default.
	To string
	// Signed is the address that is signed, To by default: another one is that of a proxy.
	Signed string
	// Signature is sent instead of the right one.
	Signature string
}

// Call makes a callback and returns the status of the answer.
func (s *Service) Call(ctx context.Context, c Callback) (int, error) {
	form := url.Values{
		"MessageSid": {c.SID}, "SmsSid": {c.SID}, "MessageStatus": {c.Status}, "SmsStatus": {c.Status}, "AccountSid": {s.config.AccountSID},
		"ApiVersion": {"2010-04-01"},
	}
	for _, m := range s.Messages() {
		if m.SID == c.SID {
			form.Set("To", m.To)
			form.Set("From", m.From)
			if c.To == "" {
				c.To = m.StatusCallback
			}
		}
	}
	if c.ErrorCode != "" {
		form.Set("ErrorCode", c.ErrorCode)
	}
	for name, values := range c.Parameters {
		form[name] = append(form[name], values...)
	}
	if c.To == "" {
		return 0, errors.New("the message named no address")
	}
	if c.Signed == "" {
		c.Signed = c.To
	}
	if c.Signature == "" {
		c.Signature = Sign(s.config.AuthToken, c.Signed, form)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.To, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, fmt.Errorf("calling back: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("User-Agent", "TwilioProxy/1.1")
	r.Header.Set("X-Twilio-Signature", c.Signature)
	response, err := s.transport.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("calling back: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// Sign signs as Twilio does: the distinct pairs of name and value, sorted by name and then by value, behind the address.
func Sign(token, address string, form url.Values) string {
	seen := map[[2]string]bool{}
	var pairs [][2]string
	for name, values := range form {
		for _, value := range values {
			if pair := [2]string{name, value}; !seen[pair] {
				seen[pair] = true
				pairs = append(pairs, pair)
			}
		}
	}
	sort.Slice(pairs, func(i, j int) bool {
		if pairs[i][0] != pairs[j][0] {
			return pairs[i][0] < pairs[j][0]
		}
		return pairs[i][1] < pairs[j][1]
	})
	text := address
	for _, pair := range pairs {
		text += pair[0] + pair[1]
	}
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, text) // it never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
