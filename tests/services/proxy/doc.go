// SPDX-License-Identifier: Apache-2.0

// Package proxy owns a forwarding proxy for tests: it connects to services on this host when it is asked by CONNECT (RFC 9110, section
// 9.3.6), counts what it was asked, and refuses when it is told to. It reads nothing of what it carries.
package proxy
