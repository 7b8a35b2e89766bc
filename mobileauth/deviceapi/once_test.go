// SPDX-License-Identifier: Apache-2.0

package deviceapi_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// say signs a statement of the phone, which names what the test leaves open.
func (p *phone) say(s envelope.Statement) envelope.Statement {
	p.server.t.Helper()
	s.Device, s.Audience, s.ID, s.At = p.State().Device, p.server.url, envelope.NewID(), p.server.clock.Now()
	signed, err := envelope.SignStatement(s, p.keys)
	must(p.server.t, err)
	return signed
}

// record is what the server knows of the phone.
func (p *phone) record() handset.Device {
	p.server.t.Helper()
	d, err := p.server.devices.Get(p.server.t.Context(), p.State().Device)
	must(p.server.t, err)
	return d
}

// sends puts a statement into a message of its own. A wrong PIN has a secret of its own.
func (p *phone) sends(path string, s envelope.Statement, right bool, secret *envelope.Secret) int {
	p.server.t.Helper()
	d := p.record()
	factor, known := d.Factor(envelope.FactorPIN)
	if !known {
		p.server.t.Fatal("the phone has no PIN")
	}
	proven := envelope.Secret(factor.Secret)
	if !right {
		proven[0] ^= 1
	}
	status, _, _ := p.server.post(path, p.sealed(p.request(path), envelope.Stated{
		Statement: s.Raw(), Factors: envelope.Factors{envelope.FactorPIN: s.MAC(proven)}, Secret: secret,
	}))
	return status
}

// open counts the registrations of a user that wait for a phone.
func (s *server) open(user string) (n int) {
	s.t.Helper()
	page, err := s.operations.ListByUser(s.t.Context(), user, "", 0)
	must(s.t, err)
	for i := range page {
		if page[i].Kind == operation.Registration && page[i].State.Open() {
			n++
		}
	}
	return n
}

// TestStatementsAreUsedOnce: what a person agreed to once happens once, however many messages it is put into. Only a phone that
// did not hear that its answer was taken is told so again.
func TestStatementsAreUsedOnce(t *testing.T) {
	t.Parallel()
	const taken, refused = http.StatusOK, http.StatusBadRequest
	t.Run("transfer", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		p := s.enrol(alice)
		moves := p.say(envelope.Statement{Purpose: envelope.PurposeTransfer})
		for i, want := range []int{taken, refused, refused} {
			if status := p.sends(envelope.PathTransfer, moves, true, nil); status != want {
				t.Errorf("%d: status %d", i, status)
			}
		}
		if got := s.lines.reason(); got != "replay" || s.open(alice) != 1 {
			t.Errorf("the audit says %q, and %d phones are invited", got, s.open(alice))
		}
	})
	t.Run("release", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		p, other := s.enrol(alice), s.enrol(alice)
		id := other.State().Device
		_, err := s.devices.Quarantine(t.Context(), id, "looked at")
		must(t, err)
		lets := p.say(envelope.Statement{Purpose: envelope.PurposeDevice, Target: id, Decision: envelope.Approve})
		if status := p.sends(envelope.PathRelease, lets, true, nil); status != taken || other.record().Status != handset.Active {
			t.Fatalf("status %d, the phone is %s", status, other.record().Status)
		}
		_, err = s.devices.Quarantine(t.Context(), id, "looked at again")
		must(t, err)
		if status := p.sends(envelope.PathRelease, lets, true, nil); status != refused || other.record().Status != handset.Quarantined {
			t.Errorf("again: status %d, the phone is %s", status, other.record().Status)
		}
	})
	t.Run("factor", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		p := s.enrol(alice)
		secret, err := envelope.NewSecret()
		must(t, err)
		adds := p.say(envelope.Statement{Purpose: envelope.PurposeFactor, Kind: envelope.FactorBiometric, SecretHash: secret.Hash()})
		drops := p.say(envelope.Statement{Purpose: envelope.PurposeFactor, Kind: envelope.FactorBiometric})
		for i, step := range []struct {
			says   envelope.Statement
			secret *envelope.Secret
			want   int
		}{{adds, &secret, taken}, {drops, nil, taken}, {adds, &secret, refused}, {drops, nil, refused}} {
			if status := p.sends(envelope.PathFactor, step.says, true, step.secret); status != step.want {
				t.Errorf("%d: status %d", i, status)
			}
		}
		d := p.record()
		if _, known := d.Factor(envelope.FactorBiometric); known {
			t.Error("the factor that was removed is back")
		}
	})
	t.Run("answer", func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		p := s.enrol(alice)
		o := s.ask(alice)
		approves := func() envelope.Statement {
			return p.say(envelope.Statement{
				Purpose: envelope.PurposeApproval, Operation: o.ID, DisplayHash: o.DisplayHash, Decision: envelope.Approve, Method: envelope.FactorPIN,
			})
		}
		guess := approves()
		for i, step := range []struct {
			right bool
			want  int
		}{{false, taken}, {false, refused}, {true, refused}} {
			if status := p.sends(envelope.PathAnswer, guess, step.right, nil); status != step.want {
				t.Errorf("%d: status %d", i, status)
			}
		}
		if n := p.record().Failures; n != 1 || !s.state(o.ID).Open() {
			t.Errorf("%d wrong PINs are counted, the operation is %s", n, s.state(o.ID))
		}
		means := approves()
		for i := range 3 {
			if status := p.sends(envelope.PathAnswer, means, true, nil); status != taken || s.state(o.ID) != operation.Approved {
				t.Errorf("%d: status %d, the operation is %s", i, status, s.state(o.ID))
			}
		}
	})
}

// TestReordering: messages that were made one after the other arrive in the other order, as a network may have them. Each is judged by
// what is so when it arrives: the answer that came first is the answer.
func TestReordering(t *testing.T) {
	t.Parallel()
	for _, approvesFirst := range []bool{true, false} {
		s := newServer(t)
		p := s.enrol(alice)
		o := s.ask(alice)
		factor, _ := func() (handset.Factor, bool) { d := p.record(); return d.Factor(envelope.FactorPIN) }()
		answers := func(st envelope.Statement, proven bool) string {
			st.Purpose, st.Operation, st.DisplayHash = envelope.PurposeApproval, o.ID, o.DisplayHash
			said := p.say(st)
			body := envelope.Stated{Statement: said.Raw()}
			if proven {
				body.Factors = envelope.Factors{envelope.FactorPIN: said.MAC(envelope.Secret(factor.Secret))}
			}
			return p.sealed(p.request(envelope.PathAnswer), body)
		}
		fetch := p.sealed(p.request(envelope.PathFetch), envelope.FetchRequest{Operation: o.ID})
		deny := answers(envelope.Statement{Decision: envelope.Deny, Reason: envelope.Denied}, false)
		approve := answers(envelope.Statement{Decision: envelope.Approve, Method: envelope.FactorPIN}, true)
		arrive, want := []string{deny, approve}, operation.Denied
		if approvesFirst {
			arrive, want = []string{approve, deny}, operation.Approved
		}
		for i, message := range append(arrive, deny, approve) {
			status, _, _ := s.post(envelope.PathAnswer, message)
			if (status == http.StatusOK) != (i < 2) || s.state(o.ID) != want { // what was seen before is refused altogether
				t.Errorf("approved first: %v, %d: status %d, the operation is %s", approvesFirst, i, status, s.state(o.ID))
			}
		}
		if status, _, _ := s.post(envelope.PathFetch, fetch); status != http.StatusOK || s.state(o.ID) != want {
			t.Errorf("fetched after the answer: status %d, the operation is %s", status, s.state(o.ID))
		}
	}
}
