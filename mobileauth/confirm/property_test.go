// SPDX-License-Identifier: Apache-2.0

package confirm_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/payer"
)

// TestAtMostOncePerApproval: whatever clients, phone, clock, faults of the store and restarts do, and in whatever order, on two
// nodes over one store: a request passes only by an approval of that very request, and by each approval at most once.
func TestAtMostOncePerApproval(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 0)
		m := &model{w: w, nodes: []*payer.Node{w.Node, w.Join()}, of: map[string]string{}, approved: map[string]bool{}, passed: map[string]int{}, back: map[string]bool{}}
		rt.Repeat(map[string]func(*rapid.T){
			"ask": m.ask, "answer": m.answer, "redeem": m.redeem, "storm": m.storm, "restart": m.restart, "take back": m.takeBack,
			"time": func(rt *rapid.T) {
				w.Clock.Advance(time.Duration(rapid.IntRange(1, 70).Draw(rt, "seconds")) * time.Second)
			},
			"": func(rt *rapid.T) {
				for id, times := range m.passed {
					if times > 1 || !m.approved[id] || m.back[id] && times > 0 {
						rt.Fatalf("by %s, approved %v, taken back %v, %d requests pass", id, m.approved[id], m.back[id], times)
					}
				}
			},
		})
	})
}

// bodies are those of the requests that there are.
var bodies = []string{`{"amount":1}`, `{"amount":2}`, `{"amount":1} `}

// model is what must have happened.
type model struct {
	w        *world
	nodes    []*payer.Node
	ids      []string
	of       map[string]string // the body of the request that an operation is about
	approved map[string]bool
	passed   map[string]int
	back     map[string]bool
}

func about(body string) confirm.Question {
	return question(func(q *confirm.Question) { q.Binding = confirm.Bind(transfer(body), nil) })
}

func (m *model) node(rt *rapid.T) *payer.Node { return rapid.SampledFrom(m.nodes).Draw(rt, "node") }

func (m *model) body(rt *rapid.T) string { return rapid.SampledFrom(bodies).Draw(rt, "body") }

func (m *model) id(rt *rapid.T) string {
	if len(m.ids) == 0 {
		rt.Skip("nothing was asked")
	}
	return rapid.SampledFrom(m.ids).Draw(rt, "operation")
}

func (m *model) ask(rt *rapid.T) {
	body := m.body(rt)
	o, created, err := m.node(rt).Start(m.w.T.Context(), about(body))
	if err != nil {
		return // the user has enough
	}
	if was, known := m.of[o.ID]; created == known || known && was != body {
		rt.Fatalf("%q is asked about by %s, created %v, which is about %q", body, o.ID, created, was)
	}
	if created {
		m.ids, m.of[o.ID] = append(m.ids, o.ID), body
	}
}

func (m *model) answer(rt *rapid.T) {
	id := m.id(rt)
	decision := rapid.SampledFrom([]envelope.Decision{envelope.Approve, envelope.Approve, envelope.Deny}).Draw(rt, "decision")
	if m.w.Answer(id, decision) == nil && decision == envelope.Approve {
		m.approved[id] = true
	}
}

// redeem comes with an operation and a request, which need not go together, to a store that may fail.
func (m *model) redeem(rt *rapid.T) {
	id, body := m.id(rt), m.body(rt)
	fault := rapid.SampledFrom([]*storagetest.Fault{
		nil, nil, {Op: storagetest.OnUpdate, Nth: 1, Err: payer.ErrDown}, {Op: storagetest.OnCommit, Nth: 1, Err: payer.ErrDown},
	}).Draw(rt, "fault")
	if fault != nil {
		m.w.DB.Inject(*fault)
		defer m.w.DB.Clear()
	}
	q := about(body)
	r, err := m.node(rt).Redeem(m.w.T.Context(), id, q.Owner, q.Binding)
	if err != nil || r.Code != operation.Accepted {
		return
	}
	if m.of[id] != body {
		rt.Fatalf("%q passes by an approval of %q", body, m.of[id])
	}
	m.passed[id]++
}

// takeBack takes back a question or its approval while requests come with it.
func (m *model) takeBack(rt *rapid.T) {
	id := m.id(rt)
	q := about(m.of[id])
	through := make([]bool, rapid.IntRange(0, 3).Draw(rt, "requests"))
	var back error
	errs := mobiletest.Together(len(through)+1, func(i int) error {
		node := m.nodes[i%len(m.nodes)]
		if i == len(through) {
			_, back = node.Operations.TakeBack(m.w.T.Context(), id, "withdrawn")
			return nil
		}
		r, err := node.Redeem(m.w.T.Context(), id, q.Owner, q.Binding)
		through[i] = err == nil && r.Code == operation.Accepted
		return err
	})
	if err := errors.Join(errs...); err != nil || back != nil && !errors.Is(back, operation.ErrTransition) {
		rt.Fatalf("%v, %v", err, back)
	}
	m.count(id, through)
	m.back[id] = m.back[id] || back == nil
}

// storm comes with the same operation and request many times at once, on all nodes.
func (m *model) storm(rt *rapid.T) {
	id := m.id(rt)
	q := about(m.of[id])
	through := make([]bool, 6)
	mobiletest.Together(len(through), func(i int) error {
		r, err := m.nodes[i%len(m.nodes)].Redeem(m.w.T.Context(), id, q.Owner, q.Binding)
		through[i] = err == nil && r.Code == operation.Accepted
		return err
	})
	m.count(id, through)
}

func (m *model) count(id string, through []bool) {
	for _, passed := range through {
		if passed {
			m.passed[id]++
		}
	}
}

// restart has a node begin anew, with nothing but what is stored.
func (m *model) restart(rt *rapid.T) {
	m.nodes[rapid.IntRange(0, len(m.nodes)-1).Draw(rt, "which")] = m.w.Join()
}
