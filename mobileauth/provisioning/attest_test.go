// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

var errNobody = errors.New("nobody can judge")

// judge knows evidence that is the hash which it was made for and the grade that it shows; by whose keys, p says.
func judge(p *phone, least attestation.Grade) func(context.Context, provisioning.Evidence) (provisioning.Judgement, error) {
	return func(_ context.Context, e provisioning.Evidence) (provisioning.Judgement, error) {
		if e.Application != p.app || e.Platform != "ios" || !p.key.Public().(*ecdsa.PublicKey).Equal(e.Key) {
			return provisioning.Judgement{Format: "test", Grade: attestation.Unknown, Wrong: true, Reason: "attestation_key"}, nil
		}
		made, shown, _ := strings.Cut(string(e.Raw), " ")
		grade := attestation.Grade(shown)
		switch {
		case len(e.Raw) == 0:
			return provisioning.Judgement{Grade: attestation.Unknown, Reason: "attestation_absent"}, nil
		case shown == "down":
			return provisioning.Judgement{}, errNobody
		case made != hash(e.Challenge) && made != hash(e.Bound):
			return provisioning.Judgement{Format: "test", Grade: attestation.Unknown, Wrong: true, Reason: "attestation_challenge"}, nil
		case !grade.AtLeast(least):
			return provisioning.Judgement{Format: "test", Grade: grade, Reason: "attestation_grade"}, nil
		}
		return provisioning.Judgement{Format: "test", Grade: grade}, nil
	}
}

// asking has the store ask for a grade.
func (f *fixture) asking(t *testing.T, p *phone, mode string, least attestation.Grade) {
	t.Helper()
	f.config.Attestation = provisioning.Attestation{Mode: mode, Minimum: least, Judge: judge(p, least)}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
}

// attesting adds evidence to a message, made for its question and the phone's key.
func (p *phone) attesting(m provisioning.Message, grade string) provisioning.Message {
	challenge := m.Question.Challenge()
	m.Evidence = []byte(hash(challenge[:]) + " " + grade)
	return m
}

// TestEvidence: what becomes of a device that nobody knows.
func TestEvidence(t *testing.T) {
	t.Parallel()
	const required, preferred, record = provisioning.AttestationRequired, provisioning.AttestationPreferred, provisioning.AttestationRecord
	none := func(_ *phone, m provisioning.Message) provisioning.Message { return m }
	shows := func(grade string) func(*phone, provisioning.Message) provisioning.Message {
		return func(p *phone, m provisioning.Message) provisioning.Message { return p.attesting(m, grade) }
	}
	stale := func(p *phone, m provisioning.Message) provisioning.Message {
		m.Evidence = p.attesting(p.asks(), "hardware").Evidence // of another question
		return m
	}
	bound := func(p *phone, m provisioning.Message) provisioning.Message {
		csr, err := provisioning.ReadCSR(m.CSR)
		must(p.t, err)
		made := m.Question.Bound(csr.Key)
		m.Evidence = []byte(hash(made[:]) + " tee")
		return m
	}
	for _, tt := range []struct {
		name, mode string
		send       func(*phone, provisioning.Message) provisioning.Message
		refused    provisioning.Reason
		grade      attestation.Grade
	}{
		{"enough", required, shows("tee"), "", attestation.TEE},
		{"more", required, shows("hardware"), "", attestation.Hardware},
		{"bound to the key", required, bound, "", attestation.TEE},
		{"less", required, shows("software"), "attestation_grade", ""},
		{"none", required, none, "attestation_absent", ""},
		{"of another question", required, stale, "attestation_challenge", ""},
		{"enough", preferred, shows("tee"), "", attestation.TEE},
		{"less", preferred, shows("software"), "", attestation.Software},
		{"none", preferred, none, "", ""},
		{"of another question", preferred, stale, "attestation_challenge", ""},
		{"enough", record, shows("tee"), "", attestation.TEE},
		{"none", record, none, "", ""},
		{"of another question", record, stale, "", ""},
	} {
		t.Run(tt.mode+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			f.asking(t, p, tt.mode, attestation.TEE)
			c, err := f.Issue(t.Context(), tt.send(p, p.asks()))
			if tt.refused != "" {
				refused(t, err, tt.refused)
				if f.ca.issued.Load() != 0 || !strings.Contains(f.trail.String(), string(tt.refused)) {
					t.Errorf("%d were issued, and the trail is %s", f.ca.issued.Load(), f.trail.String())
				}
				return
			}
			must(t, err)
			if c.Attestation.Grade != tt.grade || (tt.grade != "") != c.Attestation.At.Equal(f.clock.Now().UTC()) {
				t.Errorf("it has %+v", c.Attestation)
			}
			there, err := f.Present(t.Context(), p.shows(c))
			if err != nil || there.Certificate.Attestation != c.Attestation {
				t.Errorf("at the next session it has %+v, %v", there.Certificate.Attestation, err)
			}
		})
	}
}

// TestEvidenceIsAboutTheKey: a renewal with the same key keeps what was shown of it, and another key has to be shown too.
func TestEvidenceIsAboutTheKey(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	f.asking(t, p, provisioning.AttestationRequired, attestation.TEE)
	first, err := f.Issue(t.Context(), p.attesting(p.asks(), "tee"))
	must(t, err)
	f.present(t, p, first)
	f.clock.Advance(first.NotAfter.Sub(f.clock.Now()) - 1)
	same, err := f.Issue(t.Context(), p.renews(first, p.key))
	must(t, err)
	if same.ID == first.ID || same.Attestation != first.Attestation {
		t.Errorf("with the same key it has %+v", same.Attestation)
	}
	f.present(t, p, same)
	f.clock.Advance(same.NotAfter.Sub(f.clock.Now()) - 1)
	old := p.key
	p.key = newKey(t)
	_, err = f.Issue(t.Context(), p.rekeys(same, old))
	refused(t, err, "attestation_absent")
	another, err := f.Issue(t.Context(), p.attesting(p.rekeys(same, old), "hardware"))
	if err != nil || another.Attestation.Grade != attestation.Hardware || another.Installation != first.Installation {
		t.Errorf("with another key it has %+v, %v", another.Attestation, err)
	}
}

// TestMoreIsShownLater: a renewal with the same key may show more than was known, and what is less or wrong takes nothing away.
func TestMoreIsShownLater(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shows string
		want  attestation.Grade
	}{{"hardware", attestation.Hardware}, {"tee", attestation.TEE}, {"software", attestation.TEE}, {"gold", attestation.TEE}} {
		f, p := newFixture(t), newPhone(t)
		f.asking(t, p, provisioning.AttestationRequired, attestation.TEE)
		first, err := f.Issue(t.Context(), p.attesting(p.asks(), "tee"))
		must(t, err)
		f.present(t, p, first)
		f.clock.Advance(first.NotAfter.Sub(f.clock.Now()) - 1)
		next, err := f.Issue(t.Context(), p.attesting(p.renews(first, p.key), tt.shows))
		if err != nil || next.Attestation.Grade != tt.want {
			t.Errorf("%s: it has %+v, %v", tt.shows, next.Attestation, err)
		}
	}
}

// TestEvidenceIsAskedLater: who had a certificate before evidence was asked for shows it when that is renewed.
func TestEvidenceIsAskedLater(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	before := f.issue(t, p)
	f.asking(t, p, provisioning.AttestationRequired, attestation.TEE)
	f.present(t, p, before)
	f.clock.Advance(before.NotAfter.Sub(f.clock.Now()) - 1)
	_, err := f.Issue(t.Context(), p.renews(before, p.key))
	refused(t, err, "attestation_absent")
	after, err := f.Issue(t.Context(), p.attesting(p.renews(before, p.key), "tee"))
	if err != nil || after.Attestation.Grade != attestation.TEE {
		t.Errorf("it has %+v, %v", after.Attestation, err)
	}
}

// TestNobodyCanJudge: there is no certificate, and nothing was wrong with the device.
func TestNobodyCanJudge(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	f.asking(t, p, provisioning.AttestationRecord, attestation.TEE)
	_, err := f.Issue(t.Context(), p.attesting(p.asks(), "down"))
	if _, no := errors.AsType[*provisioning.Refusal](err); no || !errors.Is(err, errNobody) {
		t.Errorf("it is %v", err)
	}
	for name, a := range map[string]provisioning.Attestation{
		"a mode that is none": {Mode: "maybe", Minimum: attestation.TEE, Judge: judge(p, attestation.TEE)},
		"no grade":            {Mode: "required", Judge: judge(p, attestation.TEE)},
		"nobody who judges":   {Mode: "required", Minimum: attestation.TEE},
	} {
		f.config.Attestation = a
		if _, err := provisioning.New(f.config); err == nil {
			t.Errorf("%s: built", name)
		}
	}
}
