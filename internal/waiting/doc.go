// SPDX-License-Identifier: Apache-2.0

// Package waiting owns how many callers wait for records to change without asking for them all the time: each is woken by
// name, by whoever has committed a change, and nothing is held for what nobody waits for.
package waiting
