// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Codes of problems that a person is told about in words of their own.
const (
	CodeUnreachable = "user_not_reachable"
	CodeBlocked     = "user_blocked"
)

// Other codes of problems: what a program decides by.
const (
	codeRequired   = "confirmation_required"
	codeRefused    = "confirmation_refused"
	codeEnded      = "confirmation_" // with the state of the operation after it
	codeNeedsUser  = "user_required"
	codeUnclear    = "not_confirmable"
	codeField      = "field_not_showable"
	codeTooLarge   = "body_too_large"
	codeIncomplete = "body_incomplete"
	codeTooMany    = "too_many_requests"
	codeBusy       = "temporarily_unavailable"
	codeNotFound   = "not_found"
	codeMethod     = "method_not_allowed"
	codeToken      = "invalid_token"
	codeElsewhere  = "other_origin"
)

// problem is a refusal (RFC 9457). What is shown of the operation is for its owner alone.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	// Field is the field of the request that is in the way.
	Field string `json:"field,omitempty"`

	*standing

	about *operation.Operation // that of standing
	after time.Duration        // Retry-After
	cause error                // for the log
}

// standing is how an operation stands, as its owner is told.
type standing struct {
	Operation string    `json:"operation"`
	State     string    `json:"state"`
	StatusURL string    `json:"status_url,omitempty"`
	Number    string    `json:"number,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
	RedeemBy  time.Time `json:"redeem_by,omitzero"`
}

// stands returns what the owner of an operation is told: the number as long as it can be typed.
func (c *Caller) stands(o *operation.Operation) *standing {
	s := &standing{Operation: o.ID, State: string(o.State), StatusURL: c.StatusURL + o.ID}
	switch {
	case o.State.Open():
		s.Number, s.Expires = o.Number, o.AnswerBy
	case o.State == operation.Approved:
		s.Expires, s.RedeemBy = o.RedeemBy, o.RedeemBy
	}
	return s
}

func notConfirmable(detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Code: codeUnclear, Detail: detail}
}

// refused is the one answer to every approval that does not go with its request, whatever does not.
func refused() *problem {
	return &problem{Status: http.StatusForbidden, Code: codeRefused, Detail: "the operation does not confirm this request"}
}

func unavailable(cause error) *problem {
	return &problem{Status: http.StatusServiceUnavailable, Code: codeBusy, Detail: "try again shortly", after: time.Second, cause: cause}
}

// asks is the answer while the phone is asked, and when it has approved a request that says so nowhere.
func (c *Caller) asks(o *operation.Operation) *problem {
	detail := "approve this request on your phone, then repeat it with Gatehouse-Operation"
	if o.State == operation.Approved {
		detail = "this request was approved: repeat it with Gatehouse-Operation"
	}
	return &problem{Status: http.StatusUnauthorized, Code: codeRequired, Detail: detail, standing: c.stands(o), about: o}
}

// ended is the answer to the owner of an operation that confirms nothing any more.
func (c *Caller) ended(o *operation.Operation) *problem {
	return &problem{
		Status: http.StatusForbidden, Code: codeEnded + string(o.State), Detail: "the request was not confirmed, or was passed on already",
		standing: c.stands(o), about: o,
	}
}

// notAsked words why nobody could be asked.
func notAsked(err error) *problem {
	var field *operation.FieldError
	var limited *confirm.LimitedError
	var slowed *caution.SlowedError
	p := &problem{cause: err}
	switch {
	case errors.As(err, &field):
		p.Status, p.Code, p.Field, p.Detail = http.StatusUnprocessableEntity, codeField, field.Field, field.Problem
	case errors.As(err, &limited):
		p.Status, p.Code, p.Detail, p.after = http.StatusTooManyRequests, codeTooMany, "too many requests are to be confirmed", limited.After
	case errors.As(err, &slowed):
		p.Status, p.Code, p.Detail, p.after = http.StatusTooManyRequests, codeTooMany, "requests that begin here are slowed", slowed.Wait
	case errors.Is(err, operation.ErrTooManyOpen):
		p.Status, p.Code, p.Detail, p.after = http.StatusTooManyRequests, codeTooMany, "too many operations of the user are open", 10*time.Second
	case errors.Is(err, operation.ErrBlocked):
		p.Status, p.Code, p.Detail = http.StatusForbidden, CodeBlocked, "the user may not answer now"
	case errors.Is(err, asking.ErrImpossible), errors.Is(err, operation.ErrUser), errors.Is(err, operation.ErrDevice):
		p.Status, p.Code, p.Detail = http.StatusForbidden, CodeUnreachable, "the user has no phone that can be asked"
	default:
		return unavailable(err)
	}
	return p
}

// write sends a problem.
func (p *problem) write(w http.ResponseWriter) {
	p.announce(w.Header())
	p.Title = http.StatusText(p.Status)
	send(w, p.Status, "application/problem+json", p)
}

// announce sets the fields that go with a problem, in whatever way it is told.
func (p *problem) announce(h http.Header) {
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", p.challenge())
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", httpx.Seconds(max(p.after, time.Second)))
	}
	if p.standing != nil {
		h.Set(OperationHeader, p.Operation)
	}
}

// challenge is that of RFC 6750, section 3, with an error of ours and parameters of ours.
func (p *problem) challenge() string {
	parts := []string{fmt.Sprintf("error=%q", p.Code), fmt.Sprintf("error_description=%q", p.Detail)}
	if p.standing != nil {
		parts = append(parts, fmt.Sprintf("operation=%q", p.Operation), fmt.Sprintf("status_uri=%q", p.StatusURL))
	}
	return "Bearer " + strings.Join(parts, ", ")
}

func send(w http.ResponseWriter, status int, contentType string, document any) {
	body, err := json.Marshal(document)
	if err != nil { // cannot be: these are texts, numbers and times
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Cache-Control", "no-store")
	httpx.WriteAs(w, status, contentType, body)
}
