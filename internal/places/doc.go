// SPDX-License-Identifier: Apache-2.0

// Package places owns who may wait where many would: so many for one purpose, so many for one holder, and so many in all. Nobody is
// turned away at the door, since whoever came first could keep everybody else out. Instead a newcomer takes over a place: the oldest
// of the same purpose or the same holder, and where all are taken the oldest of the holder that has most of them.
package places
