// SPDX-License-Identifier: Apache-2.0

package budget

import "time"

// Spent is how many messages count at a time, of those that were sent in this window and in the one before.
func Spent(sent, was int, at time.Time) int {
	c := counter{Sent: sent, Was: was}
	return c.spent(at)
}
