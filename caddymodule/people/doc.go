// SPDX-License-Identifier: Apache-2.0

// Package people owns the users that stand in a configuration: how they are written, and that each is there after the start.
package people
