// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

// turned is a cipher for tests: it turns every byte and names who is spoken to.
type turned struct{ fail error }

func (turned) Public() []byte { return []byte("phone") }

func (c turned) Seal(body, server []byte, _ time.Time) ([]byte, error) {
	return turn(append([]byte("to "+string(server)+":"), body...)), c.fail
}

func (turned) Open(message, server []byte, _ time.Time) ([]byte, error) {
	text := turn(message)
	prefix := len("from " + string(server) + ":")
	if len(text) < prefix || string(text[:prefix]) != "from "+string(server)+":" {
		return nil, errors.New("not from the server")
	}
	return text[prefix:], nil
}

func turn(in []byte) []byte {
	out := make([]byte, len(in))
	for i, b := range in {
		out[i] = ^b
	}
	return out
}

func TestBodiesInOpenPGP(t *testing.T) {
	t.Parallel()
	s, p := newServer(t), newPhone(t)
	s.pgp = true
	p.config.PGP = turned{}
	d, err := device.Enrol(t.Context(), p.config, enrolment(s))
	if err != nil {
		t.Fatal(err)
	}
	s.do(func() { s.status = "active" })
	if string(s.devicePGP) != "phone" || string(d.State().PGP) != "server" {
		t.Errorf("the server has %q, the device %q", s.devicePGP, d.State().PGP)
	}
	d = p.restart(t)
	if err := approves(t, s, d, pin); err != nil {
		t.Error(err)
	}
	if err := approves(t, s, d, "111112"); !errors.Is(err, device.ErrRefused) {
		t.Errorf("a wrong PIN: %v", err)
	}
	s.do(func() { s.clear = true })
	if _, err := d.Refresh(t.Context()); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("an answer in clear: %v", err)
	}
	p.config.PGP = nil
	var state device.State
	if err := json.Unmarshal(p.saved, &state); err != nil {
		t.Fatal(err)
	}
	if _, err := device.Open(t.Context(), p.config, state); !errors.Is(err, device.ErrInput) {
		t.Errorf("without its key: %v", err)
	}
	p.config.PGP = turned{fail: errFull}
	d, err = device.Open(t.Context(), p.config, state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Refresh(t.Context()); !errors.Is(err, errFull) || !errors.Is(err, device.ErrInput) {
		t.Errorf("a key that fails: %v", err)
	}
}

func TestOpenPGPThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	s, p := newServer(t), newPhone(t)
	s.pgp = true
	if _, err := device.Enrol(t.Context(), p.config, enrolment(s)); !errors.Is(err, device.ErrAnswer) {
		t.Errorf("Enrol = %v", err)
	}
}
