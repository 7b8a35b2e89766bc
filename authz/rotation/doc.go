// SPDX-License-Identifier: Apache-2.0

// Package rotation owns the refresh tokens as such: the line in which one takes the place of another, what a token says and
// whether it is genuine. What a refresh leads to is a transition of the authz package, which knows the grant and the client.
package rotation
