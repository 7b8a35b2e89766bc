// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// operator is both hooks. What it says can be changed while it is asked.
type operator struct {
	request, session func() (provisioning.Verdict, error)

	applicants []provisioning.Applicant
	sessions   []provisioning.Session
}

func yes() (provisioning.Verdict, error) { return provisioning.Verdict{Accepted: true}, nil }

func (o *operator) ValidateRequest(_ context.Context, a provisioning.Applicant) (provisioning.Verdict, error) {
	o.applicants = append(o.applicants, a)
	return o.request()
}

func (o *operator) ValidateCertificate(_ context.Context, s provisioning.Session) (provisioning.Verdict, error) {
	o.sessions = append(o.sessions, s)
	return o.session()
}

// newCustom is a fixture whose operator decides, and says yes at first.
func newCustom(t *testing.T) (*fixture, *operator) {
	t.Helper()
	f, o := newFixture(t), &operator{request: yes, session: yes}
	f.config.Hooks = provisioning.Hooks{Request: o, Certificate: o}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	return f, o
}

// TestHooksAreTold what a device says, once for its request and at each of its sessions.
func TestHooksAreTold(t *testing.T) {
	t.Parallel()
	f, o := newCustom(t)
	p := newPhone(t)
	p.csr.Subject.CommonName = "wish"
	m := p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["custom"] = map[string]any{"code": "1234"} })
	c, err := f.Issue(t.Context(), m)
	must(t, err)
	if len(o.applicants) != 1 || len(o.sessions) != 0 {
		t.Fatalf("asked were %d and %d questions", len(o.applicants), len(o.sessions))
	}
	a := o.applicants[0]
	if a.Realm != "device" || a.Entity != application || a.Installation != c.Installation || a.CSR.Parsed.Subject.CommonName != "wish" ||
		a.CSR.Key != c.Key || a.Claims.Custom["code"] != "1234" || a.Claims.App.ID != "bank" || a.Caller != m.Caller {
		t.Errorf("it is told %+v", a)
	}
	f.present(t, p, c)
	f.present(t, p, c)
	again, err := f.Issue(t.Context(), p.asks()) // the answer was lost
	must(t, err)
	f.clock.Advance(70 * day)
	renewed, err := f.Issue(t.Context(), p.renews(again, p.key))
	must(t, err)
	f.present(t, p, renewed)
	if len(o.applicants) != 1 || len(o.sessions) != 3 {
		t.Fatalf("asked were %d and %d questions", len(o.applicants), len(o.sessions))
	}
	if s := o.sessions[2]; s.Realm != "device" || s.Certificate.ID != renewed.ID || s.Claims.App.ID != "bank" || s.Caller != m.Caller {
		t.Errorf("it is told %+v", s)
	}
}

// TestHooksDecide what the certificate says, and what is known of the device: for good, and for a session. A renewal keeps it, and so
// does what follows when the certificate is over.
func TestHooksDecide(t *testing.T) {
	t.Parallel()
	f, o := newCustom(t)
	p := newPhone(t)
	p.csr.Subject.CommonName = "wish"
	subject := pkix.Name{
		CommonName: "Field tablet 7", Organization: []string{"Example"}, Country: []string{"NL"},
		ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 12}, Value: "van"}},
	}
	o.request = func() (provisioning.Verdict, error) {
		return provisioning.Verdict{Accepted: true, Subject: subject, Attributes: map[string]string{"contract": "C-1", "plan": "basic"}}, nil
	}
	o.session = func() (provisioning.Verdict, error) {
		return provisioning.Verdict{Accepted: true, Attributes: map[string]string{"plan": "gold"}}, nil
	}
	c := f.issue(t, p)
	check := func(c provisioning.Certificate) {
		t.Helper()
		leaf, err := c.Leaf()
		must(t, err)
		if leaf.Subject.CommonName != "Field tablet 7" || len(leaf.Subject.Names) != 4 || len(leaf.URIs) != 1 || c.Subject() != leaf.Subject.String() {
			t.Errorf("the subject is %q", c.Subject())
		}
		there, err := f.Present(t.Context(), p.shows(c))
		must(t, err)
		if diff := cmp.Diff(map[string]string{"contract": "C-1", "plan": "gold"}, there.Attributes); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]string{"contract": "C-1", "plan": "basic"}, there.Certificate.Attributes); diff != "" {
			t.Error(diff)
		}
	}
	check(c)
	f.clock.Advance(70 * day)
	second, err := f.Issue(t.Context(), p.renews(c, p.key))
	must(t, err)
	check(second)
	f.clock.Set(second.NotAfter)
	third, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	check(third)
	if len(o.applicants) != 1 {
		t.Errorf("it was asked %d times", len(o.applicants))
	}
}

// TestHooksRefuse: nothing is issued and nothing is kept, the operator's words are there for the person, and the device may try again
// with the key that it has.
func TestHooksRefuse(t *testing.T) {
	t.Parallel()
	f, o := newCustom(t)
	p := newPhone(t)
	no := func() (provisioning.Verdict, error) {
		return provisioning.Verdict{Text: "This code was used before."}, nil
	}
	o.request = no
	for range 2 {
		c, err := f.Issue(t.Context(), p.asks())
		refused(t, err, provisioning.ReasonRequestRefused)
		if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal.Text != "This code was used before." || c.ID != "" {
			t.Errorf("the answer is %+v, %v", c, refusal)
		}
	}
	if f.ca.issued.Load() != 0 || !strings.Contains(f.trail.String(), "request_refused") {
		t.Errorf("%d were issued, and the trail says %s", f.ca.issued.Load(), &f.trail)
	}
	o.request, o.session = yes, no
	c, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	for range 2 {
		there, err := f.Present(t.Context(), p.shows(c))
		refused(t, err, provisioning.ReasonCertificateRefused)
		if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal.Text == "" || refusal.Installation != c.Installation || there.Claims.App.ID != "" {
			t.Errorf("the answer is %+v, %v", there, refusal)
		}
	}
	o.session = yes
	f.clock.Advance(2 * time.Hour) // it was shown, so it is known
	f.present(t, p, c)
}

// TestHooksFail: nobody is let in by a hook that is down or says what cannot be, nothing is kept, and it is no refusal.
func TestHooksFail(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 17 {
		many[strings.Repeat("a", i+1)] = ""
	}
	long := strings.Repeat("a", 257)
	for name, answer := range map[string]func() (provisioning.Verdict, error){
		"down": func() (provisioning.Verdict, error) {
			return provisioning.Verdict{Accepted: true}, errors.New("no route")
		},
		"a refusal of ours": func() (provisioning.Verdict, error) {
			return provisioning.Verdict{}, &provisioning.Refusal{Reason: provisioning.ReasonKeyReused}
		},
		"many attributes":      says(provisioning.Verdict{Accepted: true, Attributes: many}),
		"a long attribute":     says(provisioning.Verdict{Accepted: true, Attributes: map[string]string{"a": long}}),
		"a nameless attribute": says(provisioning.Verdict{Accepted: true, Attributes: map[string]string{"": "a"}}),
		"a hidden attribute":   says(provisioning.Verdict{Accepted: true, Attributes: map[string]string{"a": "b\u202ec"}}),
		"a long subject":       says(provisioning.Verdict{Accepted: true, Subject: pkix.Name{CommonName: strings.Repeat("a", 65)}}),
		"a double subject":     says(provisioning.Verdict{Accepted: true, Subject: pkix.Name{Organization: []string{"a", "b"}}}),
		"a hidden subject":     says(provisioning.Verdict{Accepted: true, Subject: pkix.Name{CommonName: "a\nb"}}),
		"a long text":          says(provisioning.Verdict{Text: long}),
		"a hidden text":        says(provisioning.Verdict{Text: "a\nb"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, o := newCustom(t)
			p := newPhone(t)
			fails := func(err error) {
				t.Helper()
				if _, refused := errors.AsType[*provisioning.Refusal](err); refused || !errors.Is(err, provisioning.ErrHook) {
					t.Errorf("the answer is %v", err)
				}
				if said := f.trail.String(); !strings.Contains(said, provisioning.EventFailed) || !strings.Contains(said, "hook_failed") {
					t.Errorf("the trail says %s", said)
				}
				f.trail.Reset()
			}
			o.request = answer
			c, err := f.Issue(t.Context(), p.asks())
			if fails(err); c.ID != "" || f.ca.issued.Load() != 0 {
				t.Errorf("issued was %+v", c)
			}
			o.request = yes
			c = f.issue(t, p)
			if o.session = answer; strings.Contains(name, "subject") {
				return // sessions have none
			}
			there, err := f.Present(t.Context(), p.shows(c))
			if fails(err); there.Certificate.ID != "" {
				t.Errorf("there is %+v", there)
			}
		})
	}
}

func says(v provisioning.Verdict) func() (provisioning.Verdict, error) {
	return func() (provisioning.Verdict, error) { return v, nil }
}

// TestNobodyIsAskedInVain: a request or an answer that is bad anyway does not reach the operator, and neither do strangers for whom
// nothing is left.
func TestNobodyIsAskedInVain(t *testing.T) {
	t.Parallel()
	f, o := newCustom(t)
	p := newPhone(t)
	c := f.issue(t, p)
	before := len(o.applicants) + len(o.sessions)
	thief := newPhone(t)
	for _, m := range []provisioning.Message{
		thief.message(provisioning.TypRequest, "", p.key, nil), thief.as("bank", "1.0"), p.renews(c, thief.key),
	} {
		if _, err := f.Issue(t.Context(), m); err == nil {
			t.Error("it was issued")
		}
	}
	if _, err := f.Present(t.Context(), p.message(provisioning.TypPresence, c.ID, thief.key, nil)); err == nil {
		t.Error("it is there")
	}
	if _, err := f.Revoke(t.Context(), c.Installation); err != nil {
		t.Error(err)
	}
	if _, err := f.Present(t.Context(), p.shows(c)); err == nil {
		t.Error("it is there")
	}
	if n := len(o.applicants) + len(o.sessions); n != before {
		t.Errorf("the operator was asked %d times", n-before)
	}
}

// TestAuthorityIgnoresTheSubject: an authority that leaves out, changes or adds a name has not issued what was ordered.
func TestAuthorityIgnoresTheSubject(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*x509.Certificate){
		"left out": func(c *x509.Certificate) { c.Subject = pkix.Name{} },
		"changed":  func(c *x509.Certificate) { c.Subject.CommonName = "another" },
		"added":    func(c *x509.Certificate) { c.Subject.Organization = []string{"another"} },
	} {
		f, o := newCustom(t)
		o.request = says(provisioning.Verdict{Accepted: true, Subject: pkix.Name{CommonName: "tablet"}})
		f.ca.break_ = func(chain []*x509.Certificate, err error) ([]*x509.Certificate, error) {
			must(t, err)
			return reissue(change)(t, f, chain)
		}
		if _, err := f.Issue(t.Context(), newPhone(t).asks()); !errors.Is(err, provisioning.ErrAuthority) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
