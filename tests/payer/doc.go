// SPDX-License-Identifier: Apache-2.0

// Package payer owns somebody who confirms requests on a phone, for the tests of packages confirm and hold: a store that can be made to
// fail, any number of nodes over it, and the phone's answers.
package payer
