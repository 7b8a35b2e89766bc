// SPDX-License-Identifier: Apache-2.0

package mobileauth

import "errors"

// ErrInactive says that a user may not do anything now: they are locked, deactivated, deleted or were never there. It is
// what those who ask for a user learn of the reason, so that it can be told apart from a store that does not answer.
var ErrInactive = errors.New("the user is not active")
