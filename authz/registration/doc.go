// SPDX-License-Identifier: Apache-2.0

// Package registration owns the instances of apps that register themselves as clients (RFC 7591, RFC 7592), and the initial access
// tokens by which the operator lets them: records and their transitions. It knows no HTTP.
//
//	operator ─► initial access token ─┐
//	                                  ├─► instance ─► client authentication, grants
//	app ─► metadata, statement ───────┘      │
//	                                         └─► used, updated, deleted, or expired because nobody used it
//
// What an instance may have is looked up in the configuration whenever it is found, so that one never has more than its application
// has by now.
package registration
