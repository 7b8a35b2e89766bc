// SPDX-License-Identifier: Apache-2.0

// Package sms owns what a gateway for text messages is: what it is given, what it answers, the classes that its failures fall into,
// and what a message with a code looks like.
//
// A [Sender] hands one message to one gateway. It repeats nothing by itself: gateways have no idempotency key, so a message of which
// it is not known whether it was taken ([Ambiguous]) may have been sent, and sending it again would cost money and confuse the
// person. The person's own "send again" is the repetition.
//
// That a gateway has taken a message does not mean that it arrives. A [Reporter] tells what became of it, as far as carriers say.
// Such reports may come late, twice, out of order or from somebody who has seen an old one, so they are facts that only go forward
// ([State.Supersedes]) and nothing that security depends on.
//
// Numbers, codes and texts appear in no error, and a [Message] prints as its id.
package sms
