// SPDX-License-Identifier: Apache-2.0

// Package randid owns everything Gatehouse draws at random: identifiers of records and secrets handed to clients.
//
// Identifiers may be replaced in tests, by injecting another function with the signature of [New]. Secrets may not: there
// is one function, it reads the operating system's generator, and it has no seam.
package randid
