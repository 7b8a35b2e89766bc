// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Reasons of Apple's that are acted upon, and the words for what is none of them.
const (
	expiredToken     = "ExpiredProviderToken" //nolint:gosec // the name of a reason
	tooManyUpdates   = "TooManyProviderTokenUpdates"
	tooManyRequests  = "TooManyRequests"
	idleTimeout      = "IdleTimeout"
	shutdown         = "Shutdown"
	unregistered     = "Unregistered"
	expiredDevice    = "ExpiredToken"
	reasonStale      = "stale_notice"
	reasonUnexpected = "unexpected_answer"
)

// updatePause is how long all notifications wait after Apple has complained of too many tokens.
const updatePause = time.Minute

// answer is one that accepts nothing.
type answer struct {
	status int
	reason string    // Apple's word; empty where somebody else has answered
	dead   time.Time // when Apple found the device token dead; zero where it does not say
	after  time.Duration
}

// Error names status and reason.
func (a *answer) Error() string {
	return "the push service answered " + http.StatusText(a.status) + ": " + a.reason
}

// failure says what an answer means for an address that was stored at a moment.
func (a *answer) failure(stored time.Time) *push.Failure {
	f := &push.Failure{Class: a.class(), Reason: a.reason, Status: a.status, RetryAfter: a.after}
	switch {
	case f.Class == push.Dead && !a.dead.IsZero() && stored.After(a.dead):
		f.Class, f.Reason = push.Refused, reasonStale // said of an installation before this one
	case a.reason == tooManyUpdates:
		f.RetryAfter = max(f.RetryAfter, updatePause)
	case f.Reason == "":
		f.Reason = reasonUnexpected
	}
	return f
}

// class holds for whatever reason Apple may add later: its statuses say who has to do something.
func (a *answer) class() push.Class {
	switch a.reason {
	case unregistered, expiredDevice:
		if a.status == http.StatusGone {
			return push.Dead
		}
	case idleTimeout, shutdown:
		return push.Transient
	case tooManyRequests:
		return push.Throttled
	case tooManyUpdates:
		return push.Overloaded
	}
	switch {
	case a.status == http.StatusForbidden:
		return push.Config
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable:
		return push.Overloaded
	case a.reason != "" && a.status >= 400 && a.status < 500:
		return push.Refused
	}
	return push.Transient
}
