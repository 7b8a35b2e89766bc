// SPDX-License-Identifier: Apache-2.0

package places

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrTaken is the cause that ends the context of a place which somebody else has taken over.
var ErrTaken = errors.New("somebody else has taken the place")

// Limits say how many places there are. All of them are at least 1.
type Limits struct {
	// All are there at once.
	All int
	// Holder is how many of them one holder has, such as an address, and Purpose how many are for the same, such as one request.
	Holder, Purpose int
}

// Places are where callers wait. They are safe for concurrent use.
type Places struct {
	limits Limits

	mu      sync.Mutex
	all     int
	came    uint64 // how many have ever come
	holder  map[string][]*place
	purpose map[string][]*place
}

// place is what one caller has until it leaves or another takes it.
type place struct {
	holder, purpose string
	came            uint64
	end             context.CancelCauseFunc
	gone            bool
}

// New returns places of which none is taken, or an error for limits by which nobody could wait.
func New(l Limits) (*Places, error) {
	if l.All < 1 || l.Holder < 1 || l.Purpose < 1 {
		return nil, errors.New("building places to wait in: each limit is at least 1")
	}
	return &Places{limits: l, holder: map[string][]*place{}, purpose: map[string][]*place{}}, nil
}

// Take gives a caller a place until it leaves, which it does in any case. The context that it waits by ends with [ErrTaken] when
// somebody else has taken the place over.
func (p *Places) Take(ctx context.Context, purpose, holder string) (wait context.Context, leave func()) {
	wait, end := context.WithCancelCause(ctx)
	mine := &place{holder: holder, purpose: purpose, end: end}
	p.mu.Lock()
	defer p.mu.Unlock()
	if same := p.purpose[purpose]; len(same) >= p.limits.Purpose {
		p.takeLocked(same[0])
	}
	if same := p.holder[holder]; len(same) >= p.limits.Holder {
		p.takeLocked(same[0])
	}
	if p.all >= p.limits.All {
		p.takeLocked(p.mostLocked(holder))
	}
	p.came++
	p.all++
	mine.came = p.came
	p.holder[holder] = append(p.holder[holder], mine)
	p.purpose[purpose] = append(p.purpose[purpose], mine)
	return wait, func() { p.leave(mine) }
}

// mostLocked returns the oldest place of the holder that has most of them: of a newcomer rather than of another who has as many, else of whoever
// has waited longest.
func (p *Places) mostLocked(newcomer string) *place {
	most := p.holder[newcomer]
	for _, all := range p.holder {
		if len(all) > len(most) || len(all) == len(most) && most[0].holder != newcomer && all[0].came < most[0].came {
			most = all
		}
	}
	return most[0]
}

func (p *Places) takeLocked(from *place) {
	p.freeLocked(from)
	from.end(ErrTaken)
}

func (p *Places) leave(from *place) {
	p.mu.Lock()
	if !from.gone {
		p.freeLocked(from)
	}
	p.mu.Unlock()
	from.end(nil)
}

func (p *Places) freeLocked(from *place) {
	from.gone = true
	p.all--
	without(p.holder, from.holder, from)
	without(p.purpose, from.purpose, from)
}

// without takes a place out of its list, and the list away with its last.
func without(lists map[string][]*place, name string, from *place) {
	left := slices.DeleteFunc(lists[name], func(other *place) bool { return other == from })
	if lists[name] = left; len(left) == 0 {
		delete(lists, name)
	}
}

// Len returns how many places are taken.
func (p *Places) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all
}
