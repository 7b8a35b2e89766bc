// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// appleSays is what an operator can do about Apple's words for what is wrong with one application or one phone, which the class of the
// failure does not tell.
var appleSays = map[string]string{
	"BadDeviceToken": "the token is none of this environment: compare apns_environment of the application with the build on the phone " +
		"(from Xcode: development; from the store or TestFlight: production)",
	"BadEnvironmentKeyInToken": "the key is restricted to the other environment: make one for both, or compare apns_environment",
	"DeviceTokenNotForTopic":   "the phone's token belongs to another app: compare the bundle id of the application with the app on the phone",
	"TopicDisallowed":          "the key's team may not write to this bundle id: compare team_id and the bundle id",
	"stale_notice":             "the service speaks of an older installation than the address: try again after the app was opened",
}

// credentials are what to look at when a push service does not know us.
var credentials = map[string]string{
	"apns":    "check team_id, key_id and key_file, whether the key was revoked at Apple, and this computer's clock",
	"fcm":     "check service_account_file, whether the account was disabled, and that its project is the app's and has the Cloud Messaging API (V1) on",
	"webpush": "check the proxy; the push services of browsers need nothing but vapid_key_file and contact",
	"webhook": "check url, its credential, and that the network is allowed",
}

// pushAdvice says what an operator can do about a notification that was not accepted.
func pushAdvice(kind string, class push.Class, reason string) string {
	if text, known := appleSays[reason]; known {
		return text
	}
	switch class {
	case push.Dead:
		return "the address is gone, and is marked so: the app tells a new one when it is opened; if it is not installed any more, remove the device"
	case push.Config:
		if text, known := credentials[kind]; known {
			return "nothing goes out through this service: " + text
		}
		return "nothing goes out through this service: check its credential and its options"
	case push.Throttled:
		return "this phone was written to too often: wait, the service says for how long"
	case push.Overloaded:
		return "the service is too busy for all of us: wait; questions in between are kept and sent later"
	case push.Refused:
		return "the service takes no such notification for this phone: look its word up in its documentation"
	case push.Transient:
	}
	return "the service was not reached, or failed: check endpoint, proxy, ca_file and the network between, and try again"
}

// smsAdvice says what an operator can do about a message that was not accepted.
func smsAdvice(class sms.Class) string {
	switch class {
	case sms.Number:
		return "the gateway sends nothing to this number: it does not exist, takes no messages, or its owner has refused them"
	case sms.Blocked:
		return "a policy of the gateway's is in the way: enable the country there, or look at what its filter or fraud guard says; do not repeat it blindly"
	case sms.Config:
		return "nothing goes out through this gateway: check its credential, its sender and its address"
	case sms.Throttled:
		return "too many messages for the gateway: wait, or ask it for a higher rate"
	case sms.Refused:
		return "the gateway takes no such message: look at its text"
	case sms.Transient:
		return "the gateway was not reached, or failed, and surely sent nothing: check endpoint, proxy, ca_file and the network between, and try again"
	case sms.Ambiguous:
	}
	return "the connection broke, or the answer could not be read, after the message was handed over: it may have been sent, so look at the " +
		"phone or the gateway's own log before it is tried again"
}
