// SPDX-License-Identifier: Apache-2.0

package ciba

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
	"github.com/gatehouse-id/gatehouse/storage"
)

// use says of an operation that tokens are fetched by its approval, once, and that its client has nothing else of it.
const use = "ciba"

// phone asks people on their phones.
type phone Side

var _ backchannel.Phone = (*phone)(nil)

// refusals are those of a start that nobody is asked for, by the word for operators: the last that fits.
var refusals = []struct {
	err    error
	reason string
}{
	{operation.ErrUser, "user_inactive"}, {operation.ErrDevice, asking.NoDevice}, {operation.ErrBlocked, "user_blocked"},
	{operation.ErrTooManyOpen, "too_many_open"}, {operation.ErrShare, "client_share"}, {operation.ErrChannel, "channel"},
}

// Ask puts a question over push, by the realm's type or by one that proves no less.
func (p *phone) Ask(ctx context.Context, q backchannel.Question) (backchannel.Asked, error) {
	how := p.asks[q.Realm]
	request := asking.Request{
		Type: how.MobileType, Kind: operation.Authentication, UserID: q.Subject, ClientID: q.ClientID, ExternalID: q.Request,
		Message: q.Message, Context: display(q), Fallback: how.fallback(), TimeToLive: q.TTL, IdempotencyKey: q.Request, Use: use,
	}
	if request.UserID == "" {
		request.UserID = randid.New("usr") // nobody's: as if it were somebody's who has no phone
	}
	if q.NoNumber {
		request.NumberMatch = operation.NoNumber
	}
	o, _, err := p.phones.Asking().Start(ctx, request)
	if err == nil {
		return backchannel.Asked{Operation: o.ID, Number: o.Number}, nil
	}
	reason := ""
	var impossible *asking.ImpossibleError
	if errors.As(err, &impossible) && len(impossible.Skipped) > 0 {
		reason = impossible.Skipped[0].Reason
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			reason = r.reason
		}
	}
	if reason == "" {
		return backchannel.Asked{}, err
	}
	number, err := p.number(q.NoNumber)
	if err != nil {
		return backchannel.Asked{}, err
	}
	if q.Subject == "" {
		reason = "unknown_user"
	}
	return backchannel.Asked{Reason: reason, Number: number}, fmt.Errorf("asking by %q: %w", q.Realm, backchannel.ErrUnasked)
}

// display says who asks and what for. A name that no phone shows is left out: the id is the operator's own word.
func display(q backchannel.Question) shown.Context {
	var c shown.Context
	for _, name := range []string{q.Client, q.ClientID} {
		if title, err := shown.Text("title", name, shown.Content{Most: shown.MaxTitle}); err == nil {
			c.Title = title
			break
		}
	}
	for i, text := range q.Allows {
		c.Fields = append(c.Fields, shown.Field{Type: shown.FieldText, Label: fmt.Sprintf("%d.", i+1), Value: text})
	}
	return c
}

// number draws what is shown where nobody is asked.
func (p *phone) number(none bool) (string, error) {
	if none || p.digits <= 0 {
		return "", nil
	}
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(p.digits)), nil))
	if err != nil {
		return "", fmt.Errorf("drawing a number: %w", err)
	}
	text := n.String()
	return strings.Repeat("0", p.digits-len(text)) + text, nil
}

// Status returns where a question stands, and redeems an approval. One that was redeemed before was redeemed for this very request,
// whose record sees to it that it counts once.
func (p *phone) Status(ctx context.Context, id, request, client string) (backchannel.Answer, error) {
	operations := p.phones.Operations()
	o, err := operations.Get(ctx, id)
	if errors.Is(err, operation.ErrNotFound) {
		return backchannel.Answer{State: backchannel.Failed, Reason: "gone"}, nil
	}
	if err != nil {
		return backchannel.Answer{}, err
	}
	if o.Use != use || o.ExternalID != request || o.ClientID != client || o.Kind != operation.Authentication {
		return backchannel.Answer{State: backchannel.Failed, Reason: "another_request"}, nil
	}
	if o.State == operation.Approved {
		out, err := operations.RedeemBy(ctx, id, operation.Redeemer{ClientID: client, Use: use})
		if err != nil {
			return backchannel.Answer{}, err
		}
		if out.Code != operation.Accepted {
			// Another look may have been faster.
			if o, err = operations.Get(ctx, id); err != nil || o.State != operation.Redeemed {
				return backchannel.Answer{State: backchannel.Failed, Reason: out.Reason}, err
			}
		} else {
			o = out.Operation
		}
	}
	return p.answer(ctx, &o)
}

// answer is an operation in the words of the back channel.
func (p *phone) answer(ctx context.Context, o *operation.Operation) (backchannel.Answer, error) {
	switch o.State {
	case operation.Pending, operation.Delivered:
		return backchannel.Answer{State: backchannel.Waiting}, nil
	case operation.Denied:
		return backchannel.Answer{State: backchannel.Denied, Reason: o.Reason}, nil
	case operation.Expired:
		return backchannel.Answer{State: backchannel.Expired}, nil
	case operation.Redeemed:
	case operation.Approved, operation.Failed, operation.Cancelled:
		return backchannel.Answer{State: backchannel.Failed, Reason: o.Reason}, nil
	}
	user, err := p.users.Get(ctx, o.UserID)
	if errors.Is(err, storage.ErrNotFound) {
		return backchannel.Answer{State: backchannel.Failed, Reason: "user_inactive"}, nil
	}
	if err != nil {
		return backchannel.Answer{}, err
	}
	return backchannel.Answer{
		State: backchannel.Approved, Subject: o.UserID, Name: identitystore.DisplayName(&user), AMR: o.AMR, Device: o.AnsweredBy, At: o.AnsweredAt,
	}, nil
}

// Cancel takes a question back.
func (p *phone) Cancel(ctx context.Context, id, reason string) error {
	_, err := p.phones.Operations().Cancel(ctx, id, reason)
	if errors.Is(err, operation.ErrTransition) || errors.Is(err, operation.ErrNotFound) {
		return nil
	}
	return err
}
