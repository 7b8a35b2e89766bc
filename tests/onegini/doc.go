// SPDX-License-Identifier: Apache-2.0

// Package onegini proves docs/migrate-onegini.md: a whole server, configured as a Caddyfile has it, with a push service, a gateway and
// phones on loopback, is asked through the API for what each row of the page promises. A row without a test fails, and so does a test
// without a row.
package onegini
