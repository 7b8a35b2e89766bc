// SPDX-License-Identifier: Apache-2.0

package adapterauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// Defaults and limits of a conversation.
const (
	// DefaultRounds is the default of [Config].Rounds.
	DefaultRounds = 10
	// MaxRounds is the most that [Config].Rounds may be.
	MaxRounds = 100
	// maxHint bounds a suggestion that anybody can put into a link.
	maxHint = 256
)

// fieldRound is the hidden field in which the mark of a challenge comes back.
const fieldRound = "round"

// labelContinue is the key of what the button says: nobody knows whether the back end is going to ask more.
const labelContinue = "login.continue"

// Keys of the texts that are shown instead of the back end's own.
const (
	messageAnswered = "login.answered"
	messageMissing  = "login.missing"
)

// Reasons of refusals that are found here and not by the back end.
const (
	// reasonRounds: there was no end to the questions.
	reasonRounds = "too_many_rounds"
	// reasonAnswers: the back end asks the same again, or says that the answers were a mistake.
	reasonAnswers = "wrong_answers"
	// reasonBegun: somebody begins anew after answers that led to nothing.
	reasonBegun = "begun_again"
)

// Backend is asked what to do. It answers with one JSON object of at most 64 KiB.
type Backend interface {
	Post(ctx context.Context, question any) (answer []byte, err error)
}

// Config describes the authenticator.
type Config struct {
	// Backend decides. It is required.
	Backend Backend
	// Rounds is how often the back end is asked about one person before that is refused. Default: [DefaultRounds].
	Rounds int
	// Template names the operator's own page for what the back end asks; empty is the common one.
	Template string
	// Refused is shown after a refusal instead of the usual text.
	Refused string
}

// Authenticator has a back end decide. It is a login module too, for the back end judges. It keeps nothing between calls and
// is safe for concurrent use.
type Authenticator struct{ Config }

// New returns an authenticator, or an error that says what in the configuration does not fit.
func New(c Config) (*Authenticator, error) {
	if c.Backend == nil {
		return nil, errors.New("building an adapter: a back end is required")
	}
	if c.Rounds == 0 {
		c.Rounds = DefaultRounds
	}
	if c.Rounds < 1 || c.Rounds > MaxRounds {
		return nil, fmt.Errorf("building an adapter: %d rounds are not 1 to %d", c.Rounds, MaxRounds)
	}
	if !realm.ValidText(c.Refused, formauth.MaxText) {
		return nil, fmt.Errorf("building an adapter: the text of a refusal is none of at most %d bytes", formauth.MaxText)
	}
	return &Authenticator{c}, nil
}

// question is what the back end is told in a round.
type question struct {
	Realm    string            `json:"realm"`
	Round    int               `json:"round"`
	State    string            `json:"state"`
	Answers  map[string]string `json:"answers"`
	ClientIP string            `json:"client_ip"`
	Locale   string            `json:"locale"`
	Subject  string            `json:"subject"`
	Hint     string            `json:"hint"`
}

// Collect goes through one round. Without answers it shows again what was asked last, or begins when there is nothing to show.
// Answers reach the back end once, and only when they are to what was asked last.
func (a *Authenticator) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	last, asked := restore(in.State)
	mark := in.Fields[fieldRound]
	switch {
	case asked && in.Spent && mark != "":
		// They were sent twice, or something broke: who sent them first may still be waiting, and what that leads to is left
		// alone. The button of the page that is shown brings no mark, and leads to how things are then.
		return realm.Credentials{}, &realm.Challenge{Message: messageAnswered}, nil
	case !asked || in.Spent:
		return a.begin(ctx, in)
	case in.Fields == nil:
		return a.show(last, last.Challenge.Message, nil)
	case mark != last.Mark:
		return a.show(last, messageAnswered, nil)
	}
	answers, complete := last.Challenge.take(in.Fields)
	if !complete {
		return a.show(last, messageMissing, answers)
	}
	credentials, next, err := a.ask(ctx, in, question{Round: last.Round + 1, State: last.State, Answers: answers})
	if now, ok := asks(next); ok && (now.Error || now.same(last.Challenge)) {
		next.Further, next.Refusal = false, &realm.Refusal{Reason: reasonAnswers}
	}
	return credentials, next, err
}

// asks returns what a challenge of ours asks; false when nothing is asked.
func asks(c *realm.Challenge) (challenge, bool) {
	if c == nil {
		return challenge{}, false
	}
	kept, ok := restore(c.State)
	return kept.Challenge, ok
}

// begin asks the back end for the first time. Answers to something it never asked are dropped, and who sent them is told. Whoever
// begins anew after answers that led to nothing may have been guessing, however little came of it.
func (a *Authenticator) begin(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	credentials, challenge, err := a.ask(ctx, in, question{Round: 1})
	if _, again := restore(in.State); again && challenge != nil {
		challenge.Refusal = &realm.Refusal{Reason: reasonBegun}
	}
	if challenge != nil && in.Fields[fieldRound] != "" {
		challenge.Message = messageAnswered
	}
	return credentials, challenge, err
}

// ask has the back end decide. What it decides without asking anything was decided about nobody's answers, and counts as well:
// it may know somebody by his address.
func (a *Authenticator) ask(ctx context.Context, in realm.Input, q question) (realm.Credentials, *realm.Challenge, error) {
	q.Realm, q.ClientIP, q.Locale, q.Subject = in.Realm, in.ClientIP, in.Locale, in.Subject
	if realm.ValidText(in.Hint, maxHint) {
		q.Hint = in.Hint
	}
	text, err := a.Backend.Post(ctx, q)
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	said, err := parse(text)
	if err != nil {
		return realm.Credentials{}, nil, fmt.Errorf("reading what the back end decided: %w", err)
	}
	credentials := realm.Credentials{
		Values: said.credentials, Identity: said.identity, Refusal: said.refusal,
		ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}
	switch {
	case said.challenge == nil:
		return credentials, nil, nil
	case q.Round >= a.Rounds:
		credentials.Refusal = &realm.Refusal{Reason: reasonRounds}
		return credentials, nil, nil
	}
	next := conversation{Round: q.Round, Mark: randid.New("rnd"), State: said.state, Challenge: *said.challenge}
	return a.show(next, next.Challenge.Message, nil)
}

// show asks the person what the back end wants to know. What was typed is shown again, unless it is a secret.
func (a *Authenticator) show(c conversation, message string, typed map[string]string) (realm.Credentials, *realm.Challenge, error) {
	state, err := c.keep()
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	fields := c.Challenge.fields()
	for i, f := range fields {
		if f.Type != "password" && typed != nil {
			fields[i].Value = typed[f.Name]
		}
	}
	fields = append(fields, realm.Field{Name: fieldRound, Label: fieldRound, Type: "hidden", Value: c.Mark})
	return realm.Credentials{}, &realm.Challenge{
		Fields: fields, Message: message, Further: message == c.Challenge.Message && !c.Challenge.Error,
		Refused: a.Refused, Submit: labelContinue, Template: a.Template, Data: c.Challenge.Data, State: state,
	}, nil
}

// Verify accepts whom the back end has named. Credentials that the back end handed over for another login module are judged by
// nobody here: that is an error.
func (a *Authenticator) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Identity == nil {
		return realm.Result{}, errors.New("the back end handed over credentials, and the realm has no login module that verifies them")
	}
	return realm.Result{Status: realm.Accepted, Identity: *c.Identity}, nil
}
