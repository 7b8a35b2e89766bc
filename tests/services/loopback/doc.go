// SPDX-License-Identifier: Apache-2.0

// Package loopback owns what the services for tests have in common: a certificate authority that nobody else trusts, listeners on
// ports that were free on 127.0.0.1, answers that are scripted, and inboxes in which a simulated phone finds what was delivered to it.
package loopback
