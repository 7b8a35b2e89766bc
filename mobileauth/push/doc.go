// SPDX-License-Identifier: Apache-2.0

// Package push owns what a notification to a phone is, whoever carries it, and what may come of sending one.
//
// A notification is a hint: it holds the opaque id of an operation and nothing else, so that neither a service nor a lock screen
// learns what is asked. The phone fetches the question itself, and would find it without any notification.
//
// A [Sender] is one way to phones: a service with its credential. The packages below this one are senders; others may be written
// knowing this package only.
//
// # What a failure means
//
// A sender says what went wrong by a [Failure], whose [Class] alone decides what happens:
//
//	Dead        the address leads nowhere any more: it is marked, and not used again
//	Config      nothing that this sender sends can arrive: credential, project or bundle are wrong; the sender is left alone
//	Throttled   this address gets too much: it waits, others do not
//	Overloaded  the service wants to be left alone: all that goes there waits
//	Refused     the service does not take this notification, however often it is sent
//	Transient   anything else: it is tried again
//
// Only what a service says clearly makes an address dead: a mistake there costs somebody their notifications, a try too many costs
// nothing. Errors hold neither addresses nor anything that a service has said beyond a word of its own.
package push
