// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// Code is the stable name of a problem: what a program decides by. Titles and details are for people and may change.
type Code string

// Codes of problems.
const (
	InvalidRequest    Code = "invalid_request"
	InvalidBody       Code = "invalid_body"
	InvalidParameter  Code = "invalid_parameter"
	InvalidCursor     Code = "invalid_cursor"
	InvalidValue      Code = "invalid_value"
	Unauthenticated   Code = "unauthenticated"
	InsufficientScope Code = "insufficient_scope"
	Forbidden         Code = "forbidden"
	NotFound          Code = "not_found"
	MethodNotAllowed  Code = "method_not_allowed"
	AlreadyExists     Code = "already_exists"
	InvalidState      Code = "invalid_state"
	NotPossible       Code = "not_possible"
	TooManyOpen       Code = "too_many_open"
	UserBlocked       Code = "user_blocked"
	WrongCode         Code = "wrong_code"
	ResendLimit       Code = "resend_limit"
	MessageLimit      Code = "message_limit"
	IdempotencyReused Code = "idempotency_key_reused"
	Gone              Code = "gone"
	VersionMismatch   Code = "version_mismatch"
	BodyTooLarge      Code = "body_too_large"
	UnsupportedMedia  Code = "unsupported_media_type"
	VersionRequired   Code = "version_required"
	TooManyRequests   Code = "too_many_requests"
	InternalError     Code = "internal_error"
	Unavailable       Code = "temporarily_unavailable"
)

// kinds are the status and title of each code.
var kinds = map[Code]struct {
	status int
	title  string
}{
	InvalidRequest:    {http.StatusBadRequest, "The request is not well formed"},
	InvalidBody:       {http.StatusBadRequest, "The body is not what this call takes"},
	InvalidParameter:  {http.StatusBadRequest, "A parameter of the query or a header is not usable"},
	InvalidCursor:     {http.StatusBadRequest, "The cursor does not belong to this list"},
	Unauthenticated:   {http.StatusUnauthorized, "The credentials are missing or wrong"},
	InsufficientScope: {http.StatusForbidden, "The credentials do not allow this"},
	Forbidden:         {http.StatusForbidden, "The client may not do this"},
	NotFound:          {http.StatusNotFound, "There is no such thing"},
	MethodNotAllowed:  {http.StatusMethodNotAllowed, "The method is not allowed here"},
	AlreadyExists:     {http.StatusConflict, "Another record has this value"},
	InvalidState:      {http.StatusConflict, "The present state does not allow this"},
	NotPossible:       {http.StatusConflict, "The user or device cannot be asked now"},
	TooManyOpen:       {http.StatusConflict, "As many operations of the user are open as may be"},
	UserBlocked:       {http.StatusConflict, "The user gave too many wrong answers"},
	ResendLimit:       {http.StatusConflict, "It was sent as often as it may be"},
	MessageLimit:      {http.StatusConflict, "No more messages may be sent"},
	WrongCode:         {http.StatusUnprocessableEntity, "The code is wrong"},
	Gone:              {http.StatusGone, "This was deleted"},
	VersionMismatch:   {http.StatusPreconditionFailed, "The record has changed since it was read"},
	BodyTooLarge:      {http.StatusRequestEntityTooLarge, "The body is too large"},
	UnsupportedMedia:  {http.StatusUnsupportedMediaType, "The content type is not the one of this call"},
	InvalidValue:      {http.StatusUnprocessableEntity, "A value breaks a rule"},
	IdempotencyReused: {http.StatusUnprocessableEntity, "The idempotency key belongs to another request"},
	VersionRequired:   {http.StatusPreconditionRequired, "The request must say which version it changes"},
	TooManyRequests:   {http.StatusTooManyRequests, "Too many requests"},
	InternalError:     {http.StatusInternalServerError, "The server could not process the request"},
	Unavailable:       {http.StatusServiceUnavailable, "The server is not ready, try again shortly"},
}

// Codes returns all codes with their status.
func Codes() map[Code]int {
	all := make(map[Code]int, len(kinds))
	for code, kind := range kinds {
		all[code] = kind.status
	}
	return all
}

// Title returns what a code means, for people.
func Title(code Code) string { return kinds[code].title }

// Param is one part of a request that is wrong.
type Param struct {
	// Name is a path into the body ("context.fields[2].value"), or the name of a parameter or header.
	Name string `json:"name"`
	// Reason says what is wrong, and never repeats the value.
	Reason string `json:"reason"`
}

// Problem is a refusal as it is sent (RFC 9457). It is an error; its cause is for the log and never sent.
type Problem struct {
	Code   Code
	Detail string
	Params []Param
	// Remaining is how many tries are left, where that is told.
	Remaining *int
	// RetryAfter is for 429 and 503; zero is two seconds.
	RetryAfter time.Duration
	// Challenge is the WWW-Authenticate header of a 401 or 403.
	Challenge string
	cause     error
}

// New returns a problem with a detail that may be sent to anyone.
func New(code Code, detail string) *Problem { return &Problem{Code: code, Detail: detail} }

// Because adds the cause, for the log.
func (p *Problem) Because(cause error) *Problem {
	p.cause = cause
	return p
}

// With names what is wrong.
func (p *Problem) With(name, reason string) *Problem {
	p.Params = append(p.Params, Param{name, reason})
	return p
}

// Status returns the HTTP status.
func (p *Problem) Status() int {
	if kind, ok := kinds[p.Code]; ok {
		return kind.status
	}
	return http.StatusInternalServerError
}

// Error returns code, detail and cause, for the log.
func (p *Problem) Error() string {
	text := string(p.Code)
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if p.cause != nil {
		text += ": " + p.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.cause }

// document is a problem in JSON.
type document struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Code      Code    `json:"code"`
	Detail    string  `json:"detail,omitempty"`
	Params    []Param `json:"invalid_params,omitempty"`
	Remaining *int    `json:"remaining,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	TraceID   string  `json:"trace_id,omitempty"`
}

// leastRetry is what a caller is told to wait when nothing better is known.
const leastRetry = 2 * time.Second

// Write sends the problem. Its type is the code below base, where it is described; t names the request.
func (p *Problem) Write(w http.ResponseWriter, base string, t Trace) {
	body, err := json.Marshal(document{
		Type: base + string(p.Code), Title: kinds[p.Code].title, Status: p.Status(), Code: p.Code, Detail: p.Detail,
		Params: p.Params, Remaining: p.Remaining, RequestID: t.RequestID, TraceID: t.ID(),
	})
	if err != nil { // cannot be: these are texts and numbers
		body = nil
	}
	h := w.Header()
	switch status := p.Status(); {
	case p.Challenge != "":
		h.Set("WWW-Authenticate", p.Challenge)
		httpx.Announce(h, p.cause)
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		h.Set("Retry-After", httpx.Seconds(max(p.RetryAfter, leastRetry)))
	}
	h.Set("Cache-Control", "no-store")
	httpx.WriteAs(w, p.Status(), "application/problem+json", body)
}
