// SPDX-License-Identifier: Apache-2.0

// Package carriers owns the guest modules that Gatehouse ships for channels: push services, gateways for text messages, and what
// knows where addresses are. Each is a configuration struct around a plain package.
package carriers
