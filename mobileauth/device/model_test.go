// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// life is a phone, its server, and what its person believes.
type life struct {
	t      *testing.T
	server *server
	phone  *phone
	device *device.Device

	pin       string // that counts
	pins      int    // so many there have been
	biometric bool   // the phone offers it
}

func newLife(t *testing.T) *life {
	t.Helper()
	s, p, d := enrolled(t)
	return &life{t: t, server: s, phone: p, device: d, pin: pin, biometric: true}
}

// fault lets the next request to an endpoint go wrong: its answer is lost, or it is not served at all.
func (l *life) fault(path, kind string) {
	l.server.do(func() {
		l.server.lose[path], l.server.broken = 0, nil
		switch kind {
		case "lost":
			l.server.lose[path] = 1
		case "away":
			l.server.broken = unavailable(path)
		}
	})
}

func (l *life) mended() { l.fault("", "") }

// expect fails unless the error is what the fault makes of it.
func expect(t *rapid.T, kind string, err error) {
	switch {
	case kind == "" && err != nil:
		t.Fatalf("without a fault: %v", err)
	case kind == "lost" && !errors.Is(err, device.ErrNetwork):
		t.Fatalf("a lost answer: %v", err)
	case kind == "away" && !errors.Is(err, device.ErrUnavailable):
		t.Fatalf("a server that is away: %v", err)
	}
}

var faults = rapid.SampledFrom([]string{"", "lost", "away"})

func (l *life) changePIN(t *rapid.T) {
	kind := faults.Draw(t, "fault")
	l.pins++
	next := fmt.Sprintf("59%04d", l.pins*37)
	l.fault(envelope.PathFactor, kind)
	expect(t, kind, l.device.ChangePIN(l.t.Context(), device.Proof{PIN: l.pin}, next))
	if kind != "away" {
		l.pin = next
	}
	l.mended()
}

func (l *life) rollKeys(t *rapid.T) {
	kind := faults.Draw(t, "fault")
	l.fault(envelope.PathKeys, kind)
	err := l.device.RollKeys(l.t.Context(), device.Proof{PIN: l.pin})
	// Keys that an earlier attempt brought to the server are found out on the way, and then there is nothing left to go wrong.
	if err != nil || kind == "" {
		expect(t, kind, err)
	}
	l.mended()
}

func (l *life) addBiometric(t *rapid.T) {
	kind := faults.Draw(t, "fault")
	l.fault(envelope.PathFactor, kind)
	err := l.device.AddFactor(l.t.Context(), device.Proof{PIN: l.pin}, envelope.FactorBiometric)
	expect(t, kind, err)
	l.biometric = kind == ""
	l.mended()
}

func (l *life) restart(*rapid.T) { l.device = l.phone.restart(l.t) }

func (l *life) rotate(*rapid.T) { l.server.do(l.server.rotate) }

// approve is what all of it is for. Nobody ever loses a try by what went wrong before.
func (l *life) approve(t *rapid.T) {
	q, err := l.device.Fetch(l.t.Context(), l.server.ask(question("biometric"), ""))
	if err != nil {
		t.Fatal(err)
	}
	proof := device.Proof{PIN: l.pin}
	if l.biometric && rapid.Bool().Draw(t, "by fingerprint") {
		proof = device.Proof{Factor: envelope.FactorBiometric}
	}
	if err := l.device.Approve(l.t.Context(), q, device.Approval{Proof: proof}); err != nil {
		t.Fatalf("by %v: %v", proof.Factor, err)
	}
	if l.server.failed != 0 {
		t.Fatalf("%d tries were lost", l.server.failed)
	}
}

// A life of changes whose answers are lost, of a server that is away and changes its keys, and of an app that is closed at any
// time: the person approves with the PIN that counts, and never loses a try.
func TestALifeOfFaults(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		l := newLife(t)
		r.Repeat(map[string]func(*rapid.T){
			"change the PIN": l.changePIN, "roll the keys": l.rollKeys, "add a fingerprint": l.addBiometric,
			"restart": l.restart, "rotate": l.rotate, "approve": l.approve,
		})
		l.biometric = false // the PIN, to end with
		l.approve(r)
		if state := l.device.State(); state.NextPIN != nil {
			r.Errorf("the state still waits for a PIN: %+v", state.NextPIN)
		}
	})
}
