// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Path is where the API is, below the issuer.
const Path = "/api/v1"

// Caller is the client that a request comes from, and what it may do.
type Caller = wire.Caller

// Authenticator finds out who is calling. Its refusals are *oauth.Error. It may replace the body of the request, where that
// is a form which carries credentials beside the request proper.
type Authenticator interface {
	Authenticate(r *http.Request) (Caller, error)
}

// Applications are the apps whose devices can be asked. A [mobileauth.Registry] knows them.
type Applications interface {
	List() []mobileauth.Listing
	Find(id string) (mobileauth.Listing, error)
}

// Callbacks knows which client may be told where.
type Callbacks interface {
	// Allowed returns nil if a client may name a URL for its callbacks, else why not, in words that may be sent to it.
	Allowed(clientID, url string) error
}

// Config is what an API is assembled from. All fields are required but those that say otherwise.
type Config struct {
	// Issuer is the URL below which the API is.
	Issuer        string
	Authenticator Authenticator
	Users         *identity.Store
	Devices       *handset.Store
	Operations    *operation.Store
	Applications  Applications
	Trail         *audit.Trail
	// Enrolment registers devices; nil has no registrations and no recovery codes.
	Enrolment *enrolment.Store
	// Asking starts operations by mobile type. Nil has none.
	Asking Asking
	// Clients are those of the issuer; nil is none.
	Clients Clients
	// Certificates are those of devices; nil has none.
	Certificates Certificates
	// Callbacks decides on callback URLs; nil allows none.
	Callbacks Callbacks
	// DB and Sealer keep what was asked under an Idempotency-Key.
	DB     storage.DB
	Sealer storage.Sealer
	// Applied runs after what takes users or devices out, before the answer, so that the next request of theirs is refused.
	// Optional.
	Applied func(ctx context.Context) error
	// Rate bounds the requests of one client. Zero takes the default.
	Rate Rate
	// Docs renders the description of the API for people; nil serves none.
	Docs   http.Handler
	Now    func() time.Time
	Logger *slog.Logger
	// Observe is told the path pattern and status of every answer, for metrics; optional.
	Observe func(pattern string, status int)
}

// Rate is how many requests a client may send: Requests at once, and that many in each Window.
type Rate struct {
	Requests int
	Window   time.Duration
}

// DefaultRate is the default of [Config].Rate.
var DefaultRate = Rate{Requests: 6000, Window: time.Minute}

const (
	// Requests with credentials that were refused, per address.
	failureBurst, failureEvery = 60, time.Second
	limiterKeys                = 100_000
)

// API is the API for back ends. It is safe for concurrent use.
type API struct {
	config   Config
	prefix   string // of the path
	base     string // of URLs
	mux      *http.ServeMux
	clients  *limit.Limiter
	failures *limit.Limiter
	keys     storage.Table[userKey]
}

// New assembles an API. It reads and writes nothing.
func New(c Config) (*API, error) {
	if c.Authenticator == nil || c.Users == nil || c.Devices == nil || c.Operations == nil || c.Applications == nil ||
		c.Trail == nil || c.DB == nil || c.Sealer == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("assembling the API for back ends: a required part is missing")
	}
	issuer, err := url.Parse(c.Issuer)
	if err != nil || issuer.Host == "" {
		return nil, errors.New("assembling the API for back ends: the issuer is no URL")
	}
	if c.Rate == (Rate{}) {
		c.Rate = DefaultRate
	}
	if c.Rate.Requests <= 0 || c.Rate.Window <= 0 {
		return nil, errors.New("assembling the API for back ends: the rate is not positive")
	}
	a := &API{
		config: c, prefix: strings.TrimSuffix(issuer.Path, "/") + Path, base: strings.TrimSuffix(c.Issuer, "/") + Path,
		mux: http.NewServeMux(), keys: userKeys(c.Sealer),
	}
	every := max(1, c.Rate.Window/time.Duration(c.Rate.Requests))
	if a.clients, err = limit.New(limit.Config{Burst: c.Rate.Requests, Every: every, Keys: limiterKeys, Now: c.Now}); err != nil {
		return nil, fmt.Errorf("assembling the API for back ends: %w", err)
	}
	a.failures, err = limit.New(limit.Config{Burst: failureBurst, Every: failureEvery, Keys: limiterKeys, Now: c.Now})
	if err != nil {
		return nil, fmt.Errorf("assembling the API for back ends: %w", err)
	}
	for pattern, resource := range a.resources() {
		a.mux.Handle(a.prefix+pattern, &route{api: a, pattern: pattern, methods: resource})
	}
	return a, nil
}

// Serves reports whether a path belongs to the API.
func (a *API) Serves(path string) bool {
	return path == a.prefix || strings.HasPrefix(path, a.prefix+"/")
}

// endpoint is one method of one path.
type endpoint struct {
	// scopes are those of which one is needed; none is for everybody, without credentials.
	scopes []string
	serve  func(*call) error
}

// resource is one path with its methods.
type resource map[string]endpoint

// The scopes of the API. Each has a twin that ends in ":read" and allows no change.
const (
	ScopeUsers      = "gatehouse:users"
	ScopeDevices    = "gatehouse:devices"
	ScopeOperations = "gatehouse:operations"
	ScopeClients    = "gatehouse:clients"
	ScopeAudit      = "gatehouse:audit"
	readOnly        = ":read"
	// ScopeAllOperations lets a client see and end operations that others have started. It comes on top of another.
	ScopeAllOperations = "gatehouse:operations:all"
	// ScopeNumbers lets a client say to which number a message goes. It comes on top of another.
	ScopeNumbers = "gatehouse:operations:numbers"
)

// Scopes returns all scopes of the API.
func Scopes() []string {
	return []string{
		ScopeUsers, ScopeUsers + readOnly, ScopeDevices, ScopeDevices + readOnly, ScopeOperations, ScopeOperations + readOnly,
		ScopeAllOperations, ScopeNumbers, ScopeClients, ScopeClients + readOnly, ScopeAudit, ScopeAudit + readOnly,
	}
}

func read(scope string, serve func(*call) error) endpoint {
	return endpoint{[]string{scope, scope + readOnly}, serve}
}

func write(scope string, serve func(*call) error) endpoint { return endpoint{[]string{scope}, serve} }

func open(serve func(*call) error) endpoint { return endpoint{nil, serve} }

// resources are all there are.
func (a *API) resources() map[string]resource {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	alone := func(scope string) bool { return scope != ScopeAllOperations && scope != ScopeNumbers }
	anybody := endpoint{slices.DeleteFunc(Scopes(), func(s string) bool { return !alone(s) }), nil}
	apps := func(serve func(*call) error) endpoint { return endpoint{anybody.scopes, serve} }
	all := map[string]resource{
		"/openapi.json": {get: open(a.description)},
		"/docs":         {get: open(a.docs)},

		"/users":                      {get: read(ScopeUsers, a.listUsers), post: write(ScopeUsers, a.addUser)},
		"/users/{user}":               {get: read(ScopeUsers, a.showUser), patch: write(ScopeUsers, a.patchUser), del: write(ScopeUsers, a.deleteUser)},
		"/users/{user}/lock":          {post: write(ScopeUsers, a.lockUser)},
		"/users/{user}/unlock":        {post: write(ScopeUsers, a.unlockUser)},
		"/users/{user}/deactivate":    {post: write(ScopeUsers, a.deactivateUser)},
		"/users/{user}/password":      {post: write(ScopeUsers, a.setPassword)},
		"/users/{user}/release-names": {post: write(ScopeUsers, a.releaseNames)},
		"/users/{user}/devices":       {get: read(ScopeDevices, a.listDevicesOf)},
		"/users/{user}/methods":       {get: read(ScopeOperations, a.listMethods)},
		"/users/{user}/standing":      {get: read(ScopeOperations, a.showStanding)},
		"/users/{user}/unblock":       {post: write(ScopeOperations, a.unblockUser)},
		"/devices":                    {get: read(ScopeDevices, a.listDevices)},
		"/devices/{device}":           {get: read(ScopeDevices, a.showDevice), patch: write(ScopeDevices, a.patchDevice)},
		"/devices/{device}/history":   {get: read(ScopeDevices, a.deviceHistory)},
		"/devices/{device}/{action}":  {post: write(ScopeDevices, a.actOnDevice)},
		"/handsets/{handset}":         {get: read(ScopeDevices, a.showHandset)},
		"/handsets/{handset}/lock":    {post: write(ScopeDevices, a.lockHandset)},
		"/handsets/{handset}/unlock":  {post: write(ScopeDevices, a.unlockHandset)},

		"/operations":                    {get: read(ScopeOperations, a.listOperations)},
		"/operations/{operation}":        {get: read(ScopeOperations, a.showOperation), post: write(ScopeOperations, a.startOperation)},
		"/operations/{operation}/cancel": {post: write(ScopeOperations, a.cancelOperation)},
		"/operations/{operation}/redeem": {post: write(ScopeOperations, a.redeemOperation)},
		"/operations/{operation}/verify": {post: write(ScopeOperations, a.verifyOperation)},
		"/operations/{operation}/resend": {post: write(ScopeOperations, a.resendOperation)},

		"/applications":               {get: apps(a.listApplications)},
		"/applications/{application}": {get: apps(a.showApplication)},

		"/clients":          {get: read(ScopeClients, a.listClients)},
		"/clients/{client}": {get: read(ScopeClients, a.showClient)},

		"/audit":        {get: read(ScopeAudit, a.queryAudit)},
		"/audit/export": {get: read(ScopeAudit, a.exportAudit)},
	}
	maps.Copy(all, a.qrPictures())
	maps.Copy(all, a.certificates())
	if a.config.Enrolment != nil {
		all["/operations/{operation}/confirm"] = resource{post: write(ScopeOperations, a.confirmOperation)}
		all["/users/{user}/recovery-codes"] = resource{
			get: read(ScopeDevices, a.countRecoveryCodes), post: write(ScopeDevices, a.makeRecoveryCodes),
		}
	}
	return all
}

// ServeHTTP answers a request whose path is one that [API.Serves].
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A path is looked for as it is: to be redirected to a clean one helps nobody who writes a program.
	if clean := path.Clean(r.URL.Path); clean == r.URL.Path && a.Serves(clean) {
		if _, pattern := a.mux.Handler(r); pattern != "" {
			a.mux.ServeHTTP(w, r)
			return
		}
	}
	(&route{api: a, pattern: "unknown"}).ServeHTTP(w, r)
}
