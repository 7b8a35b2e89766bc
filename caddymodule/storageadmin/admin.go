// SPDX-License-Identifier: Apache-2.0

package storageadmin

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/operator"
	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/check"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

func init() { caddy.RegisterModule(Admin{}) }

// Path is where the routes are.
const Path = operator.Path + "storage"

// Admin offers them.
type Admin struct {
	mux *http.ServeMux
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.gatehouse_storage", New: func() caddy.Module { return new(Admin) }}
}

// Provision mounts the routes.
func (a *Admin) Provision(caddy.Context) error {
	a.mux = http.NewServeMux()
	for pattern, act := range map[string]func(*caddymodule.App, http.ResponseWriter, *http.Request) error{
		"GET " + Path: info, "GET " + Path + "/export": export, "GET " + Path + "/stats": stats, "POST " + Path + "/check": look,
	} {
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			app, err := caddymodule.Running()
			if err == nil {
				r = r.WithContext(audit.WithActor(r.Context(), audit.Actor{By: "operator"}))
				err = act(app, w, r)
			}
			if err != nil {
				problem(w, err)
			}
		})
	}
	return nil
}

// Routes mounts the API.
func (a *Admin) Routes() []caddy.AdminRoute {
	serve := caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		a.mux.ServeHTTP(w, r)
		return nil
	})
	return []caddy.AdminRoute{{Pattern: Path, Handler: serve}, {Pattern: Path + "/", Handler: serve}}
}

func problem(w http.ResponseWriter, err error) {
	const status = http.StatusServiceUnavailable
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(operator.Problem{Status: status, Title: http.StatusText(status), Detail: err.Error()}) // nobody else to tell
}

func answer(w http.ResponseWriter, result any) error {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result) // the client has gone; there is nobody to tell
	return nil
}

// Info is what "GET /gatehouse/storage" answers.
type Info struct {
	// Store names the store that the server has open.
	Store string `json:"store"`
}

func info(app *caddymodule.App, w http.ResponseWriter, _ *http.Request) error {
	return answer(w, Info{Store: app.StoreKey()})
}

// NewHeader describes an export that is taken now.
func NewHeader(store string, sealer storage.Sealer, now time.Time) (transfer.Header, error) {
	probe, err := transfer.Probe(sealer)
	engine, _, _ := strings.Cut(store, ":")
	_, release := caddy.Version()
	header := transfer.Header{ID: randid.New("exp"), MadeAt: now.UTC(), Source: engine, Release: release, Probe: probe, Sealer: sealer}
	return header, err
}

// export sends a snapshot of the store. One that comes to no end breaks off, and lacks its last part.
func export(app *caddymodule.App, w http.ResponseWriter, r *http.Request) error {
	node := app.Node()
	header, err := NewHeader(app.StoreKey(), node, time.Now())
	if err != nil {
		return err
	}
	begun := &begunWriter{ResponseWriter: w}
	w.Header().Set("Content-Type", "application/octet-stream")
	event := audit.Event{Name: "storage.export", Object: "export:" + header.ID, Outcome: "done"}
	if err := app.Trail().Record(r.Context(), event); err != nil {
		return err
	}
	_, err = transfer.Export(r.Context(), node, begun, header, nil)
	if err != nil && begun.begun {
		panic(http.ErrAbortHandler)
	}
	return err
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

func stats(app *caddymodule.App, w http.ResponseWriter, r *http.Request) error {
	var found check.Stats
	err := transfer.Snapshot(r.Context(), app.Node(), func(items iter.Seq2[storage.Item, error]) (err error) {
		found, err = check.Count(items, time.Now(), nil)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, found)
}

// Line is one line of the answer to "POST /gatehouse/storage/check": how far it is, and at the end what came of it.
type Line struct {
	Items  int64         `json:"items,omitempty"`
	Report *check.Report `json:"report,omitempty"`
	Error  string        `json:"error,omitempty"`
}

// look checks the store, and mends indexes with repair=true.
func look(app *caddymodule.App, w http.ResponseWriter, r *http.Request) error {
	control, encoder := http.NewResponseController(w), json.NewEncoder(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	checker := check.Checker{
		DB: app.Node(), Tables: tables.All(app.Node()), Bare: tables.Bare, Repair: r.URL.Query().Get("repair") == "true",
		Progress: func(items int64) {
			_ = errors.Join(encoder.Encode(Line{Items: items}), control.Flush()) // who has gone cancels the request
		},
	}
	report, err := checker.Run(r.Context())
	if err == nil && checker.Repair {
		event := audit.Event{Name: "storage.repair", Reason: fmt.Sprintf("%d found, %d mended", report.Found, report.Mended), Outcome: "done"}
		err = app.Trail().Record(r.Context(), event)
	}
	if err != nil {
		return encoder.Encode(Line{Error: err.Error()})
	}
	return encoder.Encode(Line{Report: &report})
}

// Interface guards.
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ caddy.Provisioner = (*Admin)(nil)
)
