// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/audit"
)

// PushTestRequest is what "POST /gatehouse/mobile/test/push" takes.
type PushTestRequest struct {
	Device string `json:"device"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// mobileTest is the audit event of a test.
const mobileTest = "mobile.test"

// mobileStatus tells how people are asked, and how that goes.
func mobileStatus(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	p, err := mobile(app)
	if err != nil {
		return nil, err
	}
	return p.ChannelStatus(r.Context())
}

// testPush sends a notification to a phone, for which it answers whatever came of it.
func testPush(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in PushTestRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	p, err := mobile(app)
	if err != nil {
		return nil, err
	}
	trial, err := p.TestPush(r.Context(), in.Device, in.DryRun)
	trial.DryRun = in.DryRun // also of one that could not be begun
	e := audit.Event{
		Name: mobileTest, Object: "push", DeviceID: trial.Device, Subject: trial.User, Operation: trial.Operation,
	}
	if trial.Service != "" {
		e.Object += ":" + trial.Service
	}
	return trial, tried(app, r, e, &trial.Trial, err)
}

// testSMS sends a message to a number, for which it answers whatever came of it.
func testSMS(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in phones.SMSTest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	p, err := mobile(app)
	if err != nil {
		return nil, err
	}
	trial, err := p.TestSMS(r.Context(), in)
	trial.DryRun = in.DryRun // also of one that could not be begun
	e := audit.Event{Name: mobileTest, Object: "sms", Reason: trial.To}
	if trial.Gateway != "" {
		e.Object += ":" + trial.Gateway
	}
	return trial, tried(app, r, e, &trial.Trial, err)
}

func mobile(app *caddymodule.App) (*phones.Phones, error) {
	if app.Phones() == nil {
		return nil, fmt.Errorf("%w: %w", errNoPhones, errRequest)
	}
	return app.Phones(), nil
}

// tried writes a test to the audit trail, also of an operator who has gone: it was sent, and may have cost money. One that only says
// what it would do is not written.
func tried(app *caddymodule.App, r *http.Request, e audit.Event, t *phones.Trial, err error) error {
	if t.DryRun {
		return err
	}
	r = r.WithContext(context.WithoutCancel(r.Context()))
	if err != nil || t.Failure == nil {
		return audited(app, r, e, err)
	}
	e.Outcome = "failed"
	for _, word := range []string{t.Failure.Class, t.Failure.Reason} {
		switch {
		case e.Reason == "":
			e.Reason = word
		case word != "":
			e.Reason += ": " + word
		}
	}
	return app.Trail().Record(r.Context(), e)
}
