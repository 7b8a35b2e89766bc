// SPDX-License-Identifier: Apache-2.0

// Package confirm owns dynamic linking: a person approves one request, and the approval is good for exactly that request, once.
//
//	request ──► Template.Render ──► what the phone shows
//	   │
//	   └──────► Bind ──► Binding ──► Store.Start ──► operation ──► approved
//	                                                                  │
//	the same request ──► Bind ──► Binding ──► Store.Redeem ◄──────────┘
//
// A message is made of the request's own values: only of those that the template names, each of which has to be there, to be
// unambiguous, and to be fit to be shown. What is in a value is never read as a part of the template.
//
// A binding covers the method, where the request was sent and what it asks for, byte for byte, its body, how that is to be
// read, and the header fields that are declared. The record of a confirmation is written with its operation, in one transaction,
// and by nothing else: an operation that was started in any other way confirms no request. The rule, the client, the user and
// the session are in it as well. A redemption compares all of it and spends the approval in one transaction; what does not
// agree is refused with a reason for the audit trail, and leaves the approval as it is.
//
// A request that repeats one which is being asked about finds the operation of that one (see [Store.Start]).
package confirm
