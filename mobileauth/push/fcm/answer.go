// SPDX-License-Identifier: Apache-2.0

package fcm

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Words of ours, for what is none of Google's.
const (
	reasonUnexpected = "unexpected_answer"
	reasonToken      = "access_token"
	reasonAddress    = "invalid_address"
)

// How long to wait where the service does not say.
const (
	quotaPause   = time.Minute
	servicePause = 10 * time.Second
)

// Types of details.
const (
	typeFCM   = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
	typeBad   = "type.googleapis.com/google.rpc.BadRequest"
	typeQuota = "type.googleapis.com/google.rpc.QuotaFailure"
)

// answer is one that accepts nothing.
type answer struct {
	http       int
	code       string // errorCode of Firebase's detail
	status     string // Google's word for the status
	violations bool   // a field of the message is wrong
	device     bool   // the quota is that of one device
}

// parseAnswer reads the body of an answer. What is not Google's JSON has neither code nor status.
func parseAnswer(status int, body []byte) answer {
	var said struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				Type       string            `json:"@type"`
				ErrorCode  string            `json:"errorCode"`
				Fields     []json.RawMessage `json:"fieldViolations"`
				Violations []struct {
					Subject     string `json:"subject"`
					Description string `json:"description"`
				} `json:"violations"`
			} `json:"details"`
		} `json:"error"`
	}
	a := answer{http: status}
	if json.Unmarshal(body, &said) != nil {
		return a
	}
	a.status = push.Word(said.Error.Status)
	for _, d := range said.Error.Details {
		switch d.Type {
		case typeFCM:
			a.code = push.Word(d.ErrorCode)
		case typeBad:
			a.violations = a.violations || len(d.Fields) > 0
		case typeQuota:
			for _, v := range d.Violations {
				a.device = a.device || strings.Contains(strings.ToLower(v.Subject+v.Description), "device")
			}
		}
	}
	return a
}

// failure says what an answer means, given how long the service asks to wait.
func (a answer) failure(after time.Duration) *push.Failure {
	f := &push.Failure{Class: push.Transient, Reason: a.code, Status: a.http, RetryAfter: after}
	if f.Reason == "" {
		f.Reason = a.status
	}
	f.Class = a.class()
	switch {
	case f.Reason == "":
		f.Reason = reasonUnexpected
	case a.code == "INVALID_ARGUMENT" && !a.violations:
		f.Reason = reasonAddress
	}
	if after == 0 {
		switch f.Class {
		case push.Throttled:
			f.RetryAfter = quotaPause
		case push.Overloaded:
			f.RetryAfter = servicePause
			if a.http == http.StatusTooManyRequests {
				f.RetryAfter = quotaPause
			}
		case push.Dead, push.Config, push.Refused, push.Transient:
		}
	}
	return f
}

// class holds a code to the status that it belongs to: an address is not given up for half an answer.
func (a answer) class() push.Class {
	switch {
	case a.code == "UNREGISTERED" && a.http == http.StatusNotFound, a.code == "SENDER_ID_MISMATCH" && a.http == http.StatusForbidden:
		return push.Dead
	case a.code == "THIRD_PARTY_AUTH_ERROR":
		return push.Refused // the project cannot write to phones of this platform: of which one is, its device has a say
	}
	switch a.http {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return push.Config
	case http.StatusTooManyRequests:
		if a.device {
			return push.Throttled
		}
		return push.Overloaded
	case http.StatusServiceUnavailable:
		return push.Overloaded
	}
	if a.http >= 400 && a.http < 500 && a.status != "" {
		return push.Refused
	}
	return push.Transient
}

// staleToken reports whether an answer is about our access token, and not about the credentials of the project elsewhere.
func (a answer) staleToken() bool { return a.http == http.StatusUnauthorized && a.code == "" }
