// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope/pgp"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

func openpgp(p *enrolment.Policy) { p.Encryption = enrolment.OpenPGP }

// enrolPGP registers a phone that has an OpenPGP key.
func (s *server) enrolPGP(user string, version pgp.Version) (*phone, pgp.PrivateKey) {
	s.t.Helper()
	begun, invitation := s.invite(user)
	key, err := pgp.Generate(version, s.clock.Now())
	must(s.t, err)
	config, store := s.config()
	config.PGP = pgp.Device{Key: key}
	d, err := device.Enrol(s.t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", Name: "Phone", PIN: pin,
	})
	must(s.t, err)
	c, err := s.enrolment.Confirm(s.t.Context(), begun.Operation.ID, d.State().Digits)
	must(s.t, err)
	if c.Code != operation.Accepted {
		s.t.Fatalf("the phone's digits are %s (%s)", c.Code, c.Reason)
	}
	keys, err := store.Load(s.t.Context(), d.State().Keys)
	must(s.t, err)
	return &phone{Device: d, server: s, keys: keys}, key
}

// TestLifeInOpenPGP is what a phone does of an application that encrypts with OpenPGP, under keys of both versions.
func TestLifeInOpenPGP(t *testing.T) {
	t.Parallel()
	for _, version := range []pgp.Version{pgp.V4, pgp.V6} {
		s := newServer(t, openpgp)
		p, _ := s.enrolPGP(alice, version)
		_, err := p.Refresh(t.Context())
		must(t, err)
		o := s.ask(alice)
		open, err := p.Pending(t.Context(), 0)
		must(t, err)
		if len(open) != 1 || open[0].Operation != o.ID {
			t.Fatalf("pending are %+v", open)
		}
		q, err := p.Fetch(t.Context(), o.ID)
		must(t, err)
		refused := new(device.RefusedError)
		if err := p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: "111222"}}); !errors.As(err, &refused) {
			t.Errorf("a wrong PIN: %v", err)
		}
		must(t, p.Approve(t.Context(), q, device.Approval{Proof: device.Proof{PIN: pin}}))
		if got := s.state(o.ID); got != operation.Approved {
			t.Errorf("after the approval it is %s", got)
		}
		must(t, p.RollKeys(t.Context(), device.Proof{PIN: pin}))
		must(t, p.ChangePIN(t.Context(), device.Proof{PIN: pin}, "702846"))
		if _, err := p.Fetch(t.Context(), "op_made_up"); !errors.Is(err, device.ErrNotAllowed) {
			t.Errorf("fetching what is not there: %v", err)
		}
		must(t, p.Disconnect(t.Context()))
		if _, err := p.Pending(t.Context(), 0); err == nil || s.lines.reason() != "device_unusable" {
			t.Errorf("a phone that was disconnected: %v, %s", err, s.lines.reason())
		}
	}
}

// TestOpenPGPIsNotForThePhoneToLeaveOut: bodies in clear, under another's key or altered are refused like any bad message.
func TestOpenPGPIsNotForThePhoneToLeaveOut(t *testing.T) {
	t.Parallel()
	s := newServer(t, openpgp)
	p, own := s.enrolPGP(alice, pgp.V6)
	stranger, err := pgp.Generate(pgp.V6, s.clock.Now())
	must(t, err)
	server, err := pgp.ParsePublic(p.State().PGP)
	must(t, err)
	wrapped := func(text string, from pgp.PrivateKey, to pgp.PublicKey) pgp.Body {
		message, err := pgp.Seal([]byte(text), from, to, s.clock.Now())
		must(t, err)
		return pgp.Body{PGP: message}
	}
	spoilt := wrapped("{}", own, server)
	spoilt.PGP[len(spoilt.PGP)-1] ^= 1
	for _, tt := range []struct {
		name string
		body any
		want int
	}{
		{"as it should be", wrapped("{}", own, server), 200},
		{"in clear", envelope.PendingRequest{}, 400},
		{"nothing", nil, 400},
		{"signed by another", wrapped("{}", stranger, server), 400},
		{"encrypted to another", wrapped("{}", own, stranger.Public()), 400},
		{"altered", spoilt, 400},
		{"no object", wrapped("[]", own, server), 400},
	} {
		status, answer, _ := s.post(envelope.PathPending, p.sealed(p.request(envelope.PathPending), tt.body))
		if status != tt.want {
			t.Errorf("%s: %d %s (%s)", tt.name, status, answer, s.lines.reason())
		}
		if tt.want == 400 && (s.lines.reason() != enrolment.ReasonPGP || !strings.Contains(answer, "message_refused")) {
			t.Errorf("%s: %s, %s", tt.name, s.lines.reason(), answer)
		}
	}
}

// TestAPhoneWithoutOpenPGPIsNotRegistered: the policy is the application's.
func TestAPhoneWithoutOpenPGPIsNotRegistered(t *testing.T) {
	t.Parallel()
	s := newServer(t, openpgp)
	_, invitation := s.invite(alice)
	config, _ := s.config()
	if _, err := device.Enrol(t.Context(), config, device.Enrolment{
		Invitation: invitation, Application: "bank", Version: "1.0", Platform: "ios", PIN: pin,
	}); err == nil {
		t.Error("a phone without a key was registered")
	}
	devices, err := s.devices.ByUser(t.Context(), alice)
	must(t, err)
	for _, d := range devices {
		if d.Status == handset.Active {
			t.Errorf("%s is %s", d.ID, d.Status)
		}
	}
}

// TestWatch: the gates are told before the answer to what may take a device out, and never for a phone that only asks.
func TestWatch(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.enrol(alice)
	before := s.settled.Load()
	_, err := p.Pending(t.Context(), 0)
	must(t, err)
	if got := s.settled.Load(); got != before {
		t.Errorf("a phone that asks: told %d times", got-before)
	}
	must(t, p.Disconnect(t.Context()))
	if got := s.settled.Load(); got != before+1 {
		t.Errorf("a phone that goes: told %d times", got-before)
	}
	if !s.told.Load() {
		t.Error("the gates were told while the device was still in")
	}
}
