// SPDX-License-Identifier: Apache-2.0

package challenge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Keys of the texts that people read.
const (
	messageFirst     = "wait.first"
	messageName      = "wait.name"
	messageCodeWrong = "wait.code_wrong"
	labelLogin       = "field.username"
	labelCode        = "wait.code"
	labelAgain       = "wait.again"
	labelResend      = "wait.resend"
	labelName        = "wait.rename"
	labelBy          = "wait.by_"
)

// messages are the texts by stage.
var messages = map[realm.Stage]string{
	realm.StageAsked: "wait.text.asked", realm.StageScan: "wait.text.scan", realm.StageCode: "wait.text.code",
	realm.StageDenied: "wait.denied", realm.StageNotMe: "wait.not_me", realm.StageExpired: "wait.expired",
	realm.StageFailed: "wait.failed", realm.StageCancelled: "wait.cancelled", realm.StageImpossible: "wait.impossible",
	realm.StageOther: "wait.another",
}

// every is how often it is worth asking how far a question is.
const every = 5 * time.Second

// sinceMasked stands for all that a masked challenge says until it is approved or over.
const sinceMasked = "waiting"

// look says how far the question is, or finds it approved.
func (c *call) look(ctx context.Context) (found, error) {
	switch {
	case c.state.Ended != "":
		return c.ended(ctx, c.state.Ended)
	case c.masked():
		return c.lookMasked(ctx)
	}
	o, err := c.read(ctx)
	switch {
	case errors.Is(err, operation.ErrNotFound):
		return c.ended(ctx, realm.StageExpired)
	case err != nil:
		return found{}, err
	case o.State == operation.Approved && o.UserID != c.in.Subject && c.in.Subject != "":
		return c.ended(ctx, realm.StageOther)
	case o.State == operation.Approved && !c.enough(c.Types, &o):
		return c.ended(ctx, realm.StageImpossible)
	case c.good(&o):
		return found{approved: &o}, nil
	}
	stage := stageOf(&o)
	if !stage.Open() {
		return c.ended(ctx, stage)
	}
	return c.waits(ctx, c.shown(&o, stage))
}

// read returns the operation of the state, if it was started for this very request and realm.
func (c *call) read(ctx context.Context) (operation.Operation, error) {
	if c.state.Operation == "" {
		return operation.Operation{}, operation.ErrNotFound
	}
	o, err := c.Operations.Wait(ctx, c.state.Operation, 0, 0)
	if err == nil && (o.ClientID != "" || o.ExternalID != reference(&c.in)) {
		return operation.Operation{}, operation.ErrNotFound
	}
	if err != nil {
		return operation.Operation{}, fmt.Errorf("reading what was asked: %w", err)
	}
	return o, nil
}

// good reports whether an operation is approved, by who is asked, with enough, and was not used.
func (c *call) good(o *operation.Operation) bool {
	subject := c.in.Subject
	if c.masked() {
		subject = c.state.User
	}
	return o.State == operation.Approved && c.Now().Before(o.RedeemBy) && (subject == "" || o.UserID == subject) && c.enough(c.Types, o)
}

// lookMasked says the same whatever is true, up to an approval.
func (c *call) lookMasked(ctx context.Context) (found, error) {
	s := c.state
	o, err := c.read(ctx)
	switch {
	case err == nil && c.good(&o):
		return found{approved: &o}, nil
	case err != nil && !errors.Is(err, operation.ErrNotFound):
		return found{}, err
	case !c.Now().Before(s.Until):
		return c.ended(ctx, realm.StageExpired)
	}
	t, ok := c.Types.Get(s.Type)
	if !ok {
		return c.ended(ctx, realm.StageExpired)
	}
	stage := realm.StageAsked
	if t.Method == mobiletype.SMS {
		if t.Attempts > 0 && s.Tries >= t.Attempts {
			return c.ended(ctx, realm.StageFailed)
		}
		stage = realm.StageCode
	}
	wait := realm.Wait{Stage: stage, Number: s.Number, Since: sinceMasked, Until: s.Until, Every: every}
	return c.waits(ctx, question{Wait: wait, method: t.Method, resends: s.Sent < t.Resends, named: true})
}

// question is what is said of one that is open.
type question struct {
	realm.Wait
	method    mobiletype.Method
	operation string
	// resends tells that the same can be sent again, named that somebody has typed the name of who is asked.
	resends, named bool
}

// shown returns what is said of an operation that is open.
func (c *call) shown(o *operation.Operation, stage realm.Stage) question {
	s := question{
		Wait: realm.Wait{
			Stage: stage, Since: strconv.FormatUint(o.Version, 10), Until: o.AnswerBy, Every: every,
		},
		method: o.Of, operation: o.ID,
		resends: o.Resends > 0 && (o.Channel == operation.BySMS || o.Channel == operation.ByPush && o.State == operation.Pending),
	}
	switch stage {
	case realm.StageScan:
		s.Scan = envelope.Scan{Issuer: c.Issuer, OTP: o.OTP}.Text()
	case realm.StageCode:
		s.To = o.SMS.Masked
	default:
		s.Number = o.Number
	}
	return s
}

// stageOf is how far an operation is. What is approved here cannot be redeemed any more.
func stageOf(o *operation.Operation) realm.Stage {
	switch o.State {
	case operation.Pending, operation.Delivered:
		switch {
		case o.Channel == operation.BySMS:
			return realm.StageCode
		case o.OTP != "" && o.ClaimedAt.IsZero():
			return realm.StageScan
		}
		return realm.StageAsked
	case operation.Denied:
		if o.Reason == envelope.NotMe {
			return realm.StageNotMe
		}
		return realm.StageDenied
	case operation.Failed:
		return realm.StageFailed
	case operation.Cancelled:
		return realm.StageCancelled
	}
	return realm.StageExpired
}

// waits is the challenge of a question that is open.
func (c *call) waits(ctx context.Context, s question) (found, error) {
	challenge := &realm.Challenge{Message: messages[s.Stage], Further: true, Wait: &s.Wait}
	challenge.Data = map[string]string{
		"stage": string(s.Stage), "method": string(s.method), "interval": strconv.Itoa(int(s.Every / time.Second)),
		"expires_in": strconv.Itoa(max(0, int(s.Until.Sub(c.Now())/time.Second))),
	}
	for name, value := range map[string]string{"operation": s.operation, "number": s.Number, "scan": s.Scan, "to": s.To} {
		if value != "" {
			challenge.Data[name] = value
		}
	}
	if s.Stage == realm.StageCode {
		challenge.Fields = []realm.Field{{
			Name: FieldCode, Label: labelCode, Type: "text", Autocomplete: "one-time-code", InputMode: "numeric", Required: true,
		}}
	}
	if s.resends {
		challenge.Actions = append(challenge.Actions, realm.Action{Value: ActionResend, Label: labelResend})
	}
	if s.named {
		challenge.Actions = append(challenge.Actions, realm.Action{Value: ActionName, Label: labelName})
	}
	return c.with(ctx, challenge)
}

// ended is the challenge of a question that is over.
func (c *call) ended(ctx context.Context, stage realm.Stage) (found, error) {
	if t, ok := c.Types.Get(c.state.Type); ok && stage == realm.StageName {
		return c.form(t)
	}
	challenge := &realm.Challenge{
		Message: messages[stage], Wait: &realm.Wait{Stage: stage}, Data: map[string]string{"stage": string(stage)},
		Actions: []realm.Action{{Value: ActionAgain, Label: labelAgain}},
	}
	return c.with(ctx, challenge)
}

// form asks who is to be asked by a type.
func (c *call) form(t mobiletype.Type) (found, error) {
	asking := &state{Type: t.Name, Ended: realm.StageName}
	if c.state != nil {
		asking.Round = c.state.Round
	}
	kept, err := asking.bytes()
	if err != nil {
		return found{}, err
	}
	challenge := &realm.Challenge{
		Message: messageName, Further: true, Submit: labelBy + string(t.Method),
		Fields: []realm.Field{{
			Name: FieldLogin, Label: labelLogin, Type: "text", Value: c.in.Hint, Autocomplete: "username", Required: true,
		}},
		Data: map[string]string{"stage": string(realm.StageName)}, State: kept,
	}
	c.offer(challenge, t.Name, c.all())
	return found{challenge: challenge}, nil
}

// with adds the other ways to a challenge, and what is kept.
func (c *call) with(ctx context.Context, challenge *realm.Challenge) (found, error) {
	types, err := c.possible(ctx)
	if err != nil {
		return found{}, err
	}
	c.offer(challenge, c.state.Type, types)
	challenge.State, err = c.state.bytes()
	return found{challenge: challenge}, err
}

// offer adds the types that may be chosen instead of one.
func (c *call) offer(challenge *realm.Challenge, instead string, types []mobiletype.Type) {
	for _, t := range types {
		if t.Name != instead {
			challenge.Actions = append(challenge.Actions, realm.Action{Value: ActionUse + t.Name, Label: labelBy + string(t.Method)})
		}
	}
	var actions []string
	for _, a := range challenge.Actions {
		actions = append(actions, a.Value)
	}
	if len(actions) > 0 {
		challenge.Data["actions"] = strings.Join(actions, " ")
	}
}

// possible are the types by which the person can be asked. Of whom no more than a name is known nothing is told: these are all.
func (c *call) possible(ctx context.Context) ([]mobiletype.Type, error) {
	all := c.all()
	if c.in.Subject == "" || len(all) == 1 {
		return all, nil
	}
	available, err := c.Asking.Methods(ctx, c.in.Subject, "", "")
	if err != nil {
		return nil, fmt.Errorf("looking for other ways: %w", err)
	}
	can := map[string]bool{}
	for _, a := range available {
		can[a.Type] = true
	}
	var types []mobiletype.Type
	for _, t := range all {
		if can[t.Name] || t.Channel() == mobiletype.ByOTP {
			types = append(types, t)
		}
	}
	return types, nil
}
