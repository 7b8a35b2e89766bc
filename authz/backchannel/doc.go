// SPDX-License-Identifier: Apache-2.0

// Package backchannel owns requests that a client makes without a browser and a person answers on a phone (OpenID CIBA Core
// 1.0): their records, and how one turns from a question into a grant. It knows no HTTP: the endpoint, what is read of a request
// and what is told to clients are packages below it.
//
//	waiting ──► approved ──► issued
//	   │            │
//	   ├──► denied  └──► failed (the phone or the person was revoked since, or the proof has grown old)
//	   ├──► failed
//	   └──► expired
//
// Who is asked, and how, is behind the port [Phone]. A request is settled once, by whoever looks first: a poll of the client, or
// the outbox that hears of the answer. What it leads to is a grant made from the proof of one realm, as every other grant is made
// from proofs; tokens come from the same mint.
package backchannel
