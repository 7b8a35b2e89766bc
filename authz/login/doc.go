// SPDX-License-Identifier: Apache-2.0

// Package login owns the page on which a user proves the next missing realm of a request. It shows the realm's challenge,
// hands the answers to the realm, and puts the proof of an accepted one into the browser's session. Which realm that is, it
// finds out from the records anew each time: there is no order of forms that a browser could leave.
//
// It decides nothing about the client. When nothing is missing, or the user wants to stop, it returns to the dispatcher at
// /authorize with a token for that step.
package login
