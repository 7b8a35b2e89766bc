// SPDX-License-Identifier: Apache-2.0

// Package fcm owns a service for tests that answers as Firebase Cloud Messaging's HTTP v1 API does, with the token endpoint beside it: it
// verifies the assertion of a service account (RS256), knows the tokens that it gave and when they end, refuses unknown fields and
// malformed values with the violations that Google names, and keeps what it took.
//
// A message to an app of another package than it is restricted to is taken and delivered to nobody.
//
// It verifies signatures by itself and shares no code with what is tested against it.
package fcm
