// SPDX-License-Identifier: Apache-2.0

// Package view owns how an operation looks in the API: which of its parts are told, in which words, and what only the client that
// started it gets.
package view
