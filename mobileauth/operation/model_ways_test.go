// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"errors"
	"slices"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// modelWay is how an operation is put, as the documentation has it.
type modelWay struct {
	channel operation.Channel
	// code is what is typed, also of what would take over; most are the wrong ones that end it, negative is any number.
	code string
	most int
	// resends are left, resent were made, the last at sent.
	resends, resent int
	sent            time.Time
	// late says that SMS takes over at lateAt.
	late   bool
	lateAt time.Time
	// scanned says that it was begun for whoever scans it.
	scanned bool
	otp     string
}

func (u *modelUser) failures() int { return u.factors + u.numbers + u.codes }

func (u *modelUser) clear() {
	if u.failures() == 0 {
		u.blockedUntil = time.Time{}
	}
}

// count draws the consequences of a wrong answer, and returns how many there were in a row.
func (u *modelUser) count(now time.Time) int {
	n := u.failures()
	if n >= 100 {
		u.barred = true
	} else if n >= 5 {
		pause := time.Minute
		for range n - 5 {
			pause = min(2*pause, time.Hour)
		}
		u.blockedUntil = now.Add(pause)
	}
	return n
}

// begin starts an operation that is not refused but by what counts for the user.
func (m *model) begin(rt *rapid.T, user string, start operation.Start) (operation.Operation, bool) {
	var want error
	switch {
	case user == "":
	case m.users[user].blocked(m.now()):
		want = operation.ErrBlocked
	case len(m.openOf(user)) >= 5:
		want = operation.ErrTooManyOpen
	}
	o, _, err := m.w.Start(m.w.t.Context(), start)
	if !errors.Is(err, want) || want == nil && err != nil {
		rt.Fatalf("start: %v, want %v", err, want)
	}
	return o, err == nil
}

func (m *model) somebody(rt *rapid.T) *modelPhone {
	return rapid.SampledFrom(m.phones).Draw(rt, "phone")
}

func (m *model) text(rt *rapid.T) {
	user := m.somebody(rt).user
	most := rapid.SampledFrom([]int{3, operation.Unlimited}).Draw(rt, "attempts")
	o, ok := m.begin(rt, user, question(user, texting, attempts(most)))
	if !ok {
		return
	}
	m.ops = append(m.ops, &modelOp{real: o, state: operation.Pending, answerBy: m.now().Add(5 * time.Minute), way: modelWay{
		channel: operation.BySMS, code: o.SMS.Code, most: most, resends: 2, sent: m.now(),
	}})
}

func (m *model) scan(rt *rapid.T) {
	o, _ := m.begin(rt, "", question("", scanning))
	m.ops = append(m.ops, &modelOp{real: o, state: operation.Pending, answerBy: m.now().Add(2 * time.Minute), way: modelWay{
		channel: operation.ByOTP, scanned: true, otp: o.OTP, sent: o.SentAt,
	}})
}

func (m *model) startLate(rt *rapid.T) {
	p := m.somebody(rt)
	if p.status != handset.Active {
		rt.Skip("no phone")
	}
	start := question(p.user, late)
	if rapid.Bool().Draw(rt, "targeted") {
		start.DeviceID = p.id
	}
	o, ok := m.begin(rt, p.user, start)
	if !ok {
		return
	}
	held := m.users[p.user].push(m.now())
	if held != o.Push || (held == operation.PushQueued) != (o.Late != nil) {
		rt.Fatalf("push %q, want %q, and it goes over by %+v", o.Push, held, o.Late)
	}
	way := modelWay{channel: operation.ByPush, late: o.Late != nil, lateAt: m.now().Add(30 * time.Second), most: 3, sent: m.now()}
	if way.late {
		way.code = o.Late.Way.SMS.Code
	}
	m.ops = append(m.ops, &modelOp{real: o, state: operation.Pending, answerBy: m.now().Add(2 * time.Minute), way: way})
}

// takeOver lets SMS take over what nobody has fetched, and gives that up for users who may not answer.
func (m *model) takeOver() {
	for _, o := range m.ops {
		if !o.way.late || o.state != operation.Pending || m.now().Before(o.way.lateAt) {
			continue
		}
		o.way.late = false
		if m.users[o.real.UserID].blocked(m.now()) {
			continue
		}
		o.answerBy, o.real.DeviceID = m.now().Add(5*time.Minute), "" // a code is typed, whatever becomes of the phone
		o.way.channel, o.way.sent, o.way.resends, o.way.resent = operation.BySMS, m.now(), 2, 0
	}
}

// of picks an operation on a channel, if there is one, and any other now and then.
func (m *model) of(rt *rapid.T, channel operation.Channel) *modelOp {
	on := slices.DeleteFunc(slices.Clone(m.ops), func(o *modelOp) bool { return o.way.channel != channel || !o.open() })
	if len(on) > 0 && rapid.IntRange(0, 5).Draw(rt, "any") > 0 {
		return rapid.SampledFrom(on).Draw(rt, "op")
	}
	return m.pick(rt)
}

// code types one.
func (m *model) code(rt *rapid.T) {
	o := m.of(rt, operation.BySMS)
	client := rapid.SampledFrom([]string{"portal", "portal", "portal", "other"}).Draw(rt, "client")
	right := rapid.IntRange(0, 2).Draw(rt, "right") == 0
	code := o.way.code
	if !right {
		code = off(code)
	}
	strikes, done := m.fault(rt)
	out, err := m.w.Verify(m.w.t.Context(), o.real.ID, client, code)
	m.struck(rt, strikes, err)
	if !done {
		return
	}
	want, remaining := m.typed(o, client, right)
	if !strikes && (out.Code != want || out.Remaining != remaining) {
		rt.Fatalf("a code for what is now %s over %s: %+v, want %s with %d left", o.state, o.way.channel, out, want, remaining)
	}
}

// typed follows a code.
func (m *model) typed(o *modelOp, client string, right bool) (operation.Code, int) {
	user := m.users[o.real.UserID]
	switch {
	case client != "portal" || o.way.channel != operation.BySMS:
		return operation.NotAllowed, 0
	case !o.open():
		return operation.Gone, 0
	case user.blocked(m.now()):
		return operation.NotAllowed, 0
	case right:
		o.state, o.redeemBy = operation.Approved, m.now().Add(time.Minute)
		user.codes = 0
		user.clear()
		return operation.Accepted, 0
	}
	o.tries++
	user.codes++
	n := user.count(m.now())
	switch {
	case o.way.most > 0 && o.tries >= o.way.most:
		o.state, o.reason = operation.Failed, operation.ReasonAttempts
	case n >= 5:
		o.state, o.reason = operation.Failed, operation.ReasonUserBlocked
	case o.way.most > 0:
		return operation.Refused, min(o.way.most-o.tries, 5-n)
	default:
		return operation.Refused, 5 - n
	}
	return operation.Refused, 0
}

func (m *model) resend(rt *rapid.T) {
	o := m.of(rt, operation.BySMS)
	client := rapid.SampledFrom([]string{"portal", "portal", "other"}).Draw(rt, "client")
	var want error
	pauses := []time.Duration{30 * time.Second, time.Minute}
	switch sms := o.way.channel == operation.BySMS; {
	case client != "portal":
		want = operation.ErrNotFound
	case !o.open(), o.way.channel == operation.ByOTP, !sms && o.state != operation.Pending:
		want = operation.ErrTransition
	case o.way.resends == 0:
		want = operation.ErrResendLimit
	case m.now().Sub(o.way.sent) < pauses[o.way.resent]:
		want = operation.ErrTooSoon
	case m.users[o.real.UserID].blocked(m.now()):
		want = operation.ErrBlocked
	}
	got, err := m.w.Resend(m.w.t.Context(), o.real.ID, client)
	if !errors.Is(err, want) || want == nil && err != nil {
		rt.Fatalf("sent again: %v, want %v", err, want)
	}
	if err != nil {
		return
	}
	o.way.resends--
	o.way.resent++
	o.way.sent = m.now()
	if got.SMS.Code != o.way.code {
		rt.Fatal("another code was sent")
	}
}

// claim has one phone scan, or two at once.
func (m *model) claim(rt *rapid.T) {
	o := m.of(rt, operation.ByOTP)
	if !o.way.scanned {
		rt.Skip("nothing to scan")
	}
	p, q := m.somebody(rt), m.somebody(rt)
	phones := []*modelPhone{p}
	if q.id != p.id && rapid.Bool().Draw(rt, "at once") {
		phones = append(phones, q)
	}
	outs := make([]operation.Outcome, len(phones))
	errs := make([]error, len(phones))
	var group sync.WaitGroup
	for i, p := range phones {
		c := operation.Claim{Message: p.message(), OTP: o.way.otp}
		group.Go(func() { outs[i], errs[i] = m.w.Claim(m.w.t.Context(), c) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		rt.Fatal(err)
	}
	// The model follows whoever may not first, since that changes nothing, and then the winner, if there is one.
	order := []int{0, 1}[:len(phones)]
	rank := func(i int) int {
		return map[operation.Code]int{operation.NotAllowed: 0, operation.Accepted: 1, operation.Gone: 2}[outs[i].Code]
	}
	slices.SortStableFunc(order, func(i, j int) int { return rank(i) - rank(j) })
	for _, i := range order {
		if want := m.claimed(o, phones[i]); outs[i].Code != want {
			rt.Fatalf("scanned by %s: %+v, want %s", phones[i].id, outs[i], want)
		}
	}
}

// claimed follows one phone that scans.
func (m *model) claimed(o *modelOp, p *modelPhone) operation.Code {
	user := m.users[p.user]
	switch {
	case p.status != handset.Active:
		return operation.NotAllowed
	case !o.open():
		return operation.Gone
	case o.real.DeviceID == p.id:
		return operation.Accepted
	case o.real.UserID != "":
		return operation.Gone
	case user.blocked(m.now()), len(m.openOf(p.user)) >= 5:
		return operation.NotAllowed
	}
	o.real.UserID, o.real.DeviceID, o.state = p.user, p.id, operation.Delivered
	return operation.Accepted
}

// checkWay compares how an operation is put, and that what was secret about it ends with it.
func (m *model) checkWay(rt *rapid.T, o *modelOp, got *operation.Operation) {
	if o.way.channel == "" { // one that was started without
		return
	}
	if got.Channel != o.way.channel || got.UserID != o.real.UserID || got.Resent != o.way.resent || !got.AnswerBy.Equal(o.answerBy) {
		rt.Fatalf("operation %+v, want %+v", got, *o)
	}
	if !o.open() && (got.OTP != "" || got.Late != nil || got.SMS != nil && got.SMS.Code != "") {
		rt.Fatalf("of one that is %s there is still %+v", o.state, got)
	}
	if got.State == operation.Approved && got.Channel == operation.BySMS && got.ACR != "bronze" {
		rt.Fatalf("approved over sms as %q", got.ACR)
	}
}
