// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// TestLife is what a phone does from its first day to its last.
func TestLife(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	o := s.ask(alice)
	open, err := p.Pending(t.Context(), 0)
	must(t, err)
	if len(open) != 1 || open[0].Operation != o.ID || open[0].Kind != "authorisation" {
		t.Fatalf("pending are %+v", open)
	}
	q, err := p.Fetch(t.Context(), o.ID)
	must(t, err)
	if q.Title != "Pay 10 EUR to Shop" || s.state(o.ID) != operation.Delivered {
		t.Errorf("shown is %q, the operation is %s", q.Title, s.state(o.ID))
	}
	must(t, p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}))
	if got := s.state(o.ID); got != operation.Approved {
		t.Errorf("after the approval it is %s", got)
	}

	must(t, p.ChangePIN(t.Context(), device.Proof{PIN: pin}, "702846"))
	must(t, p.RollKeys(t.Context(), device.Proof{PIN: "702846"}))
	must(t, p.SetPush(t.Context(), &envelope.PushAddress{Service: "fcm", Address: "token"}))
	about, err := p.Refresh(t.Context())
	must(t, err)
	if about.Status != string(handset.Active) || about.PushService != "fcm" || len(about.Factors) != 1 {
		t.Errorf("it knows of itself %+v", about)
	}

	o = s.ask(alice)
	q, err = p.Fetch(t.Context(), o.ID)
	must(t, err)
	if err := p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}); !errors.Is(err, device.ErrRefused) {
		t.Errorf("the old PIN: %v", err)
	}
	must(t, p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: "702846"}}))
	if err := p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: "702846"}}); !errors.Is(err, device.ErrGone) {
		t.Errorf("approving twice: %v", err)
	}

	o = s.ask(alice)
	q, err = p.Fetch(t.Context(), o.ID)
	must(t, err)
	must(t, p.Deny(t.Context(), q, envelope.IncorrectData))
	if got := s.state(o.ID); got != operation.Denied {
		t.Errorf("after the denial it is %s", got)
	}
	if _, err := p.Fetch(t.Context(), o.ID); !errors.Is(err, device.ErrGone) {
		t.Errorf("fetching what is answered: %v", err)
	}
	must(t, p.Disconnect(t.Context()))
	if _, err := p.Pending(t.Context(), 0); err == nil {
		t.Error("a phone that was disconnected is heard")
	}
}

// TestLongPoll: a phone that waits gets the question when it is asked.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	found := make(chan []envelope.Summary, 1)
	go func() {
		open, err := p.Pending(t.Context(), time.Minute)
		if err != nil {
			t.Error(err)
		}
		found <- open
	}()
	for s.operations.Waiting() == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nobody waits")
		}
	}
	o := s.ask(alice)
	if open := <-found; len(open) != 1 || open[0].Operation != o.ID {
		t.Errorf("the phone that waited got %+v", open)
	}
}

// TestOthersQuestions: a phone sees and answers what its own user is asked, and learns nothing of anybody else's.
func TestOthersQuestions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a, b := s.enrol(alice), s.enrol(bob)
	o := s.ask(alice)
	if open, err := b.Pending(t.Context(), 0); err != nil || len(open) != 0 {
		t.Errorf("another user's phone sees %v, %v", open, err)
	}
	for _, id := range []string{o.ID, "op_made_up"} {
		if _, err := b.Fetch(t.Context(), id); !errors.Is(err, device.ErrNotAllowed) {
			t.Errorf("fetching %s: %v", id, err)
		}
	}
	q, err := a.Fetch(t.Context(), o.ID)
	must(t, err)
	if err := b.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("approving another user's question: %v", err)
	}
	if got := s.state(o.ID); got != operation.Delivered {
		t.Errorf("the question is %s", got)
	}
}

// TestWrongPIN: the phone is told how many tries are left, and is disconnected after the last.
func TestWrongPIN(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	wrong := device.Proof{PIN: "111222"}
	for left := 4; left > 0; left-- {
		err := p.ChangePIN(t.Context(), wrong, "702846")
		refused := new(device.RefusedError)
		if !errors.As(err, &refused) || refused.Remaining != left {
			t.Fatalf("a wrong PIN: %v, want %d tries left", err, left)
		}
	}
	if err := p.ChangePIN(t.Context(), wrong, "702846"); err == nil {
		t.Fatal("the last wrong PIN was taken")
	}
	d, err := s.devices.Get(t.Context(), p.State().Device)
	must(t, err)
	if d.Status != handset.Deactivated || d.StatusReason != handset.FactorLimit {
		t.Errorf("the phone is %s (%s)", d.Status, d.StatusReason)
	}
	if err := p.ChangePIN(t.Context(), device.Proof{PIN: pin}, "702846"); err == nil {
		t.Error("the right PIN brought it back")
	}
}

// TestFactorsThatMayNotBe: what the policy lacks cannot be added afterwards, and a phone without any factor does not get one by
// possession alone. The phone is told, and nobody's log is filled.
func TestFactorsThatMayNotBe(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(p *enrolment.Policy) { p.Biometric, p.PIN.Required = false, false })
	p := s.enrol(alice)
	if err := p.AddFactor(t.Context(), device.Proof{PIN: pin}, envelope.FactorBiometric); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("a factor that the policy lacks: %v", err)
	}
	d, err := s.devices.Get(t.Context(), p.State().Device)
	must(t, err)
	if len(d.Factors) != 1 {
		t.Errorf("the phone has %d factors", len(d.Factors))
	}

	begun, invitation := s.invite(bob)
	config, store := s.config()
	bare, err := device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios",
	})
	must(t, err)
	_, err = s.enrolment.Confirm(t.Context(), begun.Operation.ID, bare.State().Digits)
	must(t, err)
	keys, err := store.Load(t.Context(), bare.State().Keys)
	must(t, err)
	q := &phone{Device: bare, server: s, keys: keys}
	secret, err := envelope.NewSecret()
	must(t, err)
	r := q.request(envelope.PathFactor)
	statement, err := envelope.SignStatement(envelope.Statement{
		Device: r.Device, Audience: r.Audience, ID: r.ID, At: r.At, Purpose: envelope.PurposeFactor, Kind: envelope.FactorPIN,
		SecretHash: secret.Hash(),
	}, keys)
	must(t, err)
	body := envelope.Stated{Statement: statement.Raw(), Secret: &secret}
	if status, answer, _ := s.post(envelope.PathFactor, q.sealed(r, body)); status != http.StatusOK {
		t.Errorf("a first factor by possession: %d %s", status, answer)
	}
	d, err = s.devices.Get(t.Context(), r.Device)
	must(t, err)
	if len(d.Factors) != 0 {
		t.Errorf("the phone without factors has %d", len(d.Factors))
	}
	if s.lines.has("ERROR") {
		t.Error("what a phone may not do is logged as a fault of the server")
	}
}

// TestTransferAndRelease: an old phone invites a new one in its place, and vouches for one that is watched.
func TestTransferAndRelease(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	old := s.enrol(alice)
	begun, _, err := s.enrolment.Start(t.Context(), enrolment.Start{UserID: alice, Application: "bank"})
	must(t, err)
	invitation, err := envelope.ParseInvitation(begun.QR)
	must(t, err)
	config, _ := s.config()
	second, err := device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: pin,
	})
	must(t, err)
	_, err = s.enrolment.Confirm(t.Context(), begun.Operation.ID, second.State().Digits)
	must(t, err)
	about, err := old.Refresh(t.Context())
	must(t, err)
	if len(about.Waiting) != 1 || about.Waiting[0].Device != second.State().Device {
		t.Fatalf("waiting are %+v", about.Waiting)
	}
	if _, err := second.Pending(t.Context(), 0); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("a phone in quarantine asks: %v", err)
	}
	must(t, old.Release(t.Context(), device.Proof{PIN: pin}, second.State().Device, envelope.Approve))
	if _, err := second.Pending(t.Context(), 0); err != nil {
		t.Errorf("a phone that was released asks: %v", err)
	}

	out, err := old.Transfer(t.Context(), device.Proof{PIN: pin})
	must(t, err)
	if invitation, err = envelope.ParseInvitation(out.Invitation); err != nil {
		t.Fatal(err)
	}
	config, _ = s.config()
	third, err := device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: pin,
	})
	must(t, err)
	if _, err := third.Pending(t.Context(), 0); !errors.Is(err, device.ErrNotAllowed) {
		t.Errorf("the new phone asks before the old one has seen it: %v", err)
	}
	must(t, old.Release(t.Context(), device.Proof{PIN: pin}, third.State().Device, envelope.Approve))
	if _, err := third.Pending(t.Context(), 0); err != nil {
		t.Errorf("the phone in the place of the old one asks: %v", err)
	}
	if _, err := old.Pending(t.Context(), 0); err == nil {
		t.Error("the phone that was replaced is heard")
	}
}

// TestUniqueKeys: a phone with a key of its own at the server uses it, and is not heard under the common one.
func TestUniqueKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(p *enrolment.Policy) { p.UniqueKeys = true })
	p, other := s.enrol(alice), s.enrol(bob)
	common, err := s.keys.Current()
	must(t, err)
	own := p.State().Server.Enc
	if len(own) != 1 || own[0].ID() == common.KID || own[0].ID() == other.State().Server.Enc[0].ID() {
		t.Fatal("the phone has no key of its own at the server")
	}
	key, err := envelope.EncKeyOf(common)
	must(t, err)
	for name, to := range map[string]envelope.EncKey{"the common key": key, "another phone's key": other.State().Server.Enc[0]} {
		raw, err := envelope.SealRequest(p.request(envelope.PathPending), nil, p.keys, to)
		must(t, err)
		if status, _, _ := s.post(envelope.PathPending, raw); status != 400 || s.lines.reason() != "server_key" {
			t.Errorf("encrypted to %s: %d, %s", name, status, s.lines.reason())
		}
	}
	if err := p.Disconnect(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := envelope.SealRequest(p.request(envelope.PathPending), nil, p.keys, own[0])
	must(t, err)
	if status, _, _ := s.post(envelope.PathPending, raw); status != 400 {
		t.Errorf("a key that is gone: %d", status)
	}
}

// TestServerKeysRotate: a phone that was away while the server's keys changed goes on, and learns the new ones.
func TestServerKeysRotate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	must(t, s.keys.Rotate(t.Context()))
	s.clock.Advance(2 * time.Hour)
	must(t, s.ring.Rotate(t.Context(), false))
	_, err := p.Refresh(t.Context())
	must(t, err)
	current, err := s.keys.Current()
	must(t, err)
	if got := p.State().Server.Enc[0].ID(); got != current.KID {
		t.Errorf("the phone encrypts to %s, want %s", got, current.KID)
	}
	_, err = p.Refresh(t.Context())
	must(t, err)
}

// TestWrongClock: a phone whose clock is off corrects it by what the server says.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, invitation := s.invite(alice)
	config, _ := s.config()
	config.Now = func() time.Time { return s.clock.Now().Add(-8 * time.Hour) }
	d, err := device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: pin,
	})
	must(t, err)
	if got := d.State().Skew; got < 8*3600-5 || got > 8*3600+5 {
		t.Errorf("the clock is corrected by %d s", got)
	}
}
