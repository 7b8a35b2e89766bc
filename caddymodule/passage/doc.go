// SPDX-License-Identifier: Apache-2.0

// Package passage owns what a request carries on its way through the rules of a site: the credentials that it came with, and
// which rules have let it pass.
package passage
