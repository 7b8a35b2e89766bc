// SPDX-License-Identifier: Apache-2.0

// Package turns owns how expensive work takes turns: a bounded number runs at once, a bounded number waits in order, and what
// comes beyond that is turned away before it has cost anything.
package turns
