// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

// phone is what the model knows of a device.
type phone struct {
	user     string
	status   handset.Status
	was      handset.Status
	secret   byte
	failures int
	push     string
	revoked  int
	until    time.Time
}

// model says by the words of the documentation what becomes of the devices of three users.
type model struct {
	phones map[string]*phone
	seen   map[string]bool
}

const modelLimit = 3

func (m *model) live(user string, now time.Time) int {
	n := 0
	for _, p := range m.phones {
		if p.user == user && p.status != handset.Deactivated && !p.ended(now) {
			n++
		}
	}
	return n
}

func (p *phone) ended(now time.Time) bool { return p.status == handset.Pending && !now.Before(p.until) }

// become changes the status if it may be.
func (p *phone) become(to handset.Status) bool {
	if !allowed(p.status, to) {
		return false
	}
	if to != p.status && (to.Out() || p.status == handset.Active) {
		p.revoked++
	}
	if to.Out() && !p.status.Out() {
		p.was = p.status
	}
	p.status = to
	if to == handset.Deactivated {
		p.secret, p.push, p.failures = 0, "", 0
	}
	return true
}

// world is the model beside the store.
type world struct {
	*model
	h     *house
	users []string
	ids   []string
}

func (w *world) pick(rt *rapid.T) (string, *phone) {
	if len(w.ids) == 0 {
		rt.Skip("nobody is there")
	}
	id := rapid.SampledFrom(w.ids).Draw(rt, "device")
	return id, w.phones[id]
}

// expect compares an error with what the model says.
func expect(rt *rapid.T, what string, err error, ok bool, refusals ...error) {
	if ok && err == nil {
		return
	}
	if !ok && slices.ContainsFunc(refusals, func(want error) bool { return errors.Is(err, want) }) {
		return
	}
	rt.Fatalf("%s: %v, and the model says %v", what, err, ok)
}

func (w *world) add(rt *rapid.T) {
	d := fresh(w.h.t, rapid.SampledFrom(w.users).Draw(rt, "user"))
	d.Status = rapid.SampledFrom([]handset.Status{handset.Pending, handset.Active, handset.Quarantined}).Draw(rt, "status")
	p := &phone{user: d.UserID, status: d.Status, secret: 1, until: w.h.clock.Now().Add(time.Hour)}
	if d.Status == handset.Pending {
		d.PendingUntil = p.until
	}
	room := w.live(d.UserID, w.h.clock.Now()) < modelLimit
	_, err := w.h.tryAdd(d)
	expect(rt, "adding", err, room, handset.ErrLimit)
	if room {
		w.phones[d.ID], w.ids = p, append(w.ids, d.ID)
	}
}

func (w *world) command(rt *rapid.T) {
	id, p := w.pick(rt)
	ctx := w.h.ctx()
	name := rapid.SampledFrom([]string{"lock", "lose", "steal", "deactivate", "unlock", "release", "quarantine"}).Draw(rt, "command")
	var err error
	ok := !p.ended(w.h.clock.Now())
	try := func(to handset.Status, allowed bool) { ok = ok && allowed && p.become(to) }
	in := func(statuses ...handset.Status) bool { return slices.Contains(statuses, p.status) }
	switch name {
	case "lock":
		_, err = w.h.Lock(ctx, id, "")
		try(handset.Locked, true)
	case "lose":
		_, err = w.h.Lose(ctx, id, handset.Lost, "")
		try(handset.Lost, true)
	case "steal":
		_, err = w.h.Lose(ctx, id, handset.Stolen, "")
		try(handset.Stolen, true)
	case "deactivate":
		_, err = w.h.Deactivate(ctx, id, "")
		try(handset.Deactivated, true)
	case "release":
		_, err = w.h.Release(ctx, id)
		try(handset.Active, in(handset.Active, handset.Quarantined))
	case "quarantine":
		_, err = w.h.Quarantine(ctx, id, "")
		try(handset.Quarantined, in(handset.Active, handset.Quarantined))
	case "unlock":
		_, err = w.h.Unlock(ctx, id)
		if in(handset.Locked, handset.Lost) {
			try(p.was, true)
		} else {
			try(p.status, in(handset.Active, handset.Quarantined))
		}
	}
	expect(rt, name, err, ok, handset.ErrTransition, handset.ErrNotFound)
}

func (w *world) guess(rt *rapid.T) {
	id, p := w.pick(rt)
	s := byte(rapid.IntRange(1, 3).Draw(rt, "secret"))
	v, err := w.h.answer(id, pin(secret(s)))
	usable := p.status == handset.Active
	expect(rt, "guessing", err, usable, handset.ErrUnusable, handset.ErrNotFound)
	if !usable {
		return
	}
	if s == p.secret {
		p.failures = 0
	} else if p.failures++; p.failures == handset.DefaultMaxFailures {
		p.become(handset.Deactivated)
	}
	if v.OK != (p.status == handset.Active && s == p.secret) || v.Disconnected != (p.status == handset.Deactivated) {
		rt.Fatalf("the verdict on %d is %+v, the model has %+v", s, v, p)
	}
}

// send sends a message, new or heard before, that sets the push address.
func (w *world) send(rt *rapid.T) {
	id, p := w.pick(rt)
	d, err := w.h.Get(w.h.t.Context(), id)
	if p.ended(w.h.clock.Now()) || errors.Is(err, handset.ErrNotFound) {
		return
	}
	must(w.h.t, err)
	m := w.h.message(d)
	m.JTI = fmt.Sprint("message-", rapid.IntRange(0, 5).Draw(rt, "jti"))
	address := w.users[0] + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "address")
	heard := w.seen[id+m.JTI]
	taken := false
	for other, q := range w.phones {
		taken = taken || other != id && q.push == address && q.user != p.user
	}
	ok := p.status == handset.Active && !heard && !taken
	_, err = w.h.ChangePush(w.h.ctx(), m, &handset.Push{Service: "fcm", Address: address})
	expect(rt, "sending", err, ok, handset.ErrUnusable, handset.ErrReplay, handset.ErrPushTaken)
	if !ok {
		return
	}
	w.seen[id+m.JTI] = true
	for _, q := range w.phones {
		if q.push == address {
			q.push = ""
		}
	}
	p.push = address
}

func (w *world) changePIN(rt *rapid.T) {
	id, p := w.pick(rt)
	if p.status != handset.Active {
		return
	}
	d, err := w.h.Get(w.h.t.Context(), id)
	must(w.h.t, err)
	next := byte(rapid.IntRange(1, 3).Draw(rt, "next"))
	s := envelope.Secret(secret(next))
	_, v, err := w.h.ChangeFactor(w.h.ctx(), w.h.message(d), w.h.said(pin(secret(p.secret))), envelope.FactorPIN, &s)
	if err != nil || !v.OK {
		rt.Fatalf("changing the PIN: %+v, %v", v, err)
	}
	p.secret, p.failures = next, 0
}

// compare asks the store for everything that the model knows.
func (w *world) compare(rt *rapid.T) {
	now := w.h.clock.Now()
	for id, p := range w.phones {
		d, err := w.h.Get(w.h.t.Context(), id)
		if p.ended(now) {
			if !errors.Is(err, handset.ErrNotFound) {
				rt.Fatalf("a pending device that ended is there: %v", err)
			}
			continue
		}
		if errors.Is(err, handset.ErrNotFound) && p.status == handset.Deactivated {
			continue // pushed out by later ones
		}
		must(w.h.t, err)
		address := ""
		if d.Push != nil {
			address = d.Push.Address
		}
		got := phone{user: d.UserID, status: d.Status, failures: d.Failures, push: address, revoked: len(w.h.values("revoked/" + id))}
		if f, known := d.Factor(envelope.FactorPIN); known {
			got.secret = f.Secret[0]
		}
		want := *p
		want.was, want.until = "", time.Time{}
		if got != want {
			rt.Fatalf("device %s is %+v, want %+v", id, got, want)
		}
	}
	for _, user := range w.users {
		var live []handset.Device
		must(w.h.t, w.h.update(func(tx storage.Tx) (err error) { live, err = w.h.Live(tx, user); return err }))
		if len(live) != w.live(user, now) {
			rt.Fatalf("user %s has %d devices, want %d", user, len(live), w.live(user, now))
		}
	}
}

// TestDevicesBehaveLikeTheModel lets anybody do anything in any order, over stores whose closures run twice and whose commits
// fail now and then.
func TestDevicesBehaveLikeTheModel(t *testing.T) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			// One store for all: each check has users and addresses of its own.
			h, checks := newHouse(t, i, func(c *handset.Config) { c.MaxDevices = modelLimit }), 0
			rapid.Check(t, func(rt *rapid.T) {
				checks++
				var names []string
				for n := range 3 {
					names = append(names, fmt.Sprintf("usr_%d_%d", checks, n))
				}
				w := &world{h: h, users: names, model: &model{phones: map[string]*phone{}, seen: map[string]bool{}}}
				rt.Repeat(map[string]func(*rapid.T){
					"add": w.add, "command": w.command, "guess": w.guess, "send": w.send, "change PIN": w.changePIN,
					"wait": func(rt *rapid.T) {
						// Longer than any message is remembered.
						h.clock.Advance(time.Duration(rapid.IntRange(2, 45).Draw(rt, "minutes")) * time.Minute)
						maps.DeleteFunc(w.seen, func(string, bool) bool { return true })
					},
					"fail": func(rt *rapid.T) {
						id, _ := w.pick(rt)
						h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 1, Err: errDown})
						_, err := h.Deactivate(h.ctx(), id, "")
						if err == nil {
							rt.Fatal("a commit that failed is a success")
						}
						h.db.Clear()
					},
					"": w.compare,
				})
			})
		})
	}
}
