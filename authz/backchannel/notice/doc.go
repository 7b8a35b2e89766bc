// SPDX-License-Identifier: Apache-2.0

// Package notice owns what clients are told of their requests (OpenID CIBA Core 1.0, sections 10.2, 10.3 and 12): that there is a result,
// or the tokens themselves, or why there are none. It hears of answers and tells through the outbox, so that nothing is forgotten when
// a server or a receiver is away. Every call carries the client's own notification token and is signed besides; no redirect is
// followed.
package notice
