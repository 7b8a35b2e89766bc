// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// testText is what a message says that tests no type.
	testText = "This is a test message of Gatehouse. Nobody has to do anything."
	// testCode stands where a code would: it opens nothing.
	testCode = "000000"
	// tester is whom the messages of tests count for, among users: no user has such an id.
	tester = "operator:test"
)

// SMSTest says what an operator wants to try.
type SMSTest struct {
	// To is the number, in international form.
	To string `json:"to"`
	// Gateway is its name; the first where it is empty.
	Gateway string `json:"gateway,omitempty"`
	// Type has its own message sent, in Language, with a code that opens nothing.
	Type     string `json:"type,omitempty"`
	Language string `json:"language,omitempty"`
	DryRun   bool   `json:"dry_run,omitempty"`
}

// SMSTrial is a message that was sent to a number, or would be.
type SMSTrial struct {
	Trial
	// To is the number, masked. Country is its ISO 3166-1 code, NumberKind what it is for.
	To         string `json:"to"`
	Country    string `json:"country,omitempty"`
	NumberKind string `json:"number_kind"`
	// Gateway is its name in the configuration, Kind the guest: twilio, http, log.
	Gateway string `json:"gateway"`
	Kind    string `json:"kind"`
	Text    string `json:"text"`
	// Segments is as how many messages the text is paid, Encoding how it travels.
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
	// MessageID is what the gateway calls the message.
	MessageID string   `json:"message_id,omitempty"`
	Limits    SMSLimit `json:"limits"`
}

// SMSLimit is how many messages there may be in an hour.
type SMSLimit struct {
	Number int `json:"number"`
	Prefix int `json:"prefix"`
	User   int `json:"user"`
	// Country is for the number's country.
	Country int `json:"country"`
	All     int `json:"all"`
}

// TestSMS sends one message, which costs what messages cost and counts in their limits: to a number that is sent none, or beyond a
// limit, it sends nothing, and says so in the trial. Dry, it says what it would do. What is malformed or not configured is [ErrTrial].
func (p *Phones) TestSMS(ctx context.Context, test SMSTest) (SMSTrial, error) {
	number, err := phonenumber.Parse(test.To)
	if err != nil {
		return SMSTrial{}, fmt.Errorf("%w: %w", ErrTrial, err)
	}
	gateway, err := p.gateway(test.Gateway)
	if err != nil {
		return SMSTrial{}, err
	}
	text, err := p.text(test.Type, test.Language)
	if err != nil {
		return SMSTrial{}, err
	}
	segments, encoding := sms.Segments(text)
	t := SMSTrial{
		Trial: Trial{DryRun: test.DryRun}, To: number.Masked(), Country: number.Country(), NumberKind: string(number.Kind()),
		Gateway: gateway.Name, Kind: kindOf(gateway.Sender), Text: text, Segments: segments, Encoding: string(encoding),
		Limits: smsLimit(p.carriers.budget.Limits(), number.Country()),
	}
	if t.Failure = p.unwanted(number); t.Failure != nil {
		return t, nil
	}
	if t.Failure, err = p.spend(ctx, number, test.DryRun); t.Failure != nil || err != nil || test.DryRun {
		return t, err
	}
	p.trySMS(ctx, &t, gateway.Sender, number)
	return t, nil
}

// gateway finds one by its name, or the first.
func (p *Phones) gateway(name string) (delivery.Gateway, error) {
	all := p.carriers.guests.SMS
	if len(all) == 0 || p.carriers.budget == nil {
		return delivery.Gateway{}, fmt.Errorf("%w: the configuration has no gateway for messages: add \"sms\" to \"mobile\"", ErrTrial)
	}
	if name == "" {
		return all[0], nil
	}
	for _, g := range all {
		if g.Name == name {
			return g, nil
		}
	}
	return delivery.Gateway{}, fmt.Errorf("%w: there is no gateway %.80q", ErrTrial, name)
}

// text is what a test says: that of a type, or that it is one.
func (p *Phones) text(name, language string) (string, error) {
	if name == "" {
		return testText, nil
	}
	t, known := p.carriers.types.Get(name)
	if !known || t.Method != mobiletype.SMS {
		return "", fmt.Errorf("%w: there is no type %.80q with the method sms", ErrTrial, name)
	}
	template, _, _ := t.Message(language) // without one the code alone is sent
	text, err := sms.Compose(template, testCode, t.Origin)
	if err != nil {
		return "", fmt.Errorf("%w: type %s: %w", ErrTrial, name, err)
	}
	return text, nil
}

// policy is the class of what Gatehouse itself does not send.
const policy = "policy"

// unwanted says why a number is sent no messages.
func (p *Phones) unwanted(number phonenumber.Number) *Trouble {
	err := number.Texts(p.carriers.numbers)
	switch {
	case errors.Is(err, phonenumber.ErrKind):
		return &Trouble{Class: policy, Reason: "kind", Advice: fmt.Sprintf(
			"numbers of the kind %s are sent no messages: add it to \"kinds\" of sms_limits, if people have such numbers", number.Kind())}
	case err != nil:
		return &Trouble{Class: policy, Reason: "country", Advice: fmt.Sprintf(
			"numbers of %s are sent no messages: add it to \"countries\" of sms_limits, if people live there", cmp.Or(number.Country(), "no known country"))}
	}
	return nil
}

// spend counts a message in the limits, or says which of them is reached. Dry, it counts nothing.
func (p *Phones) spend(ctx context.Context, number phonenumber.Number, dry bool) (*Trouble, error) {
	message := budget.Message{Number: number, UserID: tester}
	run, count := p.parts.DB.Update, p.carriers.budget.Spend
	if dry {
		run, count = p.parts.DB.View, p.carriers.budget.Check
	}
	err := run(ctx, func(tx storage.Tx) error { return count(tx, message) })
	if spent := new(budget.SpentError); errors.As(err, &spent) {
		return &Trouble{Class: policy, Reason: "limit_" + spent.Limit, Advice: "as many messages as sms_limits allow in an hour were sent: wait, and find " +
			"out who asks for so many before a limit is raised"}, nil
	}
	return nil, err
}

func (p *Phones) trySMS(ctx context.Context, t *SMSTrial, sender sms.Sender, number phonenumber.Number) {
	began := p.parts.Now()
	id, err := sender.Send(ctx, sms.Message{
		ID: randid.New("sms_test"), To: number.E164(), Text: t.Text, Expires: began.Add(mobiletype.DefaultSMSTimeToLive),
	})
	took, class := p.parts.Now().Sub(began), sms.ClassOf(err)
	t.MessageID = id
	t.tell(took, err == nil)
	meter.Send(delivery.Observation{
		Channel: operation.BySMS, Service: t.Gateway, Outcome: cmp.Or(delivery.Outcome(class), delivery.Sent), Took: took, Age: took,
	})
	if err == nil {
		return
	}
	f := new(sms.Failure)
	_ = errors.As(err, &f) // another error has said nothing beside its class
	t.Failure = trouble(string(class), f.Reason, f.Status, f.RetryAfter)
	t.Failure.Advice = smsAdvice(class)
}

func smsLimit(l budget.Limits, country string) SMSLimit {
	of, limited := l.Countries[country]
	if !limited {
		of = l.All
	}
	return SMSLimit{Number: l.Number, Prefix: l.Prefix, User: l.User, Country: of, All: l.All}
}
