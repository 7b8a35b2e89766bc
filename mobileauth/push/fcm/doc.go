// SPDX-License-Identifier: Apache-2.0

// Package fcm owns how Firebase Cloud Messaging is asked to notify a phone with Google's services, by its HTTP v1 API.
//
// # Credentials
//
// The service account's file, which Firebase's console writes, is exchanged for an access token (RFC 7523) by golang.org/x/oauth2. That
// library would hold every sender back while one token is fetched, for as long as that takes and with the context of the first; here each
// token is fetched by itself, once for all who wait, and whoever waits leaves when its own time is over. The token's address stands in
// the file, so it is held against a list of hosts: a planted file would otherwise choose who gets to see what the key signs.
//
// The older API with its server key ended in 2024. Such a key is refused with a word on what to get instead.
//
// # Messages
//
// A message holds data only, with high priority and the time that is left: the app shows it in its own words.
//
// # Failures
//
// The word that decides is the errorCode of Firebase's own detail, then the status, then that of HTTP. An address is dead when Firebase
// says UNREGISTERED or SENDER_ID_MISMATCH. What has the same status without that detail is about the project (404) or its rights (403),
// and INVALID_ARGUMENT is as often about the message as about the address: neither makes an address dead. THIRD_PARTY_AUTH_ERROR is
// about one platform, whose address any device can have made: it is held against that address and not against the sender.
package fcm
