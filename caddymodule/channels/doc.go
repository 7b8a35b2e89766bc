// SPDX-License-Identifier: Apache-2.0

// Package channels owns the options that say how people are asked: the mobile types, the push services, the gateways for text
// messages, and where a question is said to come from. It reads them, checks them together and loads the guests that they name.
//
//	mobile {
//		locales          en nl
//		type push_pin    { ... }    ─► mobileauth/mobiletype
//		push apple       { apns }   ─► guest of gatehouse.push
//		sms twilio       { ... }    ─► guest of gatehouse.sms
//		geolocation maxmind <file>  ─► guest of gatehouse.geolocation
//		context_template en "..."   ─► mobileauth/origin
//	}
//
// A guest of gatehouse.push is a push.Sender, one of gatehouse.sms an sms.Sender, one of gatehouse.geolocation an origin.Locator.
// Each is ready to use when it has been provisioned, and starts nothing by itself: what has a method Run(context.Context) is run
// while the server does.
package channels
