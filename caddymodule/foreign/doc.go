// SPDX-License-Identifier: Apache-2.0

// Package foreign owns the part of a configuration that describes an issuer other than ours.
package foreign
