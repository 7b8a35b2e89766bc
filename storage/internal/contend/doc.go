// SPDX-License-Identifier: Apache-2.0

// Package contend owns how updates that lost against others come again: one after the other for each group of keys, so that only
// newcomers can beat them once more, and not in step.
package contend
