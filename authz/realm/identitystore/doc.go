// SPDX-License-Identifier: Apache-2.0

// Package identitystore owns the way from the issuer's own users to a realm and to a profile: a login module that judges a
// user name and a password, and the claims about a user in the words of OpenID Connect.
package identitystore
