// SPDX-License-Identifier: Apache-2.0

// Package hold owns how a request is confirmed over HTTP. It stands between the gate, which says who is asking, and the
// upstream, which gets the request when a person has approved it.
//
//	request ──► read to its end, bounded ──► Gatehouse-Operation? ──no──► ask ──► 401, or wait
//	                                                  │                              │
//	                                                 yes ──► redeem, once ◄──approved┘
//	                                                           │
//	                                                           └──► upstream, with exactly the bytes that were bound
//
// A person's browser names no operation. It is answered with a page that sends the same request again: that passes by the approval of the
// same request, or is shown how the question about it stands. What a form had is in the page and nowhere else, and what a browser would
// write in another way the second time is refused the first.
//
// What cannot be bound is refused: changes of the protocol, streams, trailers, and header fields by which an upstream may be
// told to take the request for another one. A caller that waits has a seat: those of one client, of one user and of all are
// bounded, and so is what they have sent. Whoever goes away gives the seat back at once.
package hold
