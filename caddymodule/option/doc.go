// SPDX-License-Identifier: Apache-2.0

// Package option owns how a Caddyfile block is read: a map from the name of an option to a small function. The loop over a
// block is written once, here, and so are the errors about unknown, repeated and superfluous words, each with file and line.
package option
