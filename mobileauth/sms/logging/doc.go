// SPDX-License-Identifier: Apache-2.0

// Package logging writes text messages to a log instead of sending them, code and number included: for development, where nobody has
// a gateway, and for nothing else. Whoever configures a server lets it in only where development is on.
package logging
