// SPDX-License-Identifier: Apache-2.0

// Package trust owns the certificates that a configuration names by the files that hold them.
package trust
