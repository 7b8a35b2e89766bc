// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"context"
	"errors"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// endpoint does what a message asks. An error is a message that is refused, or that nobody could judge.
type endpoint func(ctx context.Context, c *call) (reply, error)

// reply is what a phone is told; no body is an empty one.
type reply struct {
	code envelope.Code
	body any
}

func done(body any) (reply, error) { return reply{envelope.CodeOK, body}, nil }

// fetch gives the phone what it has to show.
func (h *Handler) fetch(ctx context.Context, c *call) (reply, error) {
	var in envelope.FetchRequest
	if err := c.request.Decode(&in); err != nil {
		return reply{}, err
	}
	if err := h.once(c); err != nil {
		return reply{}, err
	}
	o, err := h.Operations.Deliver(ctx, in.Operation, c.device.ID)
	switch {
	case errors.Is(err, operation.ErrNotFound), errors.Is(err, operation.ErrDevice):
		return reply{code: envelope.CodeNotAllowed}, nil
	case errors.Is(err, operation.ErrTransition):
		return reply{code: envelope.CodeGone}, nil
	case err != nil:
		return reply{}, err
	}
	return done(envelope.FetchAnswer{Display: o.Display})
}

// claim gives a question that was put to nobody to the phone that has scanned it.
func (h *Handler) claim(ctx context.Context, c *call) (reply, error) {
	var in envelope.ClaimRequest
	if err := c.request.Decode(&in); err != nil {
		return reply{}, err
	}
	out, err := h.Operations.Claim(ctx, operation.Claim{Message: c.message(), OTP: in.OTP})
	if err != nil {
		return reply{}, err
	}
	switch out.Code {
	case operation.Accepted:
		return done(envelope.ClaimAnswer{Operation: out.Operation.ID, Display: out.Operation.Display})
	case operation.Gone:
		return reply{code: envelope.CodeGone}, nil
	}
	if out.Reason == "replay" {
		return reply{}, &refusal{c.device.ID, out.Reason, handset.ErrReplay}
	}
	return reply{code: envelope.CodeNotAllowed}, nil
}

// answer takes what the person decided.
func (h *Handler) answer(ctx context.Context, c *call) (reply, error) {
	s, factors, err := h.stated(c, envelope.PurposeApproval)
	if err != nil {
		return reply{}, err
	}
	out, err := h.Operations.Answer(ctx, operation.Answer{Message: c.message(), Statement: s, Factors: factors})
	if err != nil {
		return reply{}, err
	}
	switch out.Code {
	case operation.Accepted:
		return done(nil)
	case operation.Refused:
		return reply{envelope.CodeRefused, envelope.Refused{Remaining: &out.Remaining}}, nil
	case operation.Gone:
		return reply{code: envelope.CodeGone}, nil
	}
	if out.Reason == "replay" {
		return reply{}, &refusal{c.device.ID, out.Reason, handset.ErrReplay}
	}
	return reply{code: envelope.CodeNotAllowed}, nil
}

// stated opens the statement in a message.
func (h *Handler) stated(c *call, purpose envelope.Purpose) (envelope.Statement, envelope.Factors, error) {
	var in envelope.Stated
	s, err := h.read(c, &in, purpose)
	return s, in.Factors, err
}

func (h *Handler) read(c *call, in *envelope.Stated, purpose envelope.Purpose) (envelope.Statement, error) {
	if err := c.request.Decode(in); err != nil {
		return envelope.Statement{}, err
	}
	return in.Open(c.keys.Sign, c.request, purpose, h.Now())
}

// push sets where notices go.
func (h *Handler) push(ctx context.Context, c *call) (reply, error) {
	var in envelope.PushRequest
	if err := c.request.Decode(&in); err != nil {
		return reply{}, err
	}
	if err := in.Push.Check(); err != nil {
		return reply{}, err
	}
	var push *handset.Push
	if in.Push != nil {
		push = &handset.Push{Service: in.Push.Service, Address: in.Push.Address}
	}
	_, err := h.Enrolment.ChangePush(ctx, c.message(), push)
	return changed(err)
}

// changed answers for a change that needs no factor. What the device may not do, or wrongly, is refused to it alone.
func changed(err error) (reply, error) {
	switch {
	case errors.Is(err, handset.ErrInvalid), errors.Is(err, handset.ErrKeyTaken), errors.Is(err, handset.ErrPushTaken),
		errors.Is(err, handset.ErrTransition):
		return reply{code: envelope.CodeNotAllowed}, nil
	case err != nil:
		return reply{}, err
	}
	return done(nil)
}

// factor sets or removes a factor.
func (h *Handler) factor(ctx context.Context, c *call) (reply, error) {
	var in envelope.Stated
	s, err := h.read(c, &in, envelope.PurposeFactor)
	if err != nil {
		return reply{}, err
	}
	_, verdict, err := h.Enrolment.ChangeFactor(ctx, c.message(), proof(s, in.Factors), s.Kind, in.Secret)
	return judged(verdict, err)
}

// keys replaces the device's keys. The answer goes to the ones it had: those it can certainly read.
func (h *Handler) keys(ctx context.Context, c *call) (reply, error) {
	var in envelope.Stated
	s, err := h.read(c, &in, envelope.PurposeKeys)
	if err != nil {
		return reply{}, err
	}
	_, verdict, err := h.Enrolment.ChangeKeys(ctx, c.message(), proof(s, in.Factors), *s.Keys, in.Attestation)
	return judged(verdict, err)
}

// attestation sets a challenge, or judges what was made for the last one.
func (h *Handler) attestation(ctx context.Context, c *call) (reply, error) {
	var in envelope.AttestationRequest
	if err := c.request.Decode(&in); err != nil {
		return reply{}, err
	}
	if err := envelope.CheckEvidence(in.Attestation); err != nil {
		return reply{}, err
	}
	var out envelope.AttestationAnswer
	var err error
	if len(in.Attestation) == 0 {
		out, err = h.Enrolment.Challenge(ctx, c.message())
	} else {
		out, err = h.Enrolment.Attest(ctx, c.message(), in.Attestation)
	}
	if err != nil {
		return changed(err)
	}
	return done(out)
}

// proof leaves it to the package below which methods do.
func proof(s envelope.Statement, factors envelope.Factors) handset.Proof {
	return handset.Proof{Statement: s, Factors: factors}
}

// judged answers for a change that needs a factor.
func judged(v handset.Verdict, err error) (reply, error) {
	if err != nil {
		return changed(err)
	}
	switch {
	case v.OK:
		return done(nil)
	case v.Reason == handset.FactorWrong:
		return reply{envelope.CodeRefused, envelope.Refused{Remaining: &v.Remaining}}, nil
	}
	return reply{code: envelope.CodeNotAllowed}, nil
}

// device tells the phone about itself.
func (h *Handler) device(ctx context.Context, c *call) (reply, error) {
	if err := h.once(c); err != nil {
		return reply{}, err
	}
	out, err := h.Enrolment.Describe(ctx, c.device)
	if err != nil {
		return reply{}, err
	}
	return done(out)
}

// disconnect ends the registration, for a phone that is given away.
func (h *Handler) disconnect(ctx context.Context, c *call) (reply, error) {
	if _, _, err := h.stated(c, envelope.PurposeDisconnect); err != nil {
		return reply{}, err
	}
	_, err := h.Devices.Disconnect(ctx, c.message())
	return changed(err)
}

// transfer invites a new phone in the place of this one.
func (h *Handler) transfer(ctx context.Context, c *call) (reply, error) {
	s, factors, err := h.stated(c, envelope.PurposeTransfer)
	if err != nil {
		return reply{}, err
	}
	out, verdict, err := h.Enrolment.Transfer(ctx, c.message(), proof(s, factors))
	if err != nil || !verdict.OK {
		return judged(verdict, err)
	}
	return done(out)
}

// release lets another phone of the same user in, or throws it out.
func (h *Handler) release(ctx context.Context, c *call) (reply, error) {
	s, factors, err := h.stated(c, envelope.PurposeDevice)
	if err != nil {
		return reply{}, err
	}
	verdict, err := h.Enrolment.Judge(ctx, c.message(), proof(s, factors))
	return judged(verdict, err)
}

// register adds a device. The keys that it announces are those that the device is to use from its next message on.
func (h *Handler) register(ctx context.Context, u envelope.Unverified) (string, error) {
	in, r, err := u.Registration()
	if err != nil {
		device, _ := u.Claimed()
		return "", h.blame(err, device)
	}
	answer, own, err := h.Enrolment.Register(h.acting(ctx, in.Device), in, r)
	if err != nil {
		return "", h.blame(err, in.Device)
	}
	keys := h.published()
	if own != nil {
		keys.Enc = encKeys(*own)
	}
	return h.seal(in.Reply(h.Now(), keys), reply{envelope.CodeOK, answer}, r.Keys.Enc)
}
