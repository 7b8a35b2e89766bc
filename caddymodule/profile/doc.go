// SPDX-License-Identifier: Apache-2.0

// Package profile owns what a regulation asks of a configuration: it tightens the defaults of what the operator left open, and
// refuses what the operator set below the requirement, by the requirement's name. It never changes what was written down.
package profile
