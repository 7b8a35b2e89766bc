// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// How long a failed item waits. What a receiver asks for is heeded up to maxRetryAfter.
const (
	firstWait     = time.Second
	maxWait       = time.Hour
	maxRetryAfter = time.Hour
)

// maxCause bounds what is kept of an error's text, in bytes.
const maxCause = 300

// Retry returns err with the wish of a receiver not to be asked again before after has passed, as Retry-After says it. A wish
// shorter than the back-off changes nothing, and one beyond an hour counts as an hour.
func Retry(after time.Duration, err error) error { return &retryError{after, err} }

type retryError struct {
	after time.Duration
	err   error
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

// Permanent returns err as a failure that no other try will mend: the item becomes a dead letter at once.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Pause returns err as the failure of a receiver rather than of one item: beside the back-off of the item, this loop hands out
// nothing else of its lane until after has passed, at most an hour. What waits there is not tried, so it does not use up its tries.
func Pause(after time.Duration, err error) error { return &pauseError{after, err} }

type pauseError struct {
	after time.Duration
	err   error
}

func (e *pauseError) Error() string { return e.err.Error() }
func (e *pauseError) Unwrap() error { return e.err }

// Advice is what an error says about further tries.
type Advice struct {
	// Permanent is set by [Permanent], After by [Retry] and Pause by [Pause].
	Permanent    bool
	After, Pause time.Duration
}

// AdviceOf reads an error that a handler returned as the loop does.
func AdviceOf(err error) (a Advice) {
	var permanent *permanentError
	var retry *retryError
	var pause *pauseError
	a.Permanent = errors.As(err, &permanent)
	if errors.As(err, &retry) {
		a.After = min(max(0, retry.after), maxRetryAfter)
	}
	if errors.As(err, &pause) {
		a.Pause = min(max(0, pause.after), maxRetryAfter)
	}
	return a
}

// wait returns how long an item rests after its nth failed try. Items that failed together do not come back together: chance,
// from 0 to 1, makes it up to a fifth shorter or longer.
func wait(n int, chance float64, err error) time.Duration {
	rest := maxWait
	if n <= 6 {
		rest = min(firstWait<<(2*(n-1)), maxWait)
	}
	return max(time.Duration(float64(rest)*(0.8+0.4*chance)), AdviceOf(err).After)
}

func chance() float64 {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails since Go 1.24
	return float64(binary.BigEndian.Uint64(random[:])>>11) / (1 << 53)
}

// cause is the text of an error in one short line.
func cause(err error) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(text) > maxCause {
		text = strings.ToValidUTF8(text[:maxCause], "") + "…"
	}
	return text
}
