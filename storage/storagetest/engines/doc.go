// SPDX-License-Identifier: Apache-2.0

// Package engines owns the stores over which packages that keep records are tested: every engine that needs no service, with what
// an unkind one does.
package engines
