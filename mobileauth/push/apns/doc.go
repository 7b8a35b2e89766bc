// SPDX-License-Identifier: Apache-2.0

// Package apns owns how Apple's push service is asked to notify an iPhone or a Mac.
//
// Requests are made by sideshow/apns2, which knows the fields. What else that library does is not used: its transport knows neither
// proxy nor certificate authorities, its tokens have a clock of their own and fail silently, and it loses the status of an answer that
// is not JSON. Here a transport of ours adds the provider token, and reads whatever is not accepted.
//
// # Credentials
//
// A key from Apple's developer pages (.p8) signs a provider token (ES256) that is used for fifty minutes: Apple refuses one older than
// an hour, and punishes one that is changed more often than every twenty minutes. The limit is the team's. Every [Sender] makes tokens
// of its own, so there is one for each team and not one for each application; several servers may each have one. A certificate is the
// older way and ends after a year.
//
// # Connections
//
// There is one connection for each environment, production and sandbox, with as many requests side by side as the service allows; Apple
// takes many connections for an attack. On a new one the first request goes alone, since no more are allowed before a token was seen.
//
// # Failures
//
// An address is dead when Apple says so of the installation that gave it (410, not before it was stored); the other ways in which a
// device token can be wrong (BadDeviceToken, DeviceTokenNotForTopic) are as often a mistake of the configuration, and only refuse the
// notification at hand. 403 is about the credential, whatever its reason.
package apns
