// SPDX-License-Identifier: Apache-2.0

// Package program owns how tests and benchmarks run the real program: built once, as a process of its own, on ports that
// were free, with a folder of its own and its admin API on a Unix socket in it.
package program
