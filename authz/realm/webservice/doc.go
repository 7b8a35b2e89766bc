// SPDX-License-Identifier: Apache-2.0

// Package webservice owns the login module that has a web service of the operator's judge a login name and a password, by one
// POST of JSON.
//
// What it guarantees: a login is asked about once, whatever becomes of the answer, and is accepted by nothing but an answer of
// status 200 in strict JSON that holds an id. Statuses that speak of the login are refusals, everything else is a fault of the
// service: so many of them in a row, and the service is left alone for a while and logins fail at once. Errors hold nothing of
// what was said or answered.
package webservice
