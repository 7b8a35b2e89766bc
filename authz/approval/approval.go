// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/validation"
)

// MaxBody is how large a body may be, in bytes, of which something is compared.
const MaxBody = 64 << 10

// Rule says what of a request must be as it was approved.
type Rule struct {
	// The type of authorization_details that the token must have.
	Type string `json:"type"`
	// Which member of what was approved equals which field of the request: {json.NAME}, {form.NAME}, {query.NAME}, {header.NAME},
	// {path.N}, {method}, {host}. At least one.
	Match map[string]string `json:"match"`
	// Whether what was approved is good for one request. Default: as the type says.
	Once bool `json:"once,omitempty"`

	fields []field
}

type field struct {
	member string
	value  *confirm.Template
}

// label stands before a field in its template, which has to have words of its own.
const label = "= "

// Build reads the fields of a rule. It refuses one that could let anything pass.
func (u *Rule) Build() error {
	if len(u.Match) == 0 {
		return fmt.Errorf("details %q: it compares nothing: add \"match <member> {json.NAME}\"", u.Type)
	}
	u.fields = nil
	for member, text := range u.Match {
		if !strings.HasPrefix(text, "{") || strings.Index(text, "}") != len(text)-1 {
			return fmt.Errorf("details %q: match %s needs one field of the request in braces, such as {json.amount}", u.Type, member)
		}
		value, err := confirm.ParseTemplate(label + text)
		if err != nil {
			return fmt.Errorf("details %q: match %s: %w", u.Type, member, err)
		}
		u.fields = append(u.fields, field{member, value})
	}
	slices.SortFunc(u.fields, func(a, b field) int { return strings.Compare(a.member, b.member) })
	return nil
}

// Marks remembers what was used once; [authz.Store] does.
type Marks interface {
	SpendAssertion(ctx context.Context, of, id string, expires time.Time) (fresh bool, err error)
}

// Admit lets a request pass whose token has, for each rule, a detail that the request is equal to. What is good once is used up
// then, whatever becomes of the request afterwards. A refusal is an *[oauth.Error] that names the types, and the members that
// differ; never a value. The body is read up to a limit and put back.
func Admit(r *http.Request, rules []*Rule, who *validation.Principal, marks Marks) error {
	var claims struct {
		Details oauth.Details `json:"authorization_details"`
	}
	if err := who.Claims(&claims); err != nil {
		return refusal(rules, "the token's authorization_details cannot be read").WithCause(err)
	}
	request, err := read(r, rules)
	if err != nil {
		return err
	}
	var used []oauth.Detail
	for _, u := range rules {
		approved, err := u.find(request, claims.Details)
		if err != nil {
			return err
		}
		if u.Once {
			used = append(used, approved)
		}
	}
	for _, d := range used {
		if err := spend(r.Context(), who, d, marks); err != nil {
			return err
		}
	}
	return nil
}

func refusal(rules []*Rule, description string) *oauth.Error {
	e := oauth.NewError(oauth.InsufficientDetails, description)
	e.Demand = &oauth.Demand{}
	for _, u := range rules {
		e.Demand.DetailTypes = append(e.Demand.DetailTypes, u.Type)
	}
	return e
}

// find returns the detail that the request is equal to.
func (u *Rule) find(request *confirm.Request, approved oauth.Details) (oauth.Detail, error) {
	asked := make([]string, len(u.fields))
	for i, f := range u.fields {
		text, err := f.value.Render(request)
		if err != nil {
			return oauth.Detail{}, refusal([]*Rule{u}, "the request has no plain value for "+f.member).WithCause(err)
		}
		asked[i] = strings.TrimPrefix(text, label) // composed (NFC), as what is approved is when it is shown
	}
	var closest []string
	for _, d := range approved {
		if d.Type() != u.Type {
			continue
		}
		var differs []string
		for i, f := range u.fields {
			if value, ok := d.Scalar(f.member); !ok || norm.NFC.String(value) != asked[i] {
				differs = append(differs, f.member)
			}
		}
		if len(differs) == 0 {
			return d, nil
		}
		if closest == nil || len(differs) < len(closest) {
			closest = differs
		}
	}
	if closest == nil {
		return oauth.Detail{}, refusal([]*Rule{u}, "nothing of this type was approved")
	}
	return oauth.Detail{}, refusal([]*Rule{u}, "the request is not what was approved: "+strings.Join(closest, ", "))
}

// usedDetails stands where the id of a client stands beside its assertions. It is no client's: theirs neither begin nor end with a
// blank.
const usedDetails = " authorization_details"

// spend uses up a detail of a grant, or of a token that rests on none: a refreshed token is no second approval.
func spend(ctx context.Context, who *validation.Principal, d oauth.Detail, marks Marks) error {
	rests, until := who.TokenID, who.ExpiresAt.Add(time.Hour)
	if who.GrantID != "" {
		rests, until = who.GrantID, who.IssuedAt.Add(authz.MaxRefreshTTL+authz.MaxAccessTTL)
	}
	if rests == "" {
		return oauth.NewError(oauth.InvalidToken, "the token has no id by which it could be used once")
	}
	fresh, err := marks.SpendAssertion(ctx, usedDetails, who.Issuer+"\n"+rests+"\n"+d.String(), until)
	switch {
	case err != nil:
		return oauth.Unavailable(err)
	case !fresh:
		e := oauth.NewError(oauth.InsufficientDetails, "what was approved has been used")
		e.Demand = &oauth.Demand{DetailTypes: []string{d.Type()}}
		return e
	}
	return nil
}

// read takes what rules compare from a request that cannot become another one behind us. The body is put back as it came.
func read(r *http.Request, rules []*Rule) (*confirm.Request, error) {
	var named []string
	reads := false
	for _, u := range rules {
		for _, f := range u.fields {
			named = append(named, f.value.Headers()...)
			reads = reads || f.value.ReadsBody()
		}
	}
	if why := httpx.Shifts(r, confirm.Bound(named)); why != "" {
		return nil, oauth.NewError(oauth.InvalidRequest, "the request cannot be compared: "+why)
	}
	request := &confirm.Request{
		Method: r.Method, Origin: "http://" + strings.ToLower(r.Host), Asked: r.URL.RequestURI(), Path: r.URL.EscapedPath(), Query: r.URL.RawQuery,
		Header: func(name string) []string { return r.Header[http.CanonicalHeaderKey(name)] },
	}
	if !reads {
		return request, nil
	}
	body, err := httpx.TakeBody(r, MaxBody)
	switch {
	case errors.Is(err, httpx.ErrTooLarge):
		return nil, &oauth.Error{Code: oauth.InvalidRequest, Description: "the body is too large to be compared", Status: http.StatusRequestEntityTooLarge}
	case errors.Is(err, httpx.ErrTrailers):
		return nil, oauth.NewError(oauth.InvalidRequest, "the request cannot be compared: "+err.Error())
	case err != nil:
		return nil, oauth.NewError(oauth.InvalidRequest, "the body did not arrive").WithCause(err)
	}
	request.Body = body
	return request, nil
}
