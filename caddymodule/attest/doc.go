// SPDX-License-Identifier: Apache-2.0

// Package attest owns what the configuration says about evidence: what an application asks of its phones on each platform, and the
// verifiers that are made of it.
package attest
