// SPDX-License-Identifier: Apache-2.0

// Package pgstore owns the store that several nodes share: one table of keys and values in PostgreSQL, or in what speaks its protocol.
//
// An update is one SERIALIZABLE transaction, and runs again when the database says that it collided (40001, 40P01). Losers of one process
// come again one after the other, those of several after a random pause. A view is one REPEATABLE READ transaction. What was committed
// without an answer is [storage.ErrUnknown].
//
// # Round trips
//
// A transaction begins with its first reading, in the same round trip; an item is read once; what is written is kept until the end and
// goes with the commit, all in one. An update that reads n items one after the other and writes waits n + 1 times, one that only writes
// once, and a view n times: nobody waits for its end. What is asked for together is read together, and with the entry of a unique index
// comes the record that it leads to ([storage.Follow]), in one statement that finds both through the primary key. An Insert is taken to be
// of a key that is free, and looked up only where that turns out to be wrong. So is a key that a closure presumes to be absent
// ([storage.Presume]): a statement in front of the writes ends the transaction where an item is there, and is a reading to the database,
// which then lets nobody make one meanwhile. A closure that refuses, or writes nothing, has what it presumed looked at before it is
// believed; one that presumed wrongly runs again and reads, and so does the node at once from then on, as long as the item is there.
//
// # Tables
//
// Migrations are numbered, are applied once, by one node, under a lock of the database's, and never to a database that a newer release
// has made ([ErrNewer]). Expired items are invisible at the clock of the node, and removed by whichever node comes to it,
// or by the one that leads.
//
// # Notices
//
// What a node has committed it tells the others a few milliseconds later, where somebody watches: the tables, and marks of the records.
// Whatever is lost on the way is noticed by a number that is missing, or not at all; nothing is wrong because of it. Behind a pooler, and
// with a database that knows no LISTEN, each node hears itself alone.
package pgstore
