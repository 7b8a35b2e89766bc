// SPDX-License-Identifier: Apache-2.0

package asking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Request is what a client asks for.
type Request struct {
	// Type is the mobile type. Kind is authentication, authorisation or signature.
	Type string         `json:"type"`
	Kind operation.Kind `json:"kind"`
	// UserID is who is asked: nobody for a type that scans, somebody for every other.
	UserID      string `json:"user_id,omitempty"`
	DeviceID    string `json:"device_id,omitempty"`
	Application string `json:"application,omitempty"`
	ClientID    string `json:"client_id,omitempty"`
	ExternalID  string `json:"external_id,omitempty"`
	// Message is what is said, at most 155 characters; where it is empty the content of the context, and where that is, the type's
	// own. Title and fields of the context are shown on phones.
	Message string            `json:"message,omitempty"`
	Context operation.Context `json:"context,omitzero"`
	// Secure is shown on the phone alone. Data is signed with the rest, where the type allows that. MaySign says that they are the
	// server's own words, which whatever is put to a phone signs.
	Secure  string `json:"secure_message,omitempty"`
	Data    string `json:"signing_data,omitempty"`
	MaySign bool   `json:"-"`
	// Language is the one to speak (BCP 47), if there is a message in it.
	Language string `json:"language_code,omitempty"`
	Origin   Origin `json:"origin,omitzero"`
	// Number is where to send a message instead of the user's own number. MayNumber says that the client may name one.
	Number    string `json:"phone_number,omitempty"`
	MayNumber bool   `json:"-"`
	// Fallback narrows the policy of fallbacks for this request; empty leaves it.
	Fallback mobiletype.Fallbacks `json:"fallback,omitempty"`
	// TimeToLive and NumberMatch are those of an operation.Start. The type's own time to live is the default.
	TimeToLive  time.Duration `json:"time_to_live,omitempty"`
	NumberMatch int           `json:"number_match,omitempty"`
	Callback    string        `json:"callback,omitempty"`
	// Use is that of an operation.Start.
	Use string `json:"-"`

	IdempotencyKey string `json:"-"`
	Traceparent    string `json:"-"`
}

// Start asks a person by a type, or by what that falls back to, and returns the operation; created is false for one that the same
// request started before. It is refused with a [operation.FieldError], an [ImpossibleError], and as operation.Store.Start does.
func (s *Service) Start(ctx context.Context, r Request) (o operation.Operation, created bool, err error) {
	chain, err := s.check(&r)
	if err != nil {
		return operation.Operation{}, false, fmt.Errorf("asking by type: %w", err)
	}
	said, err := json.Marshal(r)
	if err != nil {
		return operation.Operation{}, false, fmt.Errorf("asking by type: %w", err)
	}
	fingerprint := "asking\n" + string(said)
	o, found, err := s.operations.Repeated(ctx, r.ClientID, r.IdempotencyKey, fingerprint)
	if err != nil || found {
		return o, false, err
	}
	a := &attempt{service: s, Request: &r, chain: chain, fingerprint: fingerprint}
	if err := a.look(ctx); err != nil {
		return operation.Operation{}, false, err
	}
	return a.run(ctx)
}

// check refuses what no type could ask.
func (s *Service) check(r *Request) ([]mobiletype.Type, error) {
	var narrower []mobiletype.Fallbacks
	if r.Fallback != "" {
		if !r.Fallback.Known() {
			return nil, shown.Invalid("fallback", "want any, same_or_higher or none")
		}
		narrower = append(narrower, r.Fallback)
	}
	chain, err := s.types.Chain(r.Type, narrower...)
	if err != nil {
		return nil, shown.Invalid("type", "there is no such type")
	}
	asked := chain[0]
	scans := asked.Channel() == mobiletype.ByOTP
	switch {
	case r.Kind != operation.Authentication && r.Kind != operation.Authorisation && r.Kind != operation.Signature:
		return nil, shown.Invalid("kind", "want authentication, authorisation or signature")
	case scans && (r.UserID != "" || r.DeviceID != ""):
		return nil, shown.Invalid("user_id", "who scans is known afterwards")
	case !scans && r.UserID == "":
		return nil, shown.Invalid("user_id", "want who is asked")
	case r.Message != "" && r.Context.Content != "":
		return nil, shown.Invalid("message", "want either this or context.content")
	case r.Data != "" && !asked.Signing && !(r.MaySign && asked.Channel() != mobiletype.BySMS):
		return nil, shown.Invalid("signing_data", "the type does not sign data")
	case r.Number != "" && !r.MayNumber:
		return nil, shown.Invalid("phone_number", "this client may not say where messages go")
	}
	if r.Message, err = shown.Text("message", r.Message, shown.Content{Most: mobiletype.MaxMessage}); err != nil {
		return nil, err
	}
	if err := r.checkTexts(); err != nil {
		return nil, err
	}
	checked, err := shown.Context{Language: r.Language}.Check(shown.Content{})
	if err != nil {
		return nil, shown.Invalid("language_code", "want a language such as en or pt-BR")
	}
	r.Language = checked.Language
	if r.Number != "" {
		number, err := phonenumber.Parse(r.Number)
		if err != nil {
			return nil, shown.Invalid("phone_number", "want a number in international form, such as +31612345678")
		}
		r.Number = number.E164()
	}
	if len(asked.Messages) == 0 && r.Message == "" && r.Context.Content == "" {
		return nil, shown.Invalid("message", "the type has none of its own")
	}
	return chain, nil
}

// checkTexts refuses what no phone would show, also where no phone will be asked.
func (r *Request) checkTexts() (err error) {
	if r.Context, err = r.Context.Check(shown.Content{Most: operation.MaxLong, Lines: true}); err != nil {
		return err
	}
	if r.Secure, err = shown.Text("secure_message", r.Secure, shown.Content{Most: operation.MaxSecure, Lines: true}); err != nil {
		return err
	}
	r.Data, err = shown.Text("signing_data", r.Data, shown.Content{Most: operation.MaxData, Lines: true})
	return err
}

// run tries the types of the chain in turn.
func (a *attempt) run(ctx context.Context) (operation.Operation, bool, error) {
	var skipped []operation.Skipped
	for i, t := range a.chain {
		start, reason, err := a.begin(ctx, t)
		if err != nil {
			return operation.Operation{}, false, err
		}
		if reason == "" {
			start.Skipped = skipped
			if start.Late, err = a.late(ctx, t, a.chain[i+1:]); err != nil {
				return operation.Operation{}, false, err
			}
			o, created, err := a.service.operations.Start(ctx, start)
			if reason = overtaken(err); reason == "" {
				return o, created, err
			}
		}
		skipped = append(skipped, operation.Skipped{Type: t.Name, Reason: reason})
	}
	return operation.Operation{}, false, &ImpossibleError{skipped}
}

// overtaken returns why a type that could begin when it was looked at cannot any more; empty for every other outcome.
func overtaken(err error) string {
	switch {
	case errors.Is(err, operation.ErrDevice), errors.Is(err, operation.ErrUser):
		return NoDevice
	case errors.Is(err, operation.ErrChannel):
		return SMSLimit
	}
	return ""
}

// late returns what takes over from a type whose question nobody fetches: the first of the rest that goes over SMS and can begin.
func (a *attempt) late(ctx context.Context, t mobiletype.Type, rest []mobiletype.Type) (*operation.StartLate, error) {
	if t.After == 0 {
		return nil, nil
	}
	for _, next := range rest {
		if next.Method != mobiletype.SMS {
			continue
		}
		start, reason, err := a.begin(ctx, next)
		if err != nil {
			return nil, err
		}
		if reason == "" {
			return &operation.StartLate{After: t.After, TimeToLive: next.TimeToLive, Way: start.Way}, nil
		}
	}
	return nil, nil
}
