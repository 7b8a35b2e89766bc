// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// modelDevice is what the model knows of a device.
type modelDevice struct {
	id, user   string
	status     handset.Status
	transferOf *modelDevice
	until      time.Time // of a pending one
	phone      *phone
}

// modelRegistration is what the model knows of a registration.
type modelRegistration struct {
	id, user, code    string
	state             operation.State
	deadline          time.Time
	proofed           bool
	transferOf        *modelDevice
	tries, digitTries int
	device            *modelDevice
	phone             *phone
}

// model says by the words of the documentation what becomes of registrations and devices.
type model struct {
	*world
	mode          enrolment.Mode
	people        []string
	list          []*modelDevice
	registrations []*modelRegistration
}

func (m *model) ended(d *modelDevice) bool {
	return d.status == handset.Pending && !m.clock.Now().Before(d.until)
}

// settled are the devices of a user that are there and were confirmed, but the given ones.
func (m *model) settled(user string, but ...*modelDevice) []*modelDevice {
	var found []*modelDevice
	for _, d := range m.list {
		if d.user == user && d.status != handset.Pending && d.status != handset.Deactivated && !slices.Contains(but, d) {
			found = append(found, d)
		}
	}
	return found
}

func inHand(devices []*modelDevice) bool {
	return slices.ContainsFunc(devices, func(d *modelDevice) bool { return d.status != handset.Lost && d.status != handset.Stolen })
}

func end(devices ...*modelDevice) {
	for _, d := range devices {
		d.status = handset.Deactivated
	}
}

func (m *model) open(r *modelRegistration) bool {
	if r.state.Open() && !m.clock.Now().Before(r.deadline) {
		r.state = operation.Expired
	}
	return r.state.Open()
}

// place is what becomes of a device that is confirmed.
func (m *model) place(r *modelRegistration) {
	d := r.device
	rivals := m.settled(d.user, d, r.transferOf)
	switch {
	case d.status != handset.Pending:
		r.state = operation.Failed
		return
	case m.mode == enrolment.Single && inHand(rivals):
		r.state = operation.Failed
		end(d)
		return
	case r.transferOf != nil, !r.proofed && len(m.settled(d.user, d)) > 0:
		d.status = handset.Quarantined
	default:
		d.status = handset.Active
		if m.mode != enrolment.Multiple {
			end(rivals...)
		}
	}
	r.state = operation.Approved
}

// let makes a quarantined device active.
func (m *model) let(d *modelDevice) {
	if m.mode != enrolment.Multiple {
		end(m.settled(d.user, d)...)
	} else if d.transferOf != nil {
		end(d.transferOf)
	}
	d.status = handset.Active
}

// agree compares an error with what the model says.
func agree(rt *rapid.T, what string, err error, ok bool, refusals ...error) {
	if ok && err == nil || !ok && slices.ContainsFunc(refusals, func(want error) bool { return errors.Is(err, want) }) {
		return
	}
	rt.Fatalf("%s: %v, and the model says %v", what, err, ok)
}

func (m *model) begin(rt *rapid.T) {
	user := rapid.SampledFrom(m.people).Draw(rt, "user")
	proofed := rapid.Bool().Draw(rt, "proofed")
	b, _, err := m.Start(m.ctx(), enrolment.Start{UserID: user, Application: "bank", Proofed: proofed})
	if errors.Is(err, operation.ErrTooManyOpen) {
		return
	}
	ok := m.mode != enrolment.Single || !inHand(m.settled(user))
	agree(rt, "starting", err, ok, enrolment.ErrSingle)
	if ok {
		m.registrations = append(m.registrations, &modelRegistration{
			id: b.Operation.ID, user: user, code: b.Code, state: operation.Pending, deadline: b.Expires, proofed: proofed,
		})
	}
}

func (m *model) registration(rt *rapid.T) *modelRegistration {
	if len(m.registrations) == 0 {
		rt.Skip("nothing is begun")
	}
	return rapid.SampledFrom(m.registrations).Draw(rt, "registration")
}

func (m *model) pick(rt *rapid.T, what string) *modelDevice {
	if len(m.list) == 0 {
		rt.Skip("nobody is there")
	}
	return rapid.SampledFrom(m.list).Draw(rt, what)
}

func (m *model) send(rt *rapid.T) {
	r := m.registration(rt)
	p := m.phone(r.code)
	wrong := rapid.IntRange(0, 3).Draw(rt, "wrong") == 0
	if wrong {
		p.said.MAC[3] ^= 1
	}
	answer, err := m.register(p)
	if errors.Is(err, handset.ErrLimit) {
		return
	}
	open := m.open(r)
	crowded := m.mode == enrolment.Single && inHand(m.settled(r.user, r.transferOf))
	ok := open && !wrong && r.device == nil && !crowded
	agree(rt, "registering", err, ok, envelope.ErrRefused)
	if open && wrong {
		if r.tries++; r.tries == enrolment.CodeTries {
			r.state = operation.Failed
			if r.device != nil && r.device.status == handset.Pending {
				end(r.device)
			}
		}
	}
	if !ok {
		return
	}
	r.device = &modelDevice{
		id: answer.Device, user: r.user, status: handset.Pending, transferOf: r.transferOf, until: r.deadline, phone: p,
	}
	r.state, r.phone, m.list = operation.Delivered, p, append(m.list, r.device)
	if r.transferOf != nil {
		m.place(r)
	}
}

func (m *model) confirm(rt *rapid.T) {
	r := m.registration(rt)
	wrong := rapid.IntRange(0, 3).Draw(rt, "wrong") == 0
	digits := "123456"
	if r.phone != nil {
		if digits = r.phone.digits(r.id); wrong {
			digits = other(digits)
		}
	}
	c, err := m.Confirm(m.ctx(), r.id, digits)
	must(m.t, err)
	switch {
	case !m.open(r):
	case r.device == nil:
	case wrong:
		if r.digitTries++; r.digitTries == enrolment.DigitTries {
			r.state = operation.Failed
			if r.device.status == handset.Pending {
				end(r.device)
			}
		}
	default:
		m.place(r)
	}
	if c.Operation.State != r.state {
		rt.Fatalf("the operation is %s, want %s: %+v", c.Operation.State, r.state, c)
	}
}

func (m *model) reject(rt *rapid.T) {
	r := m.registration(rt)
	_, err := m.Reject(m.ctx(), r.id)
	ok := m.open(r)
	agree(rt, "rejecting", err, ok, enrolment.ErrTransition)
	if ok {
		r.state = operation.Denied
		if r.device != nil && r.device.status == handset.Pending {
			end(r.device)
		}
	}
}

func (m *model) release(rt *rapid.T) {
	d := m.pick(rt, "device")
	_, err := m.Release(m.ctx(), d.id)
	ok := d.status == handset.Active || d.status == handset.Quarantined
	agree(rt, "releasing", err, ok, enrolment.ErrTransition, handset.ErrNotFound)
	if d.status == handset.Quarantined {
		m.let(d)
	}
}

func (m *model) decide(rt *rapid.T) {
	by, target := m.pick(rt, "by"), m.pick(rt, "target")
	decision := rapid.SampledFrom([]envelope.Decision{envelope.Approve, envelope.Deny}).Draw(rt, "decision")
	v, err := m.judge(handset.Device{ID: by.id}, by.phone, target.id, decision)
	heard := by.status == handset.Active
	agree(rt, "judging", err, heard, handset.ErrUnusable, handset.ErrNotFound)
	good := heard && target.status == handset.Quarantined && target.user == by.user && (target.transferOf == nil || target.transferOf == by)
	if v.OK != good {
		rt.Fatalf("the verdict is %+v, the model says %v", v, good)
	}
	switch {
	case good && decision == envelope.Approve:
		m.let(target)
	case good:
		end(target)
	}
}

func (m *model) move(rt *rapid.T) {
	d := m.pick(rt, "device")
	msg, proof := m.says(handset.Device{ID: d.id}, d.phone, envelope.Statement{Purpose: envelope.PurposeTransfer}, secret(1))
	answer, _, err := m.Transfer(m.t.Context(), msg, proof)
	if errors.Is(err, operation.ErrTooManyOpen) {
		return
	}
	// With single a device that stands beside others cannot be moved.
	ok := d.status == handset.Active && (m.mode != enrolment.Single || !inHand(m.settled(d.user, d)))
	agree(rt, "moving", err, ok, handset.ErrUnusable, handset.ErrNotFound, enrolment.ErrSingle)
	if !ok {
		return
	}
	i, err := envelope.ParseInvitation(answer.Invitation)
	must(m.t, err)
	m.registrations = append(m.registrations, &modelRegistration{
		id: i.Operation, user: d.user, code: i.Code.Text(), state: operation.Pending, transferOf: d,
		deadline: m.op(i.Operation).AnswerBy,
	})
}

func (m *model) help(rt *rapid.T) {
	d := m.pick(rt, "device")
	to := rapid.SampledFrom([]handset.Status{handset.Locked, handset.Lost, handset.Deactivated}).Draw(rt, "status")
	if m.ended(d) || !d.status.May(to) {
		return
	}
	m.bring(d.id, to)
	d.status = to
}

// compare asks for everything that the model knows.
func (m *model) compare(rt *rapid.T) {
	for _, r := range m.registrations {
		m.open(r)
		if got := m.op(r.id); got.State != r.state {
			rt.Fatalf("registration %s is %s, want %s", r.id, got.State, r.state)
		}
	}
	for _, d := range m.list {
		got, err := m.world.devices.Get(m.t.Context(), d.id)
		switch {
		case errors.Is(err, handset.ErrNotFound):
			if !m.ended(d) && d.status != handset.Deactivated {
				rt.Fatalf("device %s is gone, want %s", d.id, d.status)
			}
		case err != nil:
			rt.Fatal(err)
		case got.Status != d.status || m.ended(d):
			rt.Fatalf("device %s is %s, want %s", d.id, got.Status, d.status)
		}
	}
	for _, user := range m.people {
		active := 0
		for _, d := range m.settled(user) {
			if d.status == handset.Active {
				active++
			}
		}
		if m.mode != enrolment.Multiple && active > 1 {
			rt.Fatalf("user %s has %d active devices with %s", user, active, m.mode)
		}
	}
}

// TestRegistrationsBehaveLikeTheModel lets people, phones, back ends and operators do anything in any order, over stores
// whose closures run twice and whose commits fail now and then.
func TestRegistrationsBehaveLikeTheModel(t *testing.T) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			// One store for all: each check has users of its own.
			w, checks := newWorld(t, i), 0
			rapid.Check(t, func(rt *rapid.T) {
				checks++
				mode := rapid.SampledFrom([]enrolment.Mode{enrolment.Single, enrolment.Override, enrolment.Multiple}).Draw(rt, "mode")
				w.policy.PushMode = mode
				m := &model{mode: mode, world: w, people: []string{fmt.Sprintf("usr_%d_1", checks), fmt.Sprintf("usr_%d_2", checks)}}
				rt.Repeat(map[string]func(*rapid.T){
					"begin": m.begin, "send": m.send, "confirm": m.confirm, "reject": m.reject, "release": m.release,
					"decide": m.decide, "move": m.move, "help": m.help,
					"wait": func(rt *rapid.T) {
						m.clock.Advance(time.Duration(rapid.IntRange(1, 6).Draw(rt, "minutes")) * time.Minute)
					},
					"fail": func(rt *rapid.T) {
						r := m.registration(rt)
						m.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: errDown})
						if _, err := m.Reject(m.ctx(), r.id); err == nil {
							rt.Fatal("a commit that failed is a success")
						}
						m.db.Clear()
					},
					"": m.compare,
				})
			})
		})
	}
}
