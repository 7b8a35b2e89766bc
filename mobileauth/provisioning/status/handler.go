// SPDX-License-Identifier: Apache-2.0

package status

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// What stands below the address.
const (
	suffixCRL = ".crl"
	pathOCSP  = "ocsp"
)

// Media types (RFC 2585 4.2, RFC 6960 C).
const (
	typeCRL      = "application/pkix-crl"
	typeRequest  = "application/ocsp-request"
	typeResponse = "application/ocsp-response"
)

// maxRequest bounds a request about a certificate, in bytes. One with a long serial number and a nonce has 150.
const maxRequest = 1 << 10

// maxAge is how long caches may keep a list or an answer.
const maxAge = 5 * time.Minute

// Certificates knows what has become of certificates. A [provisioning.Store] does.
type Certificates interface {
	Issued(ctx context.Context, authority string, serial *big.Int) (provisioning.Certificate, error)
	Revoked(ctx context.Context, authority string) ([]provisioning.Certificate, error)
}

// Config is what a [Handler] needs. Everything is required but Limit.
type Config struct {
	Issuers      *Issuers
	Certificates Certificates
	// Path is where the handler stands, ending in a slash.
	Path string
	// Limit bounds how often an address may ask; nil is no bound.
	Limit  *limit.Limiter
	Now    func() time.Time
	Logger *slog.Logger
}

// Handler tells whoever asks what was revoked. It asks nobody who he is: certificates name nobody either.
type Handler struct {
	c         Config
	lists     *lists
	responder *responder
}

// New returns a handler, or an error that says what is missing.
func New(c Config) (*Handler, error) {
	if c.Issuers == nil || c.Certificates == nil || !strings.HasSuffix(c.Path, "/") || c.Now == nil || c.Logger == nil {
		return nil, errors.New("telling what was revoked: the issuers, the certificates, a path, a clock and a logger are required")
	}
	return &Handler{
		c:         c,
		lists:     &lists{issuers: c.Issuers, certificates: c.Certificates, now: c.Now, building: make(chan struct{}, 1), latest: map[string]*list{}},
		responder: &responder{issuers: c.Issuers, certificates: c.Certificates, now: c.Now, given: map[string]answer{}},
	}, nil
}

// ServeHTTP answers a request for a list, or about a certificate.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, below := strings.CutPrefix(r.URL.Path, h.c.Path)
	authority, listed := strings.CutSuffix(name, suffixCRL)
	encoded, inPath := strings.CutPrefix(name, pathOCSP+"/")
	isList := listed && !inPath
	if !below || !isList && !inPath && name != pathOCSP {
		http.NotFound(w, r)
		return
	}
	methods := []string{http.MethodGet, http.MethodHead}
	if name == pathOCSP {
		methods = []string{http.MethodPost}
	}
	if !httpx.Allow(w, r, methods...) {
		return
	}
	if wait := h.c.Limit.Take(limit.Address(httpx.CallerOf(r.Context()).ClientIP)).Wait; wait > 0 {
		w.Header().Set("Retry-After", httpx.Seconds(wait))
		fail(w, http.StatusTooManyRequests)
		return
	}
	switch {
	case isList:
		h.list(w, r, authority)
	case inPath:
		h.get(w, r, encoded)
	default:
		h.post(w, r)
	}
}

// list gives out the list of an authority.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, authority string) {
	found, err := h.lists.get(r.Context(), authority)
	switch {
	case err != nil:
		h.c.Logger.ErrorContext(r.Context(), "what was revoked cannot be told", "authority", authority, "error", err)
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable)
	case found == nil:
		fail(w, http.StatusNotFound)
	default:
		give(w, r, typeCRL, found.answer)
	}
}

// get answers a request in the path (RFC 6960 A.1).
func (h *Handler) get(w http.ResponseWriter, r *http.Request, encoded string) {
	if len(encoded) > base64.StdEncoding.EncodedLen(maxRequest) {
		fail(w, http.StatusRequestURITooLong)
		return
	}
	der, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		der = nil // no request is as short as that
	}
	h.answer(w, r, der)
}

// post answers a request in the body.
func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != typeRequest {
		fail(w, http.StatusUnsupportedMediaType)
		return
	}
	der, err := httpx.TakeBody(r, maxRequest)
	switch {
	case errors.Is(err, httpx.ErrTooLarge):
		fail(w, http.StatusRequestEntityTooLarge)
	case err != nil:
		fail(w, http.StatusBadRequest)
	default:
		h.answer(w, r, der)
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, der []byte) {
	made, keep, err := h.responder.answer(r.Context(), der)
	if err != nil {
		h.c.Logger.ErrorContext(r.Context(), "what has become of a certificate cannot be told", "error", err)
	}
	if !keep {
		httpx.NoStore(w)
		httpx.WriteAs(w, http.StatusOK, typeResponse, made.der)
		return
	}
	give(w, r, typeResponse, made)
}

// give writes what is signed, for caches to keep it for a while (RFC 5019 6.2). It has a tag and no time of change: two of them may be of
// the same second.
func give(w http.ResponseWriter, r *http.Request, kind string, what answer) {
	header := w.Header()
	header.Set("ETag", what.tag)
	header.Set("Content-Type", kind)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", int(maxAge.Seconds())))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(what.der))
}

// fail answers without a body: nobody reads one here.
func fail(w http.ResponseWriter, status int) {
	httpx.NoStore(w)
	w.WriteHeader(status)
}
