// SPDX-License-Identifier: Apache-2.0

// Package roster owns the list of grants that a client holds of a user: by it they are counted, and from it the one is chosen that
// gives way to a new one. What ends a grant is a transition of the authz package. It also owns the list of devices on which a user has
// logged in, which outlives the grants: by it people find what is theirs.
package roster
