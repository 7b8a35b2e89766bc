// SPDX-License-Identifier: Apache-2.0

// Package outbox owns what must happen outside the store because of something inside it: a callback, a push, a message. An item
// is written in the transaction of its cause, so that neither exists without the other, and handed to the [Handler] of its kind
// after the commit.
//
//	caller's transaction ── Append ──► line ──► claim ──► Handler.Deliver ──► done
//	                                    ▲                        │
//	                                    └──── back-off ◄─────────┴──► dead letter
//
// # What holds
//
// An item is delivered at least once, always with the same ID: a receiver that remembers IDs sees each once. Nothing is lost
// between commit and delivery, whenever the process ends. Items with one key form a line and are delivered one after the other
// in the order in which their transactions committed; an item without a key is a line of its own. Items of different lines are
// delivered side by side and in any order.
//
// A line is claimed by compare-and-set before its first item is handed out, for [Config].Timeout and two seconds more. Another loop
// believes a claim for as long, from when it has seen it first: no clocks of two nodes are compared. Two loops on one store, in one
// process or in two, therefore do not deliver the same item at the same time as long as handlers stop when their context ends. What
// a node that died had claimed is taken over when the claim has stood for so long, with the default within ten seconds.
//
// # Failing
//
// A try that fails is repeated after a time that quadruples from one second to an hour, or later when the receiver asks for it
// ([Retry]). After [Config].Tries tries, or at once after a [Permanent] failure, the item becomes a dead letter and the line goes
// on without it. Dead letters are listed, sent again and deleted by an operator. The default of eight tries covers more than an
// hour.
//
// # Fairness
//
// A kind may be split into lanes, one for each receiver. No lane takes more than half of the places for deliveries, so a
// receiver that is slow or gone holds up nobody else. How many a lane takes is worth its receiver's time: eight keep one busy that
// answers in milliseconds, and leave the processors to people who wait; one that takes longer for each gets more, up to the half.
//
// # Cost
//
// The loop holds in memory what is being delivered and nothing else. It is woken by commits that come through [Outbox.Waking]
// and looks once a second for the items of other nodes: one short read for each lane.
package outbox
