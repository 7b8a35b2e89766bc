// SPDX-License-Identifier: Apache-2.0

// Package locate owns asking a web service of the operator's where an address is.
//
//	POST https://geo.example.com/locate           {"ip":"192.0.2.7"}
//	200  {"country_code":"NL","region":"Utrecht","city":"Utrecht"}
//
// The address stands in the body, where no access log has it. An address that the service does not know is answered with an
// empty object, or with 404. Every other answer is an error, and after five of them in a row the service is left alone for half
// a minute, so that nobody waits for what is down.
package locate
