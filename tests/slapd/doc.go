// SPDX-License-Identifier: Apache-2.0

// Package slapd owns a directory for tests: Debian's OpenLDAP server on a free port of the loopback interface, with the entries
// that a test gives it, a certificate of its own and nothing that outlives the test.
package slapd
