// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/call"
)

// classes are what Twilio's error codes mean for us (twilio.com/docs/api/errors). A code that is not here means what its status means.
var classes = map[int]sms.Class{
	20003: sms.Config, // the credentials are wrong
	20005: sms.Config, // the account is not active
	20008: sms.Config, // they are those for tests
	20404: sms.Config, // there is no such account
	21212: sms.Config, // From is wrong
	21601: sms.Config, // From cannot send messages
	21603: sms.Config, // From is missing
	21606: sms.Config, // From is not ours
	21609: sms.Config, // StatusCallback is wrong
	21659: sms.Config, // From is not a number of Twilio's
	21660: sms.Config, // From is another account's
	21703: sms.Config, // the messaging service has no sender
	21704: sms.Config, // likewise
	21705: sms.Config, // there is no such messaging service
	30002: sms.Config, // the account is suspended
	30029: sms.Config, // ContentRetention is not for this account
	30030: sms.Config, // AddressRetention is not for this account
	30032: sms.Config, // From is a toll-free number that was not verified
	30034: sms.Config, // From was not registered with the carriers

	21211: sms.Number, // there is no such number
	21217: sms.Number, // likewise
	21265: sms.Number, // it is a short code
	21266: sms.Number, // it is From
	21610: sms.Number, // its owner has said STOP
	21614: sms.Number, // it is not a mobile number
	21635: sms.Number, // it is a landline
	30005: sms.Number, // the carrier does not know it
	30006: sms.Number, // it is a landline, or its carrier takes no messages

	21219: sms.Blocked, // a trial account, and the number was not verified
	21608: sms.Blocked, // likewise
	21408: sms.Blocked, // its region is not enabled
	21612: sms.Blocked, // From has no route to it
	30004: sms.Blocked, // blocked by carrier or owner
	30007: sms.Blocked, // filtered
	30450: sms.Blocked, // pumping
	30453: sms.Blocked, // likewise
	60410: sms.Blocked, // likewise, the prefix for hours
	60605: sms.Blocked, // its region is not enabled

	20429: sms.Throttled, // too many requests
	21611: sms.Throttled, // the queue of From is full
	30001: sms.Throttled, // the queue is full
	30022: sms.Throttled, // too fast for the carriers
	30023: sms.Throttled, // too many today
	63038: sms.Throttled, // likewise, of the account

	21602: sms.Refused, // there is no text
	21604: sms.Refused, // there is no number
	21605: sms.Refused, // the text is too long
	21617: sms.Refused, // likewise
}

// said is what we read of Twilio's answers: those that take a message, and those that do not.
type said struct {
	SID       string      `json:"sid"`
	Status    string      `json:"status"`
	ErrorCode json.Number `json:"error_code"`
}

// refused is another shape, in which status is a number.
type refused struct {
	Code json.Number `json:"code"`
}

// read returns the SID of a message that was taken, or why it was not.
func read(a *call.Answer, now time.Time) (string, error) {
	if a.Status < 200 || a.Status > 299 {
		return "", refusal(a, now)
	}
	var s said
	if err := json.Unmarshal(a.Body, &s); err != nil || !messageForm.MatchString(s.SID) {
		return "", &sms.Failure{Class: sms.Ambiguous, Reason: "malformed_answer", Status: a.Status}
	}
	switch s.Status {
	case "failed", "undelivered", "canceled":
		class, reason := judge(s.ErrorCode)
		return "", &sms.Failure{Class: class, Reason: reason, Status: a.Status}
	}
	return s.SID, nil
}

// judge returns class and word of an error code; [sms.Ambiguous] where it says nothing to us.
func judge(code json.Number) (sms.Class, string) {
	n, err := strconv.Atoi(string(code))
	if err != nil || n < 10_000 || n > 99_999 {
		return sms.Ambiguous, ""
	}
	if class, ok := classes[n]; ok {
		return class, string(code)
	}
	return sms.Ambiguous, string(code)
}

func refusal(a *call.Answer, now time.Time) *sms.Failure {
	f := &sms.Failure{Status: a.Status, RetryAfter: provider.RetryAfter(a.Header, now)}
	var r refused
	if json.Unmarshal(a.Body, &r) == nil {
		f.Class, f.Reason = judge(r.Code)
	}
	if class := classOfStatus(a.Status); f.Class == "" || f.Class == sms.Ambiguous || class != sms.Refused && class != sms.Config {
		f.Class = class // only a refusal is explained by a code
	}
	if f.Reason == "" {
		f.Reason = "status_" + strconv.Itoa(a.Status)
	}
	return f
}

// classOfStatus is what an answer means that explains nothing, or whose explanation does not count: after an error of the server's
// nobody knows whether the message was sent.
func classOfStatus(status int) sms.Class {
	switch {
	case status == http.StatusTooManyRequests:
		return sms.Throttled
	case status == http.StatusRequestTimeout || status >= 500 || status < 300:
		return sms.Ambiguous
	case status < 400 || status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		return sms.Config
	}
	return sms.Refused
}
