// SPDX-License-Identifier: Apache-2.0

// Package audit owns the trail of security events: one structured log line for each, in the group "audit", and for those
// that matter later an item in the store, kept for a year. An event is written before the answer it belongs to is sent.
// Events name subjects, clients, sessions and grants by their ids; they never hold a secret, token, code or password.
package audit
