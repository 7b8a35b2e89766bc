// SPDX-License-Identifier: Apache-2.0

// Package ciba owns how a configuration lets clients ask people on their phones (OpenID CIBA Core 1.0), and brings the two rooms
// together for it: the back channel of the authorization server asks, the mobile side answers.
package ciba
