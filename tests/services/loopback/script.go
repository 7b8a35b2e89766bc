// SPDX-License-Identifier: Apache-2.0

package loopback

import "sync"

// Script is a list of what happens next instead of the usual, one entry for each request. The zero value is empty. It is safe for
// concurrent use.
type Script[T any] struct {
	mu    sync.Mutex
	steps []T
}

// Add appends entries.
func (s *Script[T]) Add(steps ...T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, steps...)
}

// Next takes the first entry; false where there is none.
func (s *Script[T]) Next() (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.steps) == 0 {
		var none T
		return none, false
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	return next, true
}
