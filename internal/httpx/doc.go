// SPDX-License-Identifier: Apache-2.0

// Package httpx owns what every endpoint does the same way with a request and a response: reading parameters under strict
// limits, refusing methods and content types, answering in JSON, answering an OAuth error, carrying who is calling, and
// keeping those who wait small. It knows no client, user or token.
package httpx
