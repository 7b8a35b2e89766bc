// SPDX-License-Identifier: Apache-2.0

package places_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/places"
)

func build(t testing.TB, l places.Limits) *places.Places {
	t.Helper()
	p, err := places.New(l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWhoHasToGo: callers come in their order, "request@address" each, and those that are named have to go.
func TestWhoHasToGo(t *testing.T) {
	t.Parallel()
	limits := places.Limits{All: 6, Holder: 4, Purpose: 2}
	for _, c := range []struct{ name, come, gone string }{
		{"there is room", "1@a 2@b 3@c 4@d 5@e 6@f", ""},
		{"a request with three pages", "1@a 1@a 1@a", "0"},
		{"a request from three addresses", "1@a 2@a 1@b 1@c", "0"},
		{"one address", "1@a 2@a 3@a 4@a 5@a 6@a", "0 1"},
		{"an address that has most, and a newcomer", "1@a 2@b 3@b 4@b 5@b 6@a 7@c", "1"},
		{"more newcomers", "1@a 2@b 3@b 4@b 5@b 6@a 7@c 8@d 9@e", "1 2 0"},
		{"the address that has most comes again", "1@a 2@b 3@b 4@b 5@c 6@d 7@b", "1"},
		{"two addresses that have as many: the one that comes", "1@a 2@a 3@a 4@b 5@b 6@b 7@b", "3"},
		{"everybody has one: the oldest", "1@a 2@b 3@c 4@d 5@e 6@f 7@g 8@h", "0 1"},
		{"everybody has one, and one of them comes again", "1@a 2@b 3@c 4@d 5@e 6@f 7@d", "3"},
		{"a request with two pages of others, at an address with four", "1@b 1@c 2@a 3@a 4@a 5@a 1@a", "0 2"},
		{"whoever has to go anyway makes the room", "1@a 1@b 2@c 3@d 4@e 5@f 1@g", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := build(t, limits)
			var waits []context.Context
			var order []string
			known := map[int]bool{}
			for _, who := range strings.Fields(c.come) {
				request, address, _ := strings.Cut(who, "@")
				wait, leave := p.Take(t.Context(), request, address)
				defer leave()
				waits = append(waits, wait)
				for i, wait := range waits {
					if wait.Err() != nil && !known[i] {
						known[i], order = true, append(order, fmt.Sprint(i))
						if !errors.Is(context.Cause(wait), places.ErrTaken) {
							t.Errorf("%d went for %v", i, context.Cause(wait))
						}
					}
				}
			}
			if got := strings.Join(order, " "); got != c.gone {
				t.Errorf("those went: %q, want %q", got, c.gone)
			}
			if got, want := p.Len(), len(waits)-len(order); got != want {
				t.Errorf("%d places are taken, want %d", got, want)
			}
		})
	}
}

// TestLeaving frees a place once, also of whoever had to go, and keeps nothing of those who have left.
func TestLeaving(t *testing.T) {
	t.Parallel()
	p := build(t, places.Limits{All: 2, Holder: 2, Purpose: 1})
	first, leaveFirst := p.Take(t.Context(), "1", "a")
	second, leaveSecond := p.Take(t.Context(), "1", "a")
	if first.Err() == nil || second.Err() != nil || p.Len() != 1 {
		t.Fatalf("the first: %v, the second: %v, %d places", first.Err(), second.Err(), p.Len())
	}
	leaveFirst()
	if second.Err() != nil || p.Len() != 1 || !errors.Is(context.Cause(first), places.ErrTaken) {
		t.Errorf("whoever had to go takes the place along: %v, %d places", second.Err(), p.Len())
	}
	leaveSecond()
	leaveSecond()
	if second.Err() == nil || errors.Is(context.Cause(second), places.ErrTaken) || p.Len() != 0 {
		t.Errorf("after leaving: %v, %d places", context.Cause(second), p.Len())
	}
	parent, cancel := context.WithCancel(t.Context())
	wait, leave := p.Take(parent, "1", "a")
	cancel()
	if wait.Err() == nil {
		t.Error("a caller that is gone waits on")
	}
	leave()
}

// TestOneHolderKeepsNobodyOut however fast it comes again, and from however many requests.
func TestOneHolderKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	p := build(t, places.Limits{All: 100, Holder: 80, Purpose: 2})
	var others []context.Context
	for i := range 20 {
		wait, leave := p.Take(t.Context(), fmt.Sprint("mine", i), fmt.Sprint("192.0.2.", i))
		defer leave()
		others = append(others, wait)
	}
	for i := range 1000 {
		_, leave := p.Take(t.Context(), fmt.Sprint("theirs", i), "198.51.100.1")
		defer leave()
	}
	wait, leave := p.Take(t.Context(), "late", "203.0.113.1")
	defer leave()
	if wait.Err() != nil || slices.ContainsFunc(others, func(wait context.Context) bool { return wait.Err() != nil }) {
		t.Error("somebody who holds one place had to go for somebody who holds many")
	}
	if p.Len() > 100 {
		t.Errorf("%d places are taken", p.Len())
	}
}

// TestStorm comes and goes from everywhere at once; all limits hold, and nothing is left.
func TestStorm(t *testing.T) {
	t.Parallel()
	p := build(t, places.Limits{All: 16, Holder: 8, Purpose: 2})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for n := range 500 {
				_, leave := p.Take(t.Context(), fmt.Sprint(n%7), fmt.Sprint(i%5))
				if n%3 == 0 {
					defer leave()
				} else {
					leave()
				}
				if p.Len() > 16 {
					t.Errorf("%d places are taken", p.Len())
				}
			}
		})
	}
	all.Wait()
	if p.Len() != 0 {
		t.Errorf("all have left, and %d places are taken", p.Len())
	}
}

// TestNew refuses limits by which nobody could wait.
func TestNew(t *testing.T) {
	t.Parallel()
	for _, l := range []places.Limits{{}, {Holder: 1, Purpose: 1}, {All: 1, Purpose: 1}, {All: 1, Holder: 1}, {All: -1, Holder: 1, Purpose: 1}} {
		if _, err := places.New(l); err == nil {
			t.Errorf("%+v has places", l)
		}
	}
}

// BenchmarkTake comes where all places are taken, each by another holder, which is what costs most.
func BenchmarkTake(b *testing.B) {
	p := build(b, places.Limits{All: 4096, Holder: 64, Purpose: 2})
	for i := range 4096 {
		p.Take(b.Context(), fmt.Sprint(i), fmt.Sprint(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		name := fmt.Sprint("n", i)
		p.Take(b.Context(), name, name)
	}
}
