// SPDX-License-Identifier: Apache-2.0

// Package callout owns calls to back ends of the operator's: one address, named when the server starts, that is asked by POST
// and answers JSON.
//
// What it guarantees: the back end is the one that the configured certificate authorities vouch for (or is on this host); what
// is said to it, secrets included, goes nowhere else, since no redirect is followed and no proxy of the environment asked; an
// answer takes neither more time nor more memory than was agreed. Errors name the host and nothing that was said.
package callout
