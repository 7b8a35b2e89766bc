// SPDX-License-Identifier: Apache-2.0

// Package application owns how an app that is written in Go answers a realm which asks it what it is: its platform and version and, where
// the realm wants to see it, what the platform vouches for.
//
//	challenge {data: challenge, audience} ─► the platform vouches for a hash of both ─► evidence
package application
