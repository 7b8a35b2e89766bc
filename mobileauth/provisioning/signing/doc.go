// SPDX-License-Identifier: Apache-2.0

// Package signing owns the keys that devices sign with: which are fit for a certificate, those large enough, on their curve, with a decent
// exponent, and made by none of the generators whose keys can be computed; and what such a key has signed, a compact JWS with the one
// algorithm of its kind, or a certificate request, whose attributes it reads by themselves. It knows nothing of who asks, nor of who issues.
package signing
