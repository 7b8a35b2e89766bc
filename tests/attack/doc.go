// SPDX-License-Identifier: Apache-2.0

// Package attack sends to the whole program what an attacker would, over connections that no well-behaved client makes, and
// looks at what reaches the upstream.
package attack
