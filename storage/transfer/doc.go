// SPDX-License-Identifier: Apache-2.0

// Package transfer owns how the contents of a store leave it and come into another one, whatever engines the two are: a file, and
// a copy from store to store. Values travel as they are kept: what is sealed stays sealed.
//
// # The file
//
//	magic     8 bytes "GHSTORE\n"
//	version   2 bytes, big endian: 1
//	frames    one 'H', any number of 'C', one 'E', and nothing after it
//
// A frame is its kind in one byte, the length of its body in four, the body, and 32 bytes of SHA-256 over the sum of the frame before
// (zeros before the first), kind, length and body: a frame that was changed, moved, left out or put in is found where it stands, and
// a file that was cut has no last one. The bodies: 'H' is a [Header] and 'E' [Totals], both in JSON,
// the latter with the sum of the frame before it, sealed with the store's key where that is known: nobody else can make such a file; 'C' is up to a megabyte of items,
// compressed with Zstandard. An item is the length of its key and the key, the length of its value and the value, each length a
// uvarint, and the moment of its expiry as a varint of milliseconds since 1970, 0 for never. Keys ascend through the whole file.
//
// # Taking in
//
// [Target.Take] makes a store hold exactly what comes, by comparing the two in the order of their keys: it writes what is missing or
// different and removes what is too much. A store that held nothing, or was being filled from the same source, is filled; any other only
// where that was asked for. While that is under way the store holds a mark, by which a server refuses it ([Unfinished]) and the next
// attempt knows it: what has arrived is not written again. At the end the store is read back and compared. Tables can be left out
// ([Target.LeaveOut]): the source is read to its end, and judged as a whole, all the same.
package transfer
