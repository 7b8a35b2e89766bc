// SPDX-License-Identifier: Apache-2.0

// Package metadata owns what an instance of an app says of itself when it registers (RFC 7591 2): how that is read, which of it a
// signed software statement may say in its place, and what is made of it within what the operator allows the app. It keeps nothing.
package metadata
