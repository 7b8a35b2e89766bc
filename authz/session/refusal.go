// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Refusal is an error that people are told on a page of its own.
type Refusal struct {
	Status int
	// Message is one of the Error constants of the web package.
	Message string
	// Reason is for whoever runs the application: it is shown, so it holds nothing that came in.
	Reason string
	// RetryAfter is how long to wait, where waiting helps.
	RetryAfter time.Duration
}

// Error returns the reason.
func (e *Refusal) Error() string { return e.Reason }

// Refusals that several steps share.
var (
	// ErrClient says that a client is unknown, or has been taken out since.
	ErrClient = &Refusal{Status: http.StatusBadRequest, Message: web.ErrorClient, Reason: "the client is unknown"}
	// ErrOtherBrowser says that another browser began the request.
	ErrOtherBrowser = &Refusal{Status: http.StatusForbidden, Message: web.ErrorCookie, Reason: "another browser began the request"}

	errEnded = &Refusal{Status: http.StatusBadRequest, Message: web.ErrorExpired, Reason: "the request has ended"}
)

// FindClient returns a client for a step that ends on a page: one that is not there, or not there any more, is [ErrClient].
func FindClient(ctx context.Context, clients *authz.Clients, id string) (*authz.Client, error) {
	client, err := clients.Lookup(ctx, id)
	if authz.Gone(err) {
		return nil, ErrClient
	}
	return client, err
}

// statusPages says what a person reads for an OAuth error that there is nowhere to send.
var statusPages = map[int]string{
	http.StatusForbidden:             web.ErrorForbidden,
	http.StatusNotFound:              web.ErrorNotFound,
	http.StatusMethodNotAllowed:      web.ErrorMethod,
	http.StatusRequestEntityTooLarge: web.ErrorTooLarge,
	http.StatusRequestURITooLong:     web.ErrorTooLarge,
	http.StatusInternalServerError:   web.ErrorServer,
	http.StatusServiceUnavailable:    web.ErrorUnavailable,
}

// retryAfter is how long somebody waits for a store that is not ready.
const retryAfter = 2 * time.Second

// AsRefusal reports whether an error is always told on a page, whatever else is known.
func AsRefusal(err error) (*Refusal, bool) {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal, true
	}
	if errors.Is(err, authz.ErrRequestEnded) {
		return errEnded, true
	}
	return nil, false
}

// ErrorPages tells errors to people.
type ErrorPages struct {
	Pages  *web.Renderer
	Logger *slog.Logger
}

// Refuse logs an error and answers with the page for it. Of an error that is our own fault the page tells nothing but the
// number under which it stands in the log.
func (p ErrorPages) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := authz.Failure(err)
	page := web.ErrorPage{Message: web.ErrorRequest, RequestID: httpx.CallerOf(r.Context()).RequestID}
	if refusal, ok := AsRefusal(err); ok {
		e = oauth.NewError(oauth.InvalidRequest, refusal.Reason)
		e.Status = refusal.Status
		page.Message, page.RetryAfter = refusal.Message, refusal.RetryAfter
	} else if message, ok := statusPages[e.HTTPStatus()]; ok {
		page.Message = message
	}
	status := e.HTTPStatus()
	if status < http.StatusInternalServerError {
		page.Detail = string(e.Code) + ": " + e.Description
	}
	if status == http.StatusServiceUnavailable && page.RetryAfter == 0 {
		page.RetryAfter = retryAfter
	}
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, POST")
	}
	httpx.LogError(r, e, p.Logger)
	p.Pages.Render(w, r, status, page)
}

// Params reads what a page of ours sent: the query of a GET, or the body of a POST and nothing in the query. Any other
// method is refused; a HEAD must not begin anything.
func Params(r *http.Request) (oauth.Params, error) {
	if err := CheckMethod(r); err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost {
		if fromElsewhere(r) {
			return nil, oauth.NewError(oauth.AccessDenied, "the form was sent by another site")
		}
		return httpx.Form(r)
	}
	return httpx.QueryOrForm(r)
}

// fromElsewhere reports whether a browser says that a form is from another site, or from a neighbouring host or port. The
// token of a form tells as well, as long as nobody could plant the cookie that it is made from: what __Host- keeps out, and
// neither an issuer with a path nor one on a loopback host can have. The Origin says nothing here, since our pages have no
// referrer and browsers send "null" for them.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// CheckMethod admits GET and POST.
func CheckMethod(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodPost {
		return nil
	}
	e := oauth.NewError(oauth.InvalidRequest, "the method must be GET or POST")
	e.Status = http.StatusMethodNotAllowed
	return e
}
