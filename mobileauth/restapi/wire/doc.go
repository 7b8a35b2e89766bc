// SPDX-License-Identifier: Apache-2.0

// Package wire owns how the API for back ends speaks HTTP, whatever it speaks of: problem documents (RFC 9457), bodies that
// are read strictly, entity tags as preconditions (RFC 9110 13), cursors, and the headers that tie a request to its log lines
// and traces. It knows no user, device or operation.
package wire
