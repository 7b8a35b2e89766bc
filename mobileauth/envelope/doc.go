// SPDX-License-Identifier: Apache-2.0

// Package envelope owns the messages between phone and server, version 1: how they are sealed and opened on either side, what
// they may say, and what of them is refused. It keeps no record and knows no HTTP. docs/device-protocol.md is the same in words.
//
// A message is signed and then encrypted:
//
//	phone:  Request  ── SealRequest ─► JWE( JWS by the device ) ── OpenRequest, Unverified.Verify ─► Request   :server
//	phone:  Answer   ◄─ OpenAnswer  ── JWE( JWS by the server ) ◄─ SealAnswer                     ── Answer    :server
//
// What a person decides is a [Statement]: a JWS of its own inside the request, which outlives the message as proof. Beside it
// stand the factors, each a MAC over the statement under a secret that only the phone and the server have.
//
// Whatever is wrong with a message, the error wraps [ErrRefused]; its [Reason] is for the audit and never for whoever sent it.
package envelope
