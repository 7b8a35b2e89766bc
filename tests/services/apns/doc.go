// SPDX-License-Identifier: Apache-2.0

// Package apns owns a service for tests that answers as Apple's push service does: HTTP/2 only, one stream on a connection until
// a valid provider token was seen on it, provider tokens of ES256 with their age and team judged, or a certificate instead, and the
// documented reason for everything that is wrong with a notification.
//
// What Apple keeps about devices is told to it: [Service.Register], [Service.Kill] and [Service.Throttle]. What goes wrong on the
// way is scripted: see [Step].
//
// It reads frames and tokens by itself and shares no code with what is tested against it.
package apns
