// SPDX-License-Identifier: Apache-2.0

// Package testauthority makes evidence that looks like that of phones, under a root of its own. It stands in the place of a phone's
// manufacturer where there is no phone: in tests, and for the simulator. Whoever configures its root believes whatever anybody who
// has its file says, so nobody does where it matters; every certificate of it says that it is a test.
package testauthority
