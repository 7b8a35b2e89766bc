// SPDX-License-Identifier: Apache-2.0

// Package passwords owns what the configuration says about the hashing of passwords.
package passwords
