// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// listAudit answers a page of events, those of the last day unless since says otherwise.
func listAudit(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	q, err := auditQuery(app, r)
	if err != nil {
		return nil, err
	}
	if q.Since.IsZero() {
		q.Since = time.Now().Add(-24 * time.Hour)
	}
	if q.Limit, err = limit(r); err != nil {
		return nil, err
	}
	return app.Trail().Query(r.Context(), q)
}

// exportAudit sends every event that fits as a line of JSON. An export that comes to no end breaks off, so that nobody takes a part
// for the whole.
func exportAudit(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	q, err := auditQuery(app, r)
	if err != nil {
		return nil, err
	}
	begun := &begunWriter{ResponseWriter: w}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, err = app.Trail().Export(r.Context(), q, begun)
	if err != nil && begun.begun {
		panic(http.ErrAbortHandler)
	}
	return nil, err
}

// begunWriter knows whether an answer has begun.
type begunWriter struct {
	http.ResponseWriter
	begun bool
}

// Write begins the answer.
func (w *begunWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// verifyAudit checks the whole trail, and that the heads in the query are in it.
func verifyAudit(app *caddymodule.App, _ http.ResponseWriter, r *http.Request) (any, error) {
	var noted []audit.Head
	for _, text := range r.URL.Query()["head"] {
		head, err := audit.ParseHead(text)
		if err != nil {
			return nil, err
		}
		noted = append(noted, head)
	}
	return app.Trail().Verify(r.Context(), noted...)
}

// auditQuery reads the filters. A user is named as elsewhere; one who is not there any more, by the id.
func auditQuery(app *caddymodule.App, r *http.Request) (q audit.Query, err error) {
	v := r.URL.Query()
	q = audit.Query{
		Name: v.Get("name"), Outcome: v.Get("outcome"), Subject: v.Get("user"), DeviceID: v.Get("device"), Operation: v.Get("operation"),
		ClientID: v.Get("client"), By: v.Get("by"), Object: v.Get("object"), After: v.Get("after"),
	}
	for name, at := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := v.Get(name); text != "" {
			if *at, err = time.Parse(time.RFC3339, text); err != nil {
				return q, fmt.Errorf("%s is not a time such as 2026-01-31T12:00:00Z: %w", name, errRequest)
			}
		}
	}
	if q.Subject == "" {
		return q, nil
	}
	switch user, err := findUser(r.Context(), app, q.Subject); {
	case err == nil:
		q.Subject = user.ID
	case !errors.Is(err, storage.ErrNotFound):
		return q, err
	}
	return q, nil
}
