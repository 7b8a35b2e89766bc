// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// fault is a refusal with Twilio's number.
type fault struct {
	code int
	text string
}

// taken are the parameters that a sender of text messages has reason to use. Others are refused, which Twilio does not do, so that a
// misspelt one is noticed.
var taken = []string{
	"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod", "SmartEncoded", "ContentRetention", "AddressRetention",
	"RiskCheck", "Attempt",
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// read returns the message of a form, or why it is none.
func (s *Service) read(form url.Values) (Message, *fault) {
	for name, values := range form {
		if !slices.Contains(taken, name) || len(values) != 1 {
			return Message{}, &fault{20001, "The parameter " + name + " is unknown or repeated"}
		}
	}
	m := Message{
		SID: NewSID(), To: form.Get("To"), From: form.Get("From"), Body: form.Get("Body"),
		MessagingServiceSid: form.Get("MessagingServiceSid"), StatusCallback: form.Get("StatusCallback"),
	}
	m.Segments = segments(m.Body)
	for _, judge := range []func(*Message, url.Values) *fault{s.judgeNumber, s.judgeSender, s.judgeText, s.judgeOptions} {
		if f := judge(&m, form); f != nil {
			return Message{}, f
		}
	}
	return m, nil
}

func (s *Service) judgeNumber(m *Message, _ url.Values) *fault {
	enabled := len(s.config.Calling) == 0 || slices.ContainsFunc(s.config.Calling, func(code string) bool { return strings.HasPrefix(m.To, "+"+code) })
	switch {
	case m.To == "":
		return &fault{21604, "A 'To' phone number is required."}
	case !e164.MatchString(m.To):
		return &fault{21211, "Invalid 'To' Phone Number: " + m.To}
	case !enabled:
		return &fault{21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: " + m.To}
	case slices.Contains(s.config.Stopped, m.To):
		return &fault{21610, "Attempt to send to unsubscribed recipient"}
	case slices.Contains(s.config.Landlines, m.To):
		return &fault{21614, "'To' number is not a valid mobile number"}
	case m.To == m.From:
		return &fault{21266, "'To' and 'From' number cannot be the same"}
	}
	return nil
}

func (s *Service) judgeSender(m *Message, _ url.Values) *fault {
	switch {
	case m.From == "" && m.MessagingServiceSid == "":
		return &fault{21603, "A 'From' phone number is required."}
	case m.From != "" && !slices.Contains(s.config.Senders, m.From):
		return &fault{21606, "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination."}
	case m.MessagingServiceSid != "" && !slices.Contains(s.config.Services, m.MessagingServiceSid):
		return &fault{21705, "The Messaging Service Sid is invalid."}
	}
	return nil
}

func (s *Service) judgeText(m *Message, _ url.Values) *fault {
	switch {
	case m.Body == "":
		return &fault{21602, "Message body is required."}
	case len(utf16.Encode([]rune(m.Body))) > 1600:
		return &fault{21617, "The concatenated message body exceeds the 1600 character limit."}
	}
	return nil
}

func (s *Service) judgeOptions(m *Message, form url.Values) *fault {
	if form.Has("StatusCallback") && !absolute(m.StatusCallback) {
		return &fault{21609, "Invalid 'StatusCallback' Url"}
	}
	period := 36_000
	if text := form.Get("ValidityPeriod"); text != "" {
		var err error
		if period, err = strconv.Atoi(text); err != nil || period < 1 || period > 36_000 {
			return &fault{20001, "ValidityPeriod is not a number from 1 to 36000"}
		}
	}
	m.ValidityPeriod = time.Duration(period) * time.Second
	for _, option := range []struct {
		name   string
		code   int
		values []string
		needs  bool
	}{
		{"ContentRetention", 30029, []string{"retain", "discard"}, true}, {"AddressRetention", 30030, []string{"retain", "obfuscate"}, true},
		{"RiskCheck", 20001, []string{"enable", "disable"}, false}, {"SmartEncoded", 20001, []string{"true", "false"}, false},
	} {
		value := form.Get(option.name)
		if value == "" && !form.Has(option.name) {
			continue
		}
		if !slices.Contains(option.values, value) || option.needs && !s.config.Redaction {
			return &fault{option.code, "Invalid " + option.name}
		}
	}
	m.Redact = form.Get("ContentRetention") == "discard" && form.Get("AddressRetention") == "obfuscate"
	return nil
}

// segments counts as a carrier does, for texts without the characters that take two places in GSM-7.
func segments(body string) int {
	units, single, part := len([]rune(body)), 160, 153
	for _, r := range body {
		if r > 0x7e && !strings.ContainsRune("£¥èéùìòÇØøÅåÆæßÉ¤¡ÄÖÑÜ§¿äöñüàΔΦΓΛΩΠΨΣΘΞ", r) {
			units, single, part = len(utf16.Encode([]rune(body))), 70, 67
			break
		}
	}
	if units <= single {
		return 1
	}
	return (units + part - 1) / part
}

func fmtInt(n int) string { return strconv.Itoa(n) }
