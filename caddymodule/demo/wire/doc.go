// SPDX-License-Identifier: Apache-2.0

// Package wire owns what demonstrations show of real exchanges with the server: a transport that hands each of them on as people can
// read it, and without what proves something to whoever has it (tokens, secrets, codes, passwords).
package wire
