// SPDX-License-Identifier: Apache-2.0

// Package budget owns how many messages over SMS are sent: to one number, to neighbouring numbers, about one user, to a country and
// in all, in an hour. Messages cost money, and there are people who earn from every one that is sent to a number of theirs.
//
// The counters are written in the transaction that decides to send, so that what is over the limit is never sent, also not by
// another node. Beside what was sent it is counted how much of it was typed in: where hardly anything is, somebody collects
// messages. Numbers stand in no key of the store, only what an HMAC makes of them.
package budget
