// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity/bulk"
	"github.com/gatehouse-id/gatehouse/storage"
)

// NewUserRequest is what "POST /gatehouse/users" takes.
type NewUserRequest struct {
	Login       string            `json:"login"`
	ExternalRef string            `json:"external_ref,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Password    string            `json:"password,omitempty"`
}

// PasswordRequest is what "POST /gatehouse/users/{user}/password" takes.
type PasswordRequest struct {
	Password string `json:"password"`
}

// StatusRequest is what "POST /gatehouse/users/{user}/status" takes.
type StatusRequest struct {
	Status string `json:"status"` // active, locked or deactivated
	Reason string `json:"reason,omitempty"`
}

// ImportLine is one line of the answer to an import: what became of a line that was not added, or the progress so far, or,
// last, the result.
type ImportLine struct {
	Line    int    `json:"line,omitempty"`
	Error   string `json:"error,omitempty"`
	Added   int    `json:"added"`
	Skipped int    `json:"skipped"`
	Failed  int    `json:"failed"`
	Done    bool   `json:"done,omitempty"`
}

// findUser returns a user by id or, where it is none, by login name.
func findUser(ctx context.Context, app *caddymodule.App, name string) (identity.User, error) {
	user, err := app.Identity().Get(ctx, name)
	if errors.Is(err, storage.ErrNotFound) {
		user, err = app.Identity().ByLogin(ctx, name)
	}
	if err != nil {
		return identity.User{}, fmt.Errorf("looking for the user %q: %w", name, err)
	}
	return user, nil
}

func listUsers(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	most, err := limit(r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	if prefix := query.Get("login_prefix"); prefix != "" {
		page, err := app.Identity().ByLoginPrefix(r.Context(), prefix, query.Get("after"), most)
		return nonNil(page.Users), err
	}
	users, err := app.Identity().List(r.Context(), query.Get("after"), most)
	return nonNil(users), err
}

func showUser(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	return findUser(r.Context(), app, r.PathValue("user"))
}

func addUser(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in NewUserRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	user, err := app.Identity().Add(r.Context(), identity.NewUser{
		Profile:  identity.Profile{Logins: []string{in.Login}, ExternalRef: in.ExternalRef, Attributes: in.Attributes},
		Password: in.Password,
	})
	return user, attempted(app, r, audit.Event{Name: "user.add", Subject: user.ID}, err)
}

func setPassword(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in PasswordRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	user, err := findUser(r.Context(), app, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	user, err = app.Identity().SetPassword(r.Context(), user.ID, in.Password)
	return user, changed(app, r, "user.password", user.ID, err)
}

func setStatus(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var in StatusRequest
	if err := body(w, r, &in); err != nil {
		return nil, err
	}
	user, err := findUser(r.Context(), app, r.PathValue("user"))
	if err != nil {
		return nil, err
	}
	act, ok := statusActions[identity.Status(in.Status)]
	if !ok {
		return nil, fmt.Errorf("status %q is none of active, locked, deactivated: %w", in.Status, errRequest)
	}
	changedUser, err := act.do(app.Identity(), r.Context(), user.ID, in.Reason)
	if err == nil && changedUser.Status == identity.Deactivated {
		err = app.Phones().TakeOut(r.Context(), user.ID, handset.ReasonUserDeactivated)
	}
	return changedUser, changed(app, r, act.event, user.ID, err)
}

// statusAction is what an operator does when a user's status is to change.
type statusAction struct {
	event string
	do    func(users *identity.Store, ctx context.Context, id, reason string) (identity.User, error)
}

var statusActions = map[identity.Status]statusAction{
	identity.Active: {"user.unlock", func(users *identity.Store, ctx context.Context, id, _ string) (identity.User, error) {
		return users.Unlock(ctx, id)
	}},
	identity.Locked:      {"user.lock", (*identity.Store).Lock},
	identity.Deactivated: {"user.deactivate", (*identity.Store).Deactivate},
}

// changed tells the gate of what a change has revoked, before the operator is answered, and writes the audit trail.
func changed(app *caddymodule.App, r *http.Request, event, subject string, err error) error {
	if err == nil {
		err = app.View().Refresh(r.Context())
	}
	return attempted(app, r, audit.Event{Name: event, Subject: subject}, err)
}

// attempted writes to the audit trail what an operator could not do to a user. What he could was written with the change, and
// is only logged.
func attempted(app *caddymodule.App, r *http.Request, e audit.Event, err error) error {
	if err != nil {
		return audited(app, r, e, err)
	}
	e.Outcome = audit.Accepted
	app.Trail().Log(r.Context(), e)
	return nil
}

// audited writes an operator's action to the audit trail, whether or not it succeeded. An error of ours names what was
// wrong and repeats no secret.
func audited(app *caddymodule.App, r *http.Request, e audit.Event, err error) error {
	e.Outcome = "done"
	if err != nil {
		e.Outcome, e.Reason = "failed", strings.TrimPrefix(e.Reason+": "+err.Error(), ": ")
	}
	return errors.Join(err, app.Trail().Record(r.Context(), e))
}

// importUsers reads users from the body, line by line, and answers line by line as well, so that a long import shows how
// far it is and which lines were bad. With dry_run=true it says what would become of each line, and adds nobody.
func importUsers(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	format := bulk.NDJSON
	if strings.HasPrefix(r.Header.Get("Content-Type"), "text/csv") {
		format = bulk.CSV
	}
	dry := dryRun(r)
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	answer := &importAnswer{encoder: json.NewEncoder(w), flush: control.Flush}
	if err := control.EnableFullDuplex(); err != nil {
		answer.flush = func() error { return nil } // HTTP/2 needs no such leave; without it the answer comes at the end
	}
	// The admin endpoint gives a request some seconds; an import takes as long as it takes.
	if err := errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})); err != nil {
		return nil, fmt.Errorf("giving the import its time: %w", err)
	}
	progress, err := bulk.Import(r.Context(), app.Identity(), bulk.Source{
		Reader: r.Body, Format: format, OnLine: answer.line, OnProgress: answer.progress, Dry: dry,
	})
	counts := fmt.Sprintf("added %d, skipped %d, failed %d", progress.Added, progress.Skipped, progress.Failed)
	if dry {
		answer.last(progress, err)
		return nil, nil
	}
	r = r.WithContext(context.WithoutCancel(r.Context())) // also of an operator who has gone
	answer.last(progress, audited(app, r, audit.Event{Name: "user.import", Reason: counts}, err))
	return nil, nil
}

type importAnswer struct {
	encoder *json.Encoder
	flush   func() error
	told    int // the line of the last progress that was sent
}

// progressEvery is how many lines there are between two reports of progress.
const progressEvery = 1000

func (a *importAnswer) send(l ImportLine) {
	if a.encoder.Encode(l) == nil {
		_ = a.flush() // a client that has gone is noticed by the next read
	}
}

func (a *importAnswer) line(l bulk.LineResult) {
	if l.Err != nil {
		a.send(ImportLine{Line: l.Line, Error: l.Err.Error()})
	}
}

func (a *importAnswer) progress(p bulk.Progress) {
	if p.Line-a.told < progressEvery {
		return
	}
	a.told = p.Line
	a.send(ImportLine{Line: p.Line, Added: p.Added, Skipped: p.Skipped, Failed: p.Failed})
}

func (a *importAnswer) last(p bulk.Progress, err error) {
	l := ImportLine{Line: p.Line, Added: p.Added, Skipped: p.Skipped, Failed: p.Failed, Done: true}
	if err != nil && !errors.Is(err, io.EOF) {
		l.Error = err.Error()
	}
	a.send(l)
}

// nonNil keeps an empty list a list in JSON.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
