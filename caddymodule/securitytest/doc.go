// SPDX-License-Identifier: Apache-2.0

// Package securitytest owns how a configuration writes security tests, and what their kinds add to them.
package securitytest
