// SPDX-License-Identifier: Apache-2.0

package tables

// Login reports whether a table, or what is kept beside tables under that name, is of those by whose records somebody is logged in, is
// about to be, or passes by what was approved before: without them everybody begins anew, and nobody loses anything but that. What proves
// who somebody is stays, be it a user, a phone or a certificate, and so does whatever keeps somebody out: revocations, cut-offs, counters,
// and what was used and is good once. Known is false for a name that this release knows nothing of, which may be either.
func Login(name string) (login, known bool) {
	login, known = logins[name]
	return login, known
}

// logins says of each name whether it is a login. One whose table goes stays here, since older backups have it.
var logins = map[string]bool{
	// Somebody is on the way in: requests of browsers and apps, those that a phone answers for a client elsewhere, and codes.
	"request":             true,
	"backchannel_request": true,
	"code":                true,
	// Somebody is in: in a browser, in an app, by tokens, and the lists of these.
	"session":      true,
	"auth_session": true,
	"grant":        true,
	"family":       true,
	"roster":       true,
	// Somebody may go on with what a person has said yes to: one request, in one session, once.
	"confirmation":      true,
	"confirmation_slot": true,
	// Somebody may make a phone one of a user's, by an activation code that was given out in a session.
	"enrolment_code": true,

	// Users, what they have agreed to, and where they have logged in, by which their certificates are found.
	"user":        false,
	"user_hold":   false,
	"user_search": false,
	"consent":     false,
	"userdevice":  false,
	// Phones, what leads to them, and what they are asked. An approval is of use to the client that has asked, which has to say who it is.
	"handset":             false,
	"handset_block":       false,
	"handset_counts":      false,
	"handset_history":     false,
	"handset_key":         false,
	"handset_roster":      false,
	"enrolment_challenge": false,
	"enrolment_recovery":  false,
	"exchange":            false,
	"operation":           false,
	"operation_desk":      false,
	"operation_due":       false,
	"operation_key":       false,
	// Certificates of devices, and those that were taken back.
	"devca":    false,
	"devcaout": false,
	"devcert":  false,
	"devgone":  false,
	"devkey":   false,
	"devout":   false,
	"devrev":   false,
	// Clients that have registered themselves, and by what they may.
	"instance":      false,
	"initial_token": false,
	"regchallenge":  false,
	// What was revoked, and what was used: it is no use again.
	"assertion":    false,
	"cutoff":       false,
	"handset_seen": false,
	"revocation":   false,
	"tally":        false,
	// What slows down who guesses, asks too often or costs too much.
	"caution":        false,
	"login_counter":  false,
	"login_failures": false,
	"sms_budget":     false,
	// The issuer itself: keys, versions of apps that were switched off, what back ends have asked for, and who does what among the nodes.
	"keyset":       false,
	"root":         false,
	"app_override": false,
	"app_sequence": false,
	"api_user_key": false,
	"lease":        false,
	// What is to be told outside, and what was said of it. What is to be told of a request that was left out is given up.
	"outbox_dead": false,
	"outbox_due":  false,
	"outbox_item": false,
	"outbox_lane": false,
	"outbox_line": false,
	"smsreport":   false,
	// The audit trail and its chain.
	"audit":       false,
	"audit_chain": false,
	"audit_mark":  false,
	"audit_seal":  false,
}
