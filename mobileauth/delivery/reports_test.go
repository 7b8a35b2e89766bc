// SPDX-License-Identifier: Apache-2.0

package delivery_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
)

func reports(t *testing.T, w *world) *delivery.Reports {
	t.Helper()
	db, err := memstore.Open(memstore.Config{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // nothing is kept
	r := delivery.NewReports(delivery.ReportsConfig{DB: db, Operations: ops{w}, Audit: w, Now: w.Now, Observe: w.Observe})
	o := w.ask(bySMS)
	for range 2 { // an outbox delivers at least once
		if err := r.Accepted(t.Context(), delivery.Accepted{Operation: &o, Gateway: "twilio", ID: "SM1", At: start}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestReports: research section 4.2, facts that only go forward.
func TestReports(t *testing.T) {
	t.Parallel()
	failed := func(c sms.Class) sms.Report {
		return sms.Report{ID: "SM1", State: sms.Failed, Class: c, Reason: "30003"}
	}
	sent, delivered := sms.Report{ID: "SM1", State: sms.Sent}, sms.Report{ID: "SM1", State: sms.Delivered}
	for _, c := range []struct {
		name    string
		reports []sms.Report
		want    []delivery.Outcome
		ended   bool
		events  int
	}{
		{name: "sent and delivered", reports: []sms.Report{sent, delivered},
			want: []delivery.Outcome{"reported_sent", "reported_delivered"}},
		{name: "twice", reports: []sms.Report{sent, sent, delivered, delivered},
			want: []delivery.Outcome{"reported_sent", "reported_delivered"}},
		{name: "late", reports: []sms.Report{delivered, sent}, want: []delivery.Outcome{"reported_delivered"}},
		{name: "a number that takes none", reports: []sms.Report{sent, failed(sms.Number)},
			want: []delivery.Outcome{"reported_sent", "reported_failed"}, ended: true, events: 1},
		{name: "a failure that says nothing of the number", reports: []sms.Report{failed(sms.Ambiguous)},
			want: []delivery.Outcome{"reported_failed"}, events: 1},
		{name: "somebody repeats an old one", reports: []sms.Report{delivered, failed(sms.Number)},
			want: []delivery.Outcome{"reported_delivered"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			r := reports(t, w)
			for _, report := range c.reports {
				if err := r.Told(t.Context(), "twilio", report); err != nil {
					t.Fatal(err)
				}
			}
			var got []delivery.Outcome
			for _, o := range w.observed {
				got = append(got, o.Outcome)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if c.ended != (len(w.notSent) == 1) || len(w.events) != c.events {
				t.Errorf("ended %v, events %+v", w.notSent, w.events)
			}
		})
	}
}

func TestReportsOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := reports(t, w)
	for name, tell := range map[string]func() error{
		"another id":        func() error { return r.Told(t.Context(), "twilio", sms.Report{ID: "SM2", State: sms.Sent}) },
		"another gateway":   func() error { return r.Told(t.Context(), "second", sms.Report{ID: "SM1", State: sms.Sent}) },
		"no id":             func() error { return r.Told(t.Context(), "twilio", sms.Report{State: sms.Sent}) },
		"a name with an id": func() error { return r.Told(t.Context(), "twi", sms.Report{ID: "lio\nSM1", State: sms.Sent}) },
	} {
		before := len(w.observed)
		if err := tell(); !errors.Is(err, sms.ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.observed) != before+1 || w.observed[before].Outcome != delivery.ReportedUnknown {
			t.Errorf("%s: observed %+v", name, w.observed[before:])
		}
	}
	var nobody operation.Operation
	if err := r.Accepted(t.Context(), delivery.Accepted{Operation: &nobody, Gateway: "twilio"}); err != nil {
		t.Error(err)
	}
	if err := r.Told(t.Context(), "twilio", sms.Report{State: sms.Sent}); !errors.Is(err, sms.ErrUnknown) {
		t.Errorf("a message that the gateway calls nothing: %v", err)
	}
	w.now = start.Add(delivery.KeepReports + time.Second)
	if err := r.Told(t.Context(), "twilio", sms.Report{ID: "SM1", State: sms.Sent}); !errors.Is(err, sms.ErrUnknown) {
		t.Errorf("a day later: %v", err)
	}
}

func TestReportOfForgottenOperation(t *testing.T) {
	t.Parallel()
	w := newWorld()
	r := reports(t, w)
	delete(w.operations, "op_1")
	if err := r.Told(t.Context(), "twilio", sms.Report{ID: "SM1", State: sms.Failed, Class: sms.Number}); err != nil {
		t.Error(err)
	}
}
