// SPDX-License-Identifier: Apache-2.0

// Package endpoints owns the endpoints beside authorization and token: the metadata (OpenID Connect Discovery, RFC 8414) and
// the keys, introspection (RFC 7662), revocation (RFC 7009), userinfo (OpenID Connect Core 5.3) and RP-initiated logout.
// What a token is worth is judged by the validator and the view of revocations that gates ask too, so that no two places
// can disagree.
package endpoints
