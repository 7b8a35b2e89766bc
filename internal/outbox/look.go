// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// lane is the due entries of one receiver.
type lane struct {
	kind, prefix string
	room         int // for deliveries
}

// survey is one look at the store.
type survey struct {
	now   time.Time
	back  time.Duration // how far before its floor a lane is looked at; negative is from its beginning
	free  int
	ready []string
	more  bool
	next  time.Time
	bad   int // lines that cannot be read
}

// find returns the lines that are due and for which there is room, and how long nothing else will be.
func (l *loop) find(ctx context.Context) (ready []string, rest time.Duration, err error) {
	now := l.config.Now()
	s := survey{now: now, back: overlap, next: now.Add(Interval)}
	full := l.lastFull.IsZero() || now.Sub(l.lastFull) >= fullEvery || now.Before(l.lastFull)
	wide := now.Sub(l.last) >= Interval || now.Before(l.last)
	switch {
	case full:
		s.back = -1
	case wide:
		s.back = wideOverlap
	}
	err = l.config.DB.View(ctx, func(tx storage.Tx) error {
		lanes, free, err := l.lanes(tx, &s)
		if err != nil {
			return err
		}
		s.free = free
		for i := range lanes {
			if err := l.survey(tx, &s, lanes[(i+l.turn)%len(lanes)]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("looking for items of the outbox: %w", err)
	}
	l.turn++
	if full {
		l.lastFull = now
		l.pace.forget()
		l.claims.forget(now)
		if s.bad > 0 {
			l.config.Logger.ErrorContext(ctx, "lines of the outbox are damaged and left where they are", "lines", s.bad)
		}
	}
	if full || wide {
		l.last = now
	}
	l.mu.Lock()
	l.more = s.more
	l.mu.Unlock()
	return s.ready, max(0, s.next.Sub(now)), nil
}

// lanes returns the lanes whose kind has a handler, and how many places are free. A lane that rests has no room.
func (l *loop) lanes(tx storage.Tx, s *survey) (lanes []lane, free int, err error) {
	busy := map[string]int{}
	l.mu.Lock()
	for lane, until := range l.rests {
		if !s.now.Before(until) {
			delete(l.rests, lane)
			continue
		}
		busy[lane] = l.config.Places
		s.next = earlier(s.next, until)
	}
	for _, lane := range l.under {
		busy[lane]++
	}
	free = l.config.Places - len(l.under)
	l.mu.Unlock()
	for item, err := range tx.Scan(lanePrefix, "", 0) {
		if err != nil {
			return nil, 0, err
		}
		kind, name, _ := strings.Cut(strings.TrimPrefix(item.Key, lanePrefix), "/")
		if _, ok := l.handler(kind); ok {
			prefix := laneKey(kind, name)
			if room := min(l.pace.worth(prefix), (l.config.Places+1)/2) - busy[prefix]; room > 0 {
				lanes = append(lanes, lane{kind: kind, prefix: prefix, room: room})
			} else {
				s.more = true
			}
		}
	}
	return lanes, free, nil
}

// survey looks at one lane. Lines that are under way are passed over.
func (l *loop) survey(tx storage.Tx, s *survey, lane lane) error {
	room := min(lane.room, s.free)
	floor, looked := s.now, 0
	for item, err := range tx.Scan(lane.prefix, l.from(s, lane.prefix), 0) {
		if err != nil {
			return err
		}
		at, id, ok := dueAt(lane.prefix, lane.kind, item.Key)
		if !ok {
			s.bad++
			continue
		}
		if looked == 0 {
			floor = at
		}
		if at.After(s.now) {
			s.next = earlier(s.next, at)
			break
		}
		if looked++; room <= 0 || looked > maxLooked {
			s.more = true
			break
		}
		free, until, err := l.available(tx, id, s.now)
		switch {
		case err != nil:
			s.bad++ // the others are delivered all the same
		case free:
			s.ready = append(s.ready, id)
			room--
			s.free--
		case !until.IsZero():
			s.next = earlier(s.next, until)
		}
	}
	l.floors[lane.prefix] = earlier(floor, s.now)
	return nil
}

// from returns the key behind which a look at a lane begins.
func (l *loop) from(s *survey, prefix string) string {
	floor, ok := l.floors[prefix]
	if !ok || s.back < 0 {
		return ""
	}
	return fmt.Sprintf("%s%013d", prefix, max(0, floor.Add(-s.back).UnixMilli()))
}

// available reports whether a line is nobody's. Until when it is another loop's it tells too.
func (l *loop) available(tx storage.Tx, id string, now time.Time) (free bool, until time.Time, err error) {
	l.mu.Lock()
	_, mine := l.under[id]
	l.mu.Unlock()
	if mine {
		return false, until, nil
	}
	row, ok, err := l.lines.Find(tx, id)
	if err != nil || !ok {
		return false, until, err
	}
	until, taken := l.claims.taken(&row, now)
	return !taken, until, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
