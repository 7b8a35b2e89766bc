// SPDX-License-Identifier: Apache-2.0

// Package trips owns how tests of those who use a store learn how often they would wait for one that is a round trip away.
package trips
