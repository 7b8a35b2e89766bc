// SPDX-License-Identifier: Apache-2.0

package record

import (
	"cmp"
	"fmt"
	"time"
)

// NoNumber asks for no number: see [Start].NumberMatch.
const NoNumber = -1

// Bounds of [Limits].
const (
	MaxTimeToLive = 10 * time.Minute // NIST SP 800-63B-4, 3.1.3.2
	MaxOpen       = 8                // so that all operations of a user can be closed in somebody else's transaction
	MaxNumber     = 8                // digits
	MinNumber     = 2                // digits
)

// Limits bound what one user, and whoever starts operations for them, can do. A zero field takes its default.
type Limits struct {
	// TimeToLive is how long an operation can be answered. Default: 2 minutes, at most [MaxTimeToLive].
	TimeToLive time.Duration
	// Redeem is how long an approval can be redeemed. Default: 1 minute, at most [MaxTimeToLive].
	Redeem time.Duration
	// Number is how many digits are asked where the start says nothing. Default: 2. SP 800-63B-4 asks for 6.
	Number int
	// LeastNumber refuses starts that ask for fewer digits. Default: 0, which also allows none.
	LeastNumber int
	// Tries is how many wrong answers end an operation. Default: 3.
	Tries int
	// Open is how many operations of a user are open at once: 2 to [MaxOpen], of which the last is the user's own. Default: 5.
	Open int
	// OpenOfClient is how many of them one client has begun. Default: 2.
	OpenOfClient int
	// PushesPerMinute and PushesSinceSuccess bound notifications. Default: 5 and 10.
	PushesPerMinute, PushesSinceSuccess int
	// Failures is how many wrong answers in a row block a user. Default: 5, which is also the most that Regulation (EU)
	// 2018/389, article 4(3)(b), allows.
	Failures int
	// FailuresForGood is how many block them until an operator lifts it. Default: 100 (SP 800-63B-4, 3.2.2).
	FailuresForGood int
	// Block is how long the first block lasts; each further wrong answer doubles it, up to MaxBlock. Default: 1 minute, 1 hour.
	Block, MaxBlock time.Duration
	// Waiters is how many callers wait at once. Default: 150,000.
	Waiters int
}

// Check refuses limits that a store would not take.
func (l Limits) Check() error {
	_, err := l.Normalize()
	return err
}

// Normalize returns the limits with their defaults, and refuses what would not limit.
func (l Limits) Normalize() (Limits, error) {
	l.TimeToLive = cmp.Or(l.TimeToLive, 2*time.Minute)
	l.Redeem = cmp.Or(l.Redeem, time.Minute)
	l.Number = cmp.Or(l.Number, MinNumber)
	l.Tries = cmp.Or(l.Tries, 3)
	l.Open = cmp.Or(l.Open, 5)
	l.OpenOfClient = cmp.Or(l.OpenOfClient, 2)
	l.PushesPerMinute = cmp.Or(l.PushesPerMinute, 5)
	l.PushesSinceSuccess = cmp.Or(l.PushesSinceSuccess, 10)
	l.Failures = cmp.Or(l.Failures, 5)
	l.FailuresForGood = cmp.Or(l.FailuresForGood, 100)
	l.Block = cmp.Or(l.Block, time.Minute)
	l.MaxBlock = cmp.Or(l.MaxBlock, time.Hour)
	l.Waiters = cmp.Or(l.Waiters, 150_000)
	for _, rule := range []struct {
		name string
		ok   bool
	}{
		{"time_to_live: 1s to 10m", l.TimeToLive >= time.Second && l.TimeToLive <= MaxTimeToLive},
		{"redeem: 1s to 10m", l.Redeem >= time.Second && l.Redeem <= MaxTimeToLive},
		{"number: 2 to 8 digits, not below least_number", l.Number >= max(MinNumber, l.LeastNumber) && l.Number <= MaxNumber},
		{"least_number: 0 or 2 to 8 digits", l.LeastNumber == 0 || l.LeastNumber >= MinNumber},
		{"tries: 1 to 10", l.Tries >= 1 && l.Tries <= 10},
		{"open: 2 to 8, and at least 1 of one client", l.Open >= 2 && l.Open <= MaxOpen && l.OpenOfClient >= 1},
		{"pushes: 1 to 60 a minute, 1 to 60 since a success", within60(l.PushesPerMinute) && within60(l.PushesSinceSuccess)},
		{"failures: 1 to 10, below failures_for_good", l.Failures >= 1 && l.Failures <= 10 && l.Failures < l.FailuresForGood},
		{"failures_for_good: at most 100", l.FailuresForGood <= 100},
		{"block: 1s to max_block", l.Block >= time.Second && l.Block <= l.MaxBlock},
		{"waiters: at least 1", l.Waiters >= 1},
	} {
		if !rule.ok {
			return l, invalid("limits", "%s", rule.name)
		}
	}
	return l, nil
}

func within60(n int) bool { return n >= 1 && n <= 60 }

// digits returns how many digits a start asks for, or that it may not.
func (l Limits) digits(kind Kind, asked int) (int, error) {
	switch {
	case kind == Registration:
		return 0, nil
	case asked == 0:
		return l.Number, nil
	case asked == NoNumber && l.LeastNumber == 0:
		return 0, nil
	case asked < max(MinNumber, l.LeastNumber) || asked > MaxNumber:
		least := fmt.Sprint(max(MinNumber, l.LeastNumber))
		return 0, invalid("number_match", "want %s to %d digits", least, MaxNumber)
	}
	return asked, nil
}

// ttl returns how long a start wants to be answerable, or that it may not.
func (l Limits) ttl(asked time.Duration) (time.Duration, error) {
	if asked == 0 {
		return l.TimeToLive, nil
	}
	if asked < time.Second || asked > MaxTimeToLive {
		return 0, invalid("time_to_live", "want 1 second to 10 minutes")
	}
	return asked, nil
}
