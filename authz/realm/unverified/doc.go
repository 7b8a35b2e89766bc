// SPDX-License-Identifier: Apache-2.0

// Package unverified owns the guests that verify nothing. Anonymous lets everybody in as nobody in particular. SingleIdentity and
// NonValidating let everybody in as somebody: they are for development, and whoever configures them has to say so. RejectAll lets
// nobody in.
package unverified
