// SPDX-License-Identifier: Apache-2.0

// Package operation owns the questions that people answer on their phones: what was asked, where the question stands, and
// the one answer it gets.
//
//	                 ┌──► approved ──► redeemed, once, before RedeemBy, or cancelled by whoever began it
//	pending ──► delivered ──► denied(reason)
//	   │             ├──► failed(reason)
//	   └─────────────┼──► expired, at AnswerBy
//	                 └──► cancelled(reason)
//
// Every step reads the operation and writes the next state in one transaction, so of two that would take it different ways
// one wins and the other finds it gone. There are two clocks: one for the person ([Operation].AnswerBy), one for the client
// that wants to act on the approval ([Operation].RedeemBy). Both are judged by the injected clock wherever an operation is
// read; [Store.Run] writes down later what has expired, and tells those who asked.
//
// # What is shown is what is signed
//
// [Operation].Display are the exact bytes that the device shows, made once. The answer is a statement over their hash. A text
// that could look like another one (characters that reorder, take no room or control anything) is refused when the
// operation is started: to remove it would have the person sign what nobody asked.
//
// # Counting
//
// Wrong answers are counted where an attacker cannot begin anew: per operation ([Limits].Tries), per device (package
// handset), and per user over all operations and devices ([Limits].Failures). A new operation resets none of them. A right
// factor clears the user's counts, a right number only that of numbers: whoever holds a stolen phone could otherwise start
// operations that need no PIN, and have the count of wrong PINs cleared by approving them. An answer whose number or factor
// was wrong is counted as one, and from outside nobody can tell which it was.
//
// # Channels
//
// A question is put to the phones of a user, to whoever scans it, or over SMS ([Way]). A code that is sent is typed where the
// operation began, and [Store.Verify] judges it: wrong ones are counted like wrong numbers and PINs, in a count of their own
// that only a right code clears, and none that went to a number which is not the user's ([Texting].Other). The same code is
// sent again ([Store.Resend]), so that nobody gets more guesses by asking for more of them. What is scanned belongs to the
// first phone that claims it ([Store.Claim]). Where nobody fetches a question in time, another way may take over
// ([StartLate]): from then on no phone can answer, and the result says what was really used. The code and the phone's number
// stand in the sealed record and nowhere else; the code is forgotten when the operation ends.
//
// # Whose place it is
//
// A user has room for [Limits].Open questions. A client has its share of it ([Limits].OpenOfClient), the last place is kept from all
// clients, and one more from those that have done no more than name the user: no client, and no number of them, keeps the user from
// logging in, or from agreeing to what they send themselves. So it is with notifications, of which a fifth is kept.
//
// # Pushes
//
// A user gets [Limits].PushesPerMinute notifications a minute and [Limits].PushesSinceSuccess since the last approval, within a
// day. The operations themselves are started all the same; the phone finds them when it is opened. When a person says that
// it was not them who began, no notification is sent until they approve something or an operator lifts it. Nothing takes over later
// from a question whose notification was held back: whoever asks often enough could otherwise have SMS instead of the phone.
//
// # Waiting
//
// [Store.Wait] and [Store.Pending] hold their caller until something happens: they are woken by commits of the same store,
// and by [Store.Run] within a second of commits elsewhere. A waiter costs its goroutine, whose stack is 8 KB, and 1 KB beside it.
package operation
