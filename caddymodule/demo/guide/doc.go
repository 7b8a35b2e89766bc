// SPDX-License-Identifier: Apache-2.0

// Package guide owns the guided page of the example site: a person clicks through logging in, a protected route, a step-up, a payment
// that the phone confirms, one that was changed, and the receipt, and sees the messages that were really exchanged.
//
// The page speaks to the gate of its own site, with the session of whoever looks at it. What a browser cannot say itself, since it has
// no credentials of a back end's, this handler says to the issuer: it invites the person's phone, and reads the receipt as an auditor.
// It does so for the person whom protect has let in and for nobody else. It is for demonstrations, and no part of the product.
package guide
