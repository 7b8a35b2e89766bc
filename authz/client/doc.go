// SPDX-License-Identifier: Apache-2.0

// Package client owns what a client is: how it authenticates, what it may ask for, and which of that must not be registered. It
// knows neither where clients are kept nor what becomes of what they ask.
package client
