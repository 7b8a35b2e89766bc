// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// modelOp is an operation as the documentation has it.
type modelOp struct {
	real     operation.Operation // as it was started
	state    operation.State
	reason   string
	tries    int
	by       string
	answerBy time.Time
	redeemBy time.Time
	// accepted is the answer that counted.
	accepted *operation.Answer
	// back says that the approval was taken back.
	back bool

	way modelWay
}

// modelUser is what counts for and against a user.
type modelUser struct {
	factors, numbers int
	codes            int
	blockedUntil     time.Time
	barred, notMe    bool
	pushes           []time.Time
}

type modelPhone struct {
	*phone
	user     string
	status   handset.Status
	failures int
}

// model plays random histories against a store. It knows the words of the documentation and nothing of the code.
type model struct {
	w      *world
	users  map[string]*modelUser
	phones []*modelPhone
	ops    []*modelOp
	keys   map[string]*modelOp
}

func newModel(w *world, run string) *model {
	m := &model{w: w, users: map[string]*modelUser{}, keys: map[string]*modelOp{}}
	for _, user := range []string{"usr_" + run + "a", "usr_" + run + "a", "usr_" + run + "b"} {
		m.users[user] = &modelUser{}
		m.phones = append(m.phones, &modelPhone{phone: w.phone(user), user: user, status: handset.Active})
	}
	return m
}

func (m *model) now() time.Time { return m.w.clock.Now() }

// settle lets time have its effect.
func (m *model) settle() {
	for _, o := range m.ops {
		if o.open() && !m.now().Before(o.answerBy) {
			o.state, o.reason = operation.Expired, ""
		}
	}
}

func (o *modelOp) open() bool { return o.state == operation.Pending || o.state == operation.Delivered }

func (m *model) openOf(user string) (ids []string) {
	for _, o := range m.ops {
		if o.real.UserID == user && o.open() {
			ids = append(ids, o.real.ID)
		}
	}
	return ids
}

func (u *modelUser) blocked(now time.Time) bool { return u.barred || now.Before(u.blockedUntil) }

// fault draws one that strikes the next change, and says whether it is done all the same.
func (m *model) fault(rt *rapid.T) (strikes, done bool) {
	switch rapid.IntRange(0, 9).Draw(rt, "fault") {
	case 0:
		m.w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: errDown, Nth: 1})
		return true, false
	case 1:
		m.w.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
		return true, true
	}
	return false, true
}

// struck checks that an error came where a fault was injected, and nowhere else.
func (m *model) struck(rt *rapid.T, strikes bool, err error) {
	m.w.db.Clear()
	if strikes != (err != nil) {
		rt.Fatalf("fault injected: %t, error: %v", strikes, err)
	}
}

func (m *model) start(rt *rapid.T) {
	p := rapid.SampledFrom(m.phones).Draw(rt, "phone")
	user := m.users[p.user]
	start := question(p.user)
	start.Methods = [][]string{{"possession"}, {"pin"}, {"biometric"}}[rapid.IntRange(0, 2).Draw(rt, "method")]
	start.NumberMatch = []int{operation.NoNumber, 2}[rapid.IntRange(0, 1).Draw(rt, "number")]
	start.TimeToLive = time.Duration(rapid.IntRange(1, 120).Draw(rt, "ttl")) * time.Second
	if rapid.Bool().Draw(rt, "targeted") {
		start.DeviceID = p.id
	}
	if rapid.IntRange(0, 3).Draw(rt, "keyed") == 0 {
		start.IdempotencyKey = p.user + rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "key")
	}
	asked := fmt.Sprint(start.UserID, start.DeviceID, start.Methods, start.NumberMatch, start.TimeToLive)
	was := m.keys[start.IdempotencyKey]
	if was != nil && m.now().Sub(was.real.CreatedAt) >= 24*time.Hour {
		was = nil // forgotten
	}
	able := slices.ContainsFunc(m.phones, func(q *modelPhone) bool {
		return q.user == p.user && q.status == handset.Active && (start.DeviceID == "" || start.DeviceID == q.id)
	})
	var want error
	switch {
	case was != nil && was.real.Traceparent != asked:
		want = operation.ErrIdempotency
	case was != nil:
	case !able:
		want = operation.ErrDevice
	case user.blocked(m.now()):
		want = operation.ErrBlocked
	case len(m.openOf(p.user)) >= 5:
		want = operation.ErrTooManyOpen
	}
	start.Traceparent = asked[:min(len(asked), 64)]
	strikes, done := false, true
	if want == nil && start.IdempotencyKey != "" { // whose reply may be lost, since it can be asked for again
		strikes, done = m.fault(rt)
	}
	o, created, err := m.w.Start(m.w.t.Context(), start)
	if strikes {
		m.struck(rt, strikes, err)
		if !done {
			return
		}
		if o, _, err = m.w.Start(m.w.t.Context(), start); err != nil {
			rt.Fatalf("asked again: %v", err)
		}
		created = was == nil
	}
	if !errors.Is(err, want) || want == nil && (err != nil || created != (was == nil)) {
		rt.Fatalf("start: created %t, %v, want %v", created, err, want)
	}
	if want != nil {
		return
	}
	if was != nil {
		if o.ID != was.real.ID {
			rt.Fatalf("the key of %s leads to %s", was.real.ID, o.ID)
		}
		return
	}
	if held := user.push(m.now()); held != o.Push {
		rt.Fatalf("push %q, want %q", o.Push, held)
	}
	fresh := &modelOp{real: o, state: operation.Pending, answerBy: m.now().Add(start.TimeToLive)}
	fresh.real.Traceparent = asked
	m.ops = append(m.ops, fresh)
	if start.IdempotencyKey != "" {
		m.keys[start.IdempotencyKey] = fresh
	}
}

func (u *modelUser) push(now time.Time) string {
	u.pushes = slices.DeleteFunc(u.pushes, func(at time.Time) bool { return now.Sub(at) >= 24*time.Hour })
	recent := 0
	for _, at := range u.pushes {
		if now.Sub(at) < time.Minute {
			recent++
		}
	}
	switch {
	case u.notMe:
		return operation.PushHeldNotMe
	case recent >= 5 || len(u.pushes) >= 10:
		return operation.PushHeldBudget
	}
	u.pushes = append(u.pushes, now)
	return operation.PushQueued
}

// pick draws an operation, mostly one that is open.
func (m *model) pick(rt *rapid.T) *modelOp {
	if len(m.ops) == 0 {
		rt.Skip("nothing was asked")
	}
	open := slices.DeleteFunc(slices.Clone(m.ops), func(o *modelOp) bool { return !o.open() })
	if len(open) > 0 && rapid.IntRange(0, 4).Draw(rt, "any") > 0 {
		return rapid.SampledFrom(open).Draw(rt, "op")
	}
	return rapid.SampledFrom(m.ops).Draw(rt, "op")
}

func (m *model) deliver(rt *rapid.T) {
	o, p := m.pick(rt), rapid.SampledFrom(m.phones).Draw(rt, "phone")
	meant := p.status == handset.Active && p.user == o.real.UserID && (o.real.DeviceID == "" || o.real.DeviceID == p.id)
	_, err := m.w.Deliver(m.w.t.Context(), o.real.ID, p.id)
	switch {
	case o.way.channel == operation.BySMS: // to no phone, whether or not it was meant for this one before
		if !errors.Is(err, operation.ErrTransition) && (meant || !errors.Is(err, operation.ErrDevice)) {
			rt.Fatalf("delivered what goes over sms: %v", err)
		}
	case !meant:
		if !errors.Is(err, operation.ErrDevice) {
			rt.Fatalf("delivered to a device it is not meant for: %v", err)
		}
	case !o.open():
		if !errors.Is(err, operation.ErrTransition) {
			rt.Fatalf("delivered when it was %s: %v", o.state, err)
		}
	case err != nil:
		rt.Fatalf("delivering: %v", err)
	default:
		o.state, o.way.late = operation.Delivered, false
	}
}

func (m *model) cancel(rt *rapid.T) {
	o := m.pick(rt)
	cancel, may := m.w.Cancel, o.open()
	if rapid.Bool().Draw(rt, "take back") {
		cancel, may = m.w.TakeBack, may || o.state == operation.Approved && m.now().Before(o.redeemBy)
	}
	strikes, done := false, true
	if may {
		strikes, done = m.fault(rt)
	}
	_, err := cancel(m.w.t.Context(), o.real.ID, "test")
	switch {
	case !may && o.state != operation.Cancelled:
		if !errors.Is(err, operation.ErrTransition) {
			rt.Fatalf("cancelled when it was %s: %v", o.state, err)
		}
	default:
		m.struck(rt, strikes, err)
		if done && may {
			o.back = !o.open()
			o.state, o.reason = operation.Cancelled, "test"
		}
	}
}

func (m *model) redeem(rt *rapid.T) {
	o := m.pick(rt)
	client := rapid.SampledFrom([]string{"portal", "portal", "other"}).Draw(rt, "client")
	want := operation.Accepted
	i := slices.IndexFunc(m.phones, func(p *modelPhone) bool { return p.id == o.by })
	switch {
	case client != "portal":
		want = operation.NotAllowed
	case o.state != operation.Approved || !m.now().Before(o.redeemBy):
		want = operation.Gone
	case o.way.channel == operation.BySMS:
	case m.phones[i].status != handset.Active:
		want = operation.NotAllowed
	}
	strikes, done := m.fault(rt)
	out, err := m.w.Redeem(m.w.t.Context(), o.real.ID, client)
	m.struck(rt, strikes, err)
	if !strikes && out.Code != want {
		rt.Fatalf("redeeming what is %s: %+v, want %s", o.state, out, want)
	}
	if done && want == operation.Accepted {
		o.state = operation.Redeemed
	}
}

// plan is an answer that is drawn and what is to become of it.
type plan struct {
	o              *modelOp
	p              *modelPhone
	approve        bool
	factor, number bool // sent and wrong
	bare           bool // no factor
	reason         string
	answer         operation.Answer
}

func (m *model) plan(rt *rapid.T, o *modelOp, p *modelPhone) plan {
	a := plan{o: o, p: p, approve: rapid.IntRange(0, 3).Draw(rt, "approve") > 0}
	if !a.approve {
		a.reason = rapid.SampledFrom([]string{"denied", "not_me", "incorrect_data"}).Draw(rt, "reason")
		a.answer = p.denial(o.real, a.reason)
		return a
	}
	a.bare = rapid.IntRange(0, 3).Draw(rt, "bare") == 0
	a.factor = !a.bare && rapid.IntRange(0, 2).Draw(rt, "wrong factor") == 0
	a.number = o.real.Number != "" && rapid.IntRange(0, 2).Draw(rt, "wrong number") == 0
	a.answer = p.approval(o.real, func(r *reply) {
		if a.bare {
			by("possession", p.phone)(r)
		}
		if a.factor {
			wrongPIN(r)
		}
		if a.number {
			r.statement.Number = other(o.real)
		}
	})
	return a
}

// expect follows an answer, and returns what its outcome has to be.
func (m *model) expect(a plan) (code operation.Code, remaining int) {
	o, p, user := a.o, a.p, m.users[a.p.user]
	switch {
	case p.status != handset.Active, p.user != o.real.UserID:
		return operation.NotAllowed, 0
	case o.way.channel == operation.BySMS:
		return operation.Gone, 0
	case o.real.DeviceID != "" && o.real.DeviceID != p.id:
		return operation.NotAllowed, 0
	case o.accepted != nil && o.by == p.id && o.accepted.Statement.Raw() == a.answer.Statement.Raw():
		return operation.Accepted, 0
	case !o.open():
		return operation.Gone, 0
	}
	if !a.approve {
		o.state, o.reason, o.by, o.accepted = operation.Denied, a.reason, p.id, &a.answer
		user.notMe = user.notMe || a.reason == "not_me"
		return operation.Accepted, 0
	}
	if user.blocked(m.now()) || a.bare && o.real.Methods[0] != "possession" {
		return operation.NotAllowed, 0
	}
	if !a.factor && !a.bare {
		p.failures = 0
	}
	if !a.factor && !a.number {
		o.state, o.by, o.accepted, o.redeemBy = operation.Approved, p.id, &a.answer, m.now().Add(time.Minute)
		user.pushes, user.notMe = nil, false
		if !a.bare {
			user.factors = 0
		}
		if !a.bare || o.real.Number != "" {
			user.numbers = 0
		}
		user.clear()
		return operation.Accepted, 0
	}
	return operation.Refused, m.wrong(a)
}

// wrong counts an answer that was, and returns how many are left.
func (m *model) wrong(a plan) int {
	o, p, user := a.o, a.p, m.users[a.p.user]
	o.tries++
	if a.factor {
		user.factors++
		p.failures++
	} else {
		user.numbers++
	}
	n := user.count(m.now())
	switch {
	case p.failures >= 5:
		o.state, o.reason, o.by = operation.Failed, operation.ReasonFactorLimit, p.id
		m.out(p, handset.Deactivated)
	case o.tries >= 3:
		o.state, o.reason, o.by = operation.Failed, operation.ReasonAttempts, p.id
	case n >= 5:
		o.state, o.reason, o.by = operation.Failed, operation.ReasonUserBlocked, p.id
	default:
		return min(3-o.tries, 5-n)
	}
	return 0
}

// out takes a device out, and cancels what only it could answer.
func (m *model) out(p *modelPhone, status handset.Status) {
	p.status = status
	for _, o := range m.ops {
		if o.open() && o.real.DeviceID == p.id {
			o.state, o.reason = operation.Cancelled, operation.ReasonDeviceRevoked
		}
	}
}

func (m *model) answer(rt *rapid.T) {
	o, p := m.pick(rt), rapid.SampledFrom(m.phones).Draw(rt, "phone")
	a := m.plan(rt, o, p)
	if o.accepted != nil && rapid.Bool().Draw(rt, "again") { // in a new message, as a phone that heard nothing would
		for _, q := range m.phones {
			if q.id == o.by {
				a = plan{o: o, p: q, approve: true, answer: *o.accepted}
			}
		}
		a.answer.Message = a.p.message()
	}
	strikes, done := m.fault(rt)
	out, err := m.w.Answer(m.w.t.Context(), a.answer)
	m.struck(rt, strikes, err)
	if !done {
		return
	}
	code, remaining := m.expect(a)
	if !strikes && (out.Code != code || out.Remaining != remaining) {
		rt.Fatalf("answering what is now %s: %+v, want %s with %d left", o.state, out, code, remaining)
	}
	if a.answer.Message.JTI = strings.Clone(a.answer.Message.JTI); !strikes && rapid.IntRange(0, 3).Draw(rt, "replayed") == 0 {
		if out, err := m.w.Answer(m.w.t.Context(), a.answer); err != nil || out.Code != operation.NotAllowed {
			rt.Fatalf("the same message again: %+v, %v", out, err)
		}
	}
}

// race sends a right approval and a denial at once. The model follows whoever won.
func (m *model) race(rt *rapid.T) {
	o := m.pick(rt)
	p, q := m.phones[0], m.phones[1]
	able := func(p *modelPhone) bool {
		return p.status == handset.Active && p.user == o.real.UserID && (o.real.DeviceID == "" || o.real.DeviceID == p.id)
	}
	if !o.open() || o.way.channel == operation.BySMS || !able(p) || !able(q) || m.users[p.user].blocked(m.now()) {
		rt.Skip("nobody to race")
	}
	plans := []plan{{o: o, p: p, approve: true, answer: p.approval(o.real)}, {o: o, p: q, reason: "denied", answer: q.denial(o.real, "denied")}}
	outs := make([]operation.Outcome, len(plans))
	errs := make([]error, len(plans))
	var group sync.WaitGroup
	for i, a := range plans {
		group.Go(func() { outs[i], errs[i] = m.w.Answer(m.w.t.Context(), a.answer) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		rt.Fatal(err)
	}
	winner := slices.IndexFunc(outs, func(out operation.Outcome) bool { return out.Code == operation.Accepted })
	if winner < 0 || outs[1-winner].Code != operation.Gone {
		rt.Fatalf("both at once: %+v", outs)
	}
	m.expect(plans[winner])
}

func (m *model) lock(rt *rapid.T) {
	p := rapid.SampledFrom(m.phones).Draw(rt, "phone")
	if p.status == handset.Deactivated {
		rt.Skip("it is gone")
	}
	if p.status == handset.Locked {
		_, err := m.w.handset.Unlock(m.w.t.Context(), p.id)
		must(m.w.t, err)
		p.status = handset.Active
		return
	}
	_, err := m.w.handset.Lock(m.w.t.Context(), p.id, "test")
	must(m.w.t, err)
	m.out(p, handset.Locked)
}

// check compares everything that can be read.
func (m *model) check(rt *rapid.T) {
	for _, o := range m.ops {
		got := m.w.get(o.real.ID)
		m.checkWay(rt, o, &got)
		if got.State != o.state || got.Reason != o.reason || got.Tries != o.tries || got.AnsweredBy != o.by || !got.RedeemBy.Equal(o.redeemBy) {
			rt.Fatalf("operation %+v, want %+v", got, *o)
		}
		if statement := got.Statement; o.accepted != nil && statement != o.accepted.Statement.Raw() {
			rt.Fatalf("another statement is kept than was accepted")
		}
	}
	for id, user := range m.users {
		got := m.w.standing(id)
		want := operation.Standing{Failures: user.failures(), Barred: user.barred, NotMe: user.notMe, Open: m.openOf(id)}
		if m.now().Before(user.blockedUntil) {
			want.BlockedUntil = user.blockedUntil
		}
		for _, at := range user.pushes {
			if m.now().Sub(at) < 24*time.Hour {
				want.Pushes++
			}
		}
		slices.Sort(want.Open) // what is claimed or goes over to SMS is put behind the others
		slices.Sort(got.Open)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("standing (-want +got):\n%s", diff)
		}
	}
	for _, p := range m.phones {
		m.checkPending(rt, p)
	}
}

func (m *model) checkPending(rt *rapid.T, p *modelPhone) {
	open, err := m.w.Pending(m.w.t.Context(), p.id, 0)
	if p.status != handset.Active {
		if !errors.Is(err, operation.ErrDevice) {
			rt.Fatalf("a device that is %s has pending operations: %v", p.status, err)
		}
		return
	}
	must(m.w.t, err)
	var want, got []string
	for _, o := range m.ops {
		if o.open() && o.way.channel != operation.BySMS && o.real.UserID == p.user && (o.real.DeviceID == "" || o.real.DeviceID == p.id) {
			want = append(want, o.real.ID)
		}
	}
	for _, o := range open {
		got = append(got, o.ID)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("pending (-want +got):\n%s", diff)
	}
}

// checkTold: whatever happened, each thing was told once.
func (m *model) checkTold(rt *rapid.T) {
	must(m.w.t, m.w.Expire(m.w.t.Context()))
	for _, o := range m.ops {
		counts := map[string]int{}
		for _, told := range m.w.told(o.real.UserID, o.real.ID) {
			counts[strings.Fields(told)[0]]++
		}
		if o.way.scanned { // begun for nobody
			counts["started"]++
		}
		if o.way.scanned && o.real.UserID == "" {
			continue
		}
		if counts["resent"] != o.way.resent || counts["switched"] > 1 || o.way.scanned && counts["claimed"] != 1 {
			rt.Fatalf("of one that was sent again %d times was told %v", o.way.resent, counts)
		}
		want := map[bool]int{true: 1}
		if counts["started"] != 1 || counts["ended"] != want[!o.open()]+want[o.back] || counts["redeemed"] != want[o.state == operation.Redeemed] || counts["fetched"] > 1 {
			rt.Fatalf("of one that is %s was told %v", o.state, counts)
		}
	}
}

// TestModel plays operators, clients, phones and failing commits in any order.
func TestModel(t *testing.T) {
	t.Parallel()
	for i, engine := range engines.All {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, i)
			run := 0
			rapid.Check(t, func(rt *rapid.T) {
				run++
				m := newModel(w, fmt.Sprint(run))
				defer w.db.Clear()
				rt.Repeat(map[string]func(*rapid.T){
					"start":   m.start,
					"deliver": m.deliver,
					"cancel":  m.cancel,
					"redeem":  m.redeem,
					"answer":  m.answer,
					"answer2": m.answer,
					"race":    m.race,
					"lock":    m.lock,
					"text":    m.text,
					"scan":    m.scan,
					"late":    m.startLate,
					"code":    m.code,
					"code2":   m.code,
					"resend":  m.resend,
					"claim":   m.claim,
					"expire": func(*rapid.T) {
						m.settle()
						must(t, w.Expire(t.Context()))
						m.takeOver()
					},
					"advance": func(rt *rapid.T) {
						w.clock.Advance(time.Duration(rapid.SampledFrom([]int{1, 20, 90, 3700}).Draw(rt, "seconds")) * time.Second)
					},
					"": func(rt *rapid.T) {
						m.settle()
						m.check(rt)
					},
				})
				m.settle()
				m.checkTold(rt)
			})
		})
	}
}
