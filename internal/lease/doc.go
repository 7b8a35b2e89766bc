// SPDX-License-Identifier: Apache-2.0

// Package lease owns how one of several nodes over one store is chosen to do what costs and is done once as well as by all: sweeping,
// sealing. The others do without, and one of them takes its place within ten seconds when it has gone.
//
//	free ──Take──► held by a ──every Renewal──► held by a, renewed
//	  ▲                │ a ends in order              │ nothing was written for a Term
//	  └────Release─────┘                              └──► held by b
//
// No node compares its clock with another's. The record says who holds the lease and counts how often that was renewed; whoever wants it
// watches with a clock of its own for how long the record stays as it is. So a clock that is an hour off takes nothing away from anybody,
// and neither does one that is set. All that is asked of clocks is that an hour of one is about an hour of another.
//
// A lease is an economy and no lock: a node that was stopped for a while, and does not know yet that it has lost the lease, may finish what
// it had begun. So what is done under it is right when two do it; each of its steps is a transaction. What must not be done twice at all,
// such as a delivery, has a claim of its own in the record of what is to be done (package outbox), and what is decided once, such as the
// rotation of a key, is one transaction over one record (package keyset): neither needs a lease.
package lease
