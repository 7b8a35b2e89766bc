// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

func init() { caddy.RegisterModule(Admin{}) }

// Path begins every route of the operator's API on Caddy's admin endpoint.
const Path = "/gatehouse/"

// maxBody bounds a request to the admin API, but for imports.
const maxBody = 64 << 10

// Admin offers the operator's actions on Caddy's admin endpoint: whoever reaches that endpoint controls the server, so it
// belongs on a loopback address or a Unix socket. No route returns a secret.
type Admin struct {
	mux *http.ServeMux
}

// CaddyModule returns the Caddy module information.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.gatehouse", New: func() caddy.Module { return new(Admin) }}
}

// Provision mounts the routes. The app they work on is looked up at each request, since it is provisioned after them. After a
// reload that failed Caddy's admin endpoint belongs to the configuration that never ran, whose apps may not have come as far
// as to register what they count, so that is done here as well.
func (a *Admin) Provision(ctx caddy.Context) error {
	a.mux = http.NewServeMux()
	for pattern, serve := range map[string]action{
		"GET /gatehouse/health":                 health,
		"GET /gatehouse/users":                  listUsers,
		"POST /gatehouse/users":                 addUser,
		"POST /gatehouse/users/import":          importUsers,
		"GET /gatehouse/users/{user}":           showUser,
		"POST /gatehouse/users/{user}/password": setPassword,
		"POST /gatehouse/users/{user}/status":   setStatus,
		"GET /gatehouse/keys":                   listKeys,
		"POST /gatehouse/keys/rotate":           rotateKeys,
		"DELETE /gatehouse/keys/{kid}":          revokeKey,
		"GET /gatehouse/clients":                listInstances,
		"GET /gatehouse/clients/{client}":       showInstance,
		"DELETE /gatehouse/clients/{client}":    deleteInstance,
		"GET /gatehouse/client-tokens":          listInitialTokens,
		"POST /gatehouse/client-tokens":         issueInitialToken,
		"DELETE /gatehouse/client-tokens/{id}":  revokeInitialToken,
		"GET /gatehouse/sessions":               listSessions,
		"DELETE /gatehouse/sessions/{session}":  endSession,
		"POST /gatehouse/tokens/inspect":        inspectToken,
		"GET /gatehouse/audit":                  listAudit,
		"GET /gatehouse/audit/export":           exportAudit,
		"GET /gatehouse/audit/verify":           verifyAudit,
		"GET /gatehouse/outbox":                 listLetters,
		"POST /gatehouse/outbox/resend":         resendLetter,
		"POST /gatehouse/outbox/discard":        discardLetter,
		"GET /gatehouse/receipts/roots":         receiptRoots,
		"POST /gatehouse/policy":                explainPolicy,
		"GET /gatehouse/mobile/status":          mobileStatus,
		"POST /gatehouse/mobile/test/push":      testPush,
		"POST /gatehouse/mobile/test/sms":       testSMS,

		"GET /gatehouse/certificates":               listCertificates,
		"DELETE /gatehouse/certificates/{device}":   revokeCertificates,
		"GET /gatehouse/authorities":                listAuthorities,
		"DELETE /gatehouse/authorities/{authority}": revokeAuthority,

		"GET /gatehouse/applications":                                     listApplications,
		"GET /gatehouse/applications/{application}":                       showApplication,
		"POST /gatehouse/applications/{application}/versions":             setVersion,
		"DELETE /gatehouse/applications/{application}/versions/{version}": unsetVersion,
	} {
		a.mux.HandleFunc(pattern, serve.serve)
	}
	return meter.Register(ctx.GetMetricsRegistry())
}

// Routes mounts the API.
func (a *Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: Path, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		a.mux.ServeHTTP(w, r)
		return nil
	})}}
}

// action is one operator's action. What it returns is sent as JSON, unless it has written an answer itself.
type action func(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error)

func (act action) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	app, err := caddymodule.Running()
	if err != nil {
		problem(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	r = r.WithContext(audit.WithActor(r.Context(), audit.Actor{By: "operator"}))
	result, err := act(app, w, r)
	if err != nil {
		problem(w, statusOf(err), err.Error())
		return
	}
	if result != nil {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(result) // the client has gone; there is nobody to tell
	}
}

// Problem is an error answer of the admin API (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Problem{Status: status, Title: http.StatusText(status), Detail: detail})
}

// errRequest is wrapped by what the operator can mend in the request itself.
var errRequest = errors.New("the request is not usable")

func statusOf(err error) int {
	for status, kinds := range map[int][]error{
		http.StatusNotFound:   {storage.ErrNotFound, keyset.ErrNoKey, mobileauth.ErrNoApplication, mobileauth.ErrNoOverride, errNoRegistration},
		http.StatusConflict:   {storage.ErrExists, identity.ErrVersion, identity.ErrTransition, keyset.ErrTooEarly},
		http.StatusBadRequest: {identity.ErrInvalid, identity.ErrHash, mobileauth.ErrInvalid, errRequest, policy.ErrQuestion, audit.ErrQuery, phones.ErrTrial, registration.ErrOrder},
		http.StatusServiceUnavailable: {
			storage.ErrClosed, storage.ErrConflict, storage.ErrFull, storage.ErrUnavailable, storage.ErrUnknown, identity.ErrBusy,
			context.DeadlineExceeded,
		},
	} {
		for _, kind := range kinds {
			if errors.Is(err, kind) {
				return status
			}
		}
	}
	return http.StatusInternalServerError
}

// body reads a JSON request strictly.
func body(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("reading the request: %w: %w", errRequest, err)
	}
	if decoder.More() {
		return fmt.Errorf("reading the request: %w: more follows the JSON object", errRequest)
	}
	return nil
}

// How many items a list has unless told, and at most.
const (
	UsualList = 100
	MaxList   = 1000
)

// limit reads how many items a list may have.
func limit(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return UsualList, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("limit is not a number above 0: %w", errRequest)
	}
	return min(n, MaxList), nil
}

// Interface guards.
var (
	_ caddy.AdminRouter = (*Admin)(nil)
	_ caddy.Provisioner = (*Admin)(nil)
)
