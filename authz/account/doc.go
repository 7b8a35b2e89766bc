// SPDX-License-Identifier: Apache-2.0

// Package account owns the page on which people see where they are signed in and which applications may act for them, and
// end either. Where there are phones, people also see theirs and what they were asked on them, add some, rename and remove them. Where
// devices have certificates, they see those of the devices on which they have logged in, and take them away.
//
// The page needs a fresh login of its own: somebody who finds a browser left open is not to see or end anything. When it is
// missing, the page begins a request that leads back to it, without a client and without a code. Every change carries a
// token that is bound to browser and session.
package account
