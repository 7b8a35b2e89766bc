// SPDX-License-Identifier: Apache-2.0

// Package webhook owns an operator's own push service: it takes notifications at /push when they are signed by a key that it was
// given, lays them into inboxes by address, and says that an address is dead, or that it is busy.
package webhook
