// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// Lasting is how long a request is under way before it is one that lasts. What takes less was decided when it came: to cut it would
	// leave its sender not knowing what became of it.
	Lasting = 2 * time.Second
	// Interval is how often [Table.Run] looks at the requests under way.
	Interval = 500 * time.Millisecond
	// Checked is how long it is believed, of a request that rests on a session, that the session still lives.
	Checked = 5 * time.Minute
	// Patience is how long beyond that a request goes on while the store does not say whether the session lives.
	Patience = 30 * time.Second
	// Again is how long after a question that was not answered the next one is put.
	Again = 5 * time.Second
	// Answer is how long the store is waited for with one question.
	Answer = 2 * time.Second

	// Round is how long questions are put, to a store that is slow; those that are left over are put in a later round.
	Round = 10 * time.Second

	askers = 8 // questions to the store at once
)

// Wake has [Table.Run] look at the requests at once.
func (t *Table) Wake() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run looks at the requests under way, every [Interval] and whenever it is woken, until ctx ends. Then it ends them all:
// nobody judges them any more. A store that does not answer delays no judgement: it is asked meanwhile, one round at a time.
func (t *Table) Run(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	var round sync.WaitGroup
	defer round.Wait()
	over, asking := make(chan struct{}, 1), false
	for {
		select {
		case <-ctx.Done():
			t.close()
			return
		case <-over:
			asking = false
			continue
		case <-ticker.C:
		case <-t.wake:
		}
		now := t.now()
		questions := t.judge(now, !asking)
		if len(questions) == 0 {
			continue
		}
		asking = true
		round.Go(func() {
			t.ask(ctx, questions, now)
			over <- struct{}{}
		})
	}
}

func (t *Table) close() {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		s.closed = true
		for e := s.first; e != nil; e = e.next {
			t.endLocked(e, Closed)
		}
		s.mu.Unlock()
	}
}

func (t *Table) endLocked(e *Entry, reason string) {
	if !e.ended {
		t.observe(reason)
	}
	e.failLocked()
}

// Sweep judges every request under way, and ends those that would not be let through any more. It waits for the store, a
// [Round] at most.
func (t *Table) Sweep(ctx context.Context) {
	now := t.now()
	t.ask(ctx, t.judge(now, true), now)
}

// doubt is a request that rests on a session of which it is not known whether it lives.
type doubt struct {
	entry *Entry
	shard *shard
}

// question is about one session, for all requests that rest on it.
type question struct {
	alive func(ctx context.Context, session string) error
	about []doubt
}

// judge ends what is to be ended by what is known here. Where somebody is to ask for what is not, it returns the questions, by session.
func (t *Table) judge(now time.Time, ask bool) map[string]*question {
	var questions map[string]*question
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		for e := s.first; e != nil; e = e.next {
			if !e.lastsLocked(now) {
				continue
			}
			doubtful := e.doubtfulLocked(now)
			if reason := e.judgeLocked(now); reason != "" {
				t.endLocked(e, reason)
			} else if doubtful && ask {
				e.asked = now.UnixMicro()
				questions = add(questions, doubt{e, s})
			}
		}
		s.mu.Unlock()
	}
	return questions
}

func add(to map[string]*question, d doubt) map[string]*question {
	if to == nil {
		to = map[string]*question{}
	}
	session := d.entry.watch.Principal.SessionID
	if to[session] == nil {
		to[session] = &question{alive: d.entry.terms.Alive}
	}
	to[session].about = append(to[session].about, d)
	return to
}

// lastsLocked reports whether a request has been under way for [Lasting] since somebody first looked at it, which is soon.
func (e *Entry) lastsLocked(now time.Time) bool {
	if e.seen == 0 {
		e.seen = now.UnixMicro()
	}
	return now.UnixMicro()-e.seen >= Lasting.Microseconds()
}

// judgeLocked returns why a request is to be ended; empty when it may go on.
func (e *Entry) judgeLocked(now time.Time) string {
	p := e.watch.Principal
	switch {
	case e.ended:
		return Closed // the reason has been told
	case e.terms.Dead != nil && p.Issuer == e.terms.Issuer && e.terms.Dead.Revoked(p):
		return Revoked
	case e.doubted != 0 && now.UnixMicro()-e.doubted >= Patience.Microseconds():
		return Unanswered
	case e.terms.Windowless:
		return ""
	}
	if e.until == 0 {
		e.until = window(e.watch)
	}
	if now.UnixMicro() >= e.until {
		return Expired
	}
	return ""
}

// window returns the first moment at which the gate would not let the request through any more, as far as time alone decides.
func window(w Watch) int64 {
	until := int64(math.MaxInt64)
	if fresh, limited := w.Policy.FreshUntil(w.Principal); limited {
		until = fresh.UnixMicro() + 1
	}
	if exp := w.Principal.ExpiresAt; !exp.IsZero() {
		until = min(until, exp.UnixMicro())
	}
	return until
}

// doubtfulLocked reports whether the store is to be asked for the session that a request rests on, and notes since when. The
// doubt begins when somebody looks: a process that was stopped for an hour asks before it ends anything.
func (e *Entry) doubtfulLocked(now time.Time) bool {
	if !e.watch.Session || e.terms.Alive == nil {
		return false
	}
	if e.checked == 0 { // the gate has asked, or believed the cookie since it was made
		e.checked = e.watch.Principal.IssuedAt.UnixMicro()
	}
	if now.UnixMicro()-e.checked < Checked.Microseconds() {
		return false
	}
	if e.doubted == 0 {
		e.doubted = now.UnixMicro()
	}
	return now.UnixMicro()-e.asked >= Again.Microseconds()
}

// ask puts each question once. What the store has not answered by then stays in doubt.
func (t *Table) ask(ctx context.Context, questions map[string]*question, now time.Time) {
	if len(questions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, Round)
	defer cancel()
	sessions := make(chan string)
	var all sync.WaitGroup
	for range min(askers, len(questions)) {
		all.Go(func() {
			for session := range sessions {
				if ctx.Err() == nil { // the round may have ended while the question waited for somebody to put it
					t.settle(questions[session].about, put(ctx, questions[session], session), now)
				}
			}
		})
	}
	for session := range questions {
		if ctx.Err() != nil {
			break
		}
		sessions <- session
	}
	close(sessions)
	all.Wait()
}

func put(ctx context.Context, q *question, session string) error {
	ctx, cancel := context.WithTimeout(ctx, Answer)
	defer cancel()
	return q.alive(ctx, session)
}

// settle has an answer take effect on all requests that it is about.
func (t *Table) settle(about []doubt, answer error, now time.Time) {
	gone := errors.Is(answer, storage.ErrNotFound)
	if answer != nil && !gone {
		return
	}
	for _, d := range about {
		d.shard.mu.Lock()
		switch {
		case d.entry.shard == nil: // it has left meanwhile
		case gone:
			t.endLocked(d.entry, Ended)
		default:
			d.entry.checked, d.entry.doubted = now.UnixMicro(), 0
		}
		d.shard.mu.Unlock()
	}
}
