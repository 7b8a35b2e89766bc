// SPDX-License-Identifier: Apache-2.0

package asking

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
	"github.com/gatehouse-id/gatehouse/storage"
)

// facts are what is known of a user when they are to be asked. Of one who is not there, or may not do anything, nothing is.
type facts struct {
	devices []handset.Device // active ones
	person  Person
	number  phonenumber.Number // where a message would go
	// noSMS is why none would go there.
	noSMS string
}

// attempt is one start.
type attempt struct {
	*Request
	facts
	service     *Service
	chain       []mobiletype.Type
	fingerprint string
	// described is the content for phones by what it was made from, since to find out about it may take a while.
	described map[string]string
}

func (a *attempt) look(ctx context.Context) (err error) {
	if a.UserID == "" {
		a.noSMS = NoNumber
		return nil
	}
	a.facts, err = a.service.facts(ctx, a.UserID, a.Number)
	return err
}

// facts reads all there is about a user, whether or not there is one: who watches the clock learns nothing. Another number may
// stand in for the user's own.
func (s *Service) facts(ctx context.Context, userID, number string) (f facts, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		f = facts{}
		active := s.people.Active(tx, userID)
		if active != nil && !errors.Is(active, mobileauth.ErrInactive) {
			return active
		}
		devices, err := s.devices.Live(tx, userID)
		if err != nil {
			return err
		}
		person, err := s.people.Person(tx, userID)
		if err != nil {
			return err
		}
		if active == nil {
			f.devices, f.person = devices, person
		} else {
			number = "" // nobody is there whom it could belong to
		}
		return s.judge(tx, &f, userID, cmp.Or(number, f.person.Number))
	})
	if err != nil {
		return facts{}, fmt.Errorf("looking at how a user can be asked: %w", err)
	}
	f.devices = slices.DeleteFunc(f.devices, func(d handset.Device) bool { return d.Status != handset.Active })
	return f, nil
}

// judge finds out whether a message can be sent, and to which number.
func (s *Service) judge(tx storage.Tx, f *facts, userID, number string) (err error) {
	if s.budget == nil {
		f.noSMS = NoGateway
		return nil
	}
	if number == "" {
		f.noSMS = NoNumber
		return nil
	}
	if f.number, err = phonenumber.Parse(number); err != nil || f.number.Texts(s.numbers) != nil {
		f.noSMS = BadNumber
		return nil
	}
	err = s.budget.Check(tx, budget.Message{Number: f.number, UserID: userID})
	if errors.Is(err, budget.ErrSpent) {
		f.noSMS = SMSLimit
		return nil
	}
	return err
}

// begin returns how a type would begin, or why it cannot.
func (a *attempt) begin(ctx context.Context, t mobiletype.Type) (start operation.Start, reason string, err error) {
	start = operation.Start{
		Kind: a.Kind, UserID: a.UserID, DeviceID: a.DeviceID, Application: a.Application, ClientID: a.ClientID, ExternalID: a.ExternalID,
		IdempotencyKey: a.IdempotencyKey, Context: a.Context, Secure: a.Secure, Data: a.Data,
		TimeToLive: cmp.Or(a.TimeToLive, t.TimeToLive), NumberMatch: a.NumberMatch, Callback: a.Callback, Traceparent: a.Traceparent,
		Asked: a.Type, Fingerprint: a.fingerprint, From: a.from(), Use: a.Use,
		Way: operation.Way{
			Channel: t.Channel(), Type: t.Name, Of: t.Method, Named: t.ACR, Attempts: t.Attempts, Resends: max(0, t.Resends),
		},
	}
	message, in, found := t.Message(append([]string{a.Language}, a.person.Languages...)...)
	if said := cmp.Or(a.Message, a.Context.Content); said != "" {
		message, in, found = said, cmp.Or(a.Language, a.Context.Language), true
	}
	switch {
	case !found:
		return start, NoMessage, nil
	case t.Method == mobiletype.SMS:
		return start, a.text(&start, t, message), nil
	case t.Method == mobiletype.OTP && a.UserID != "":
		return start, NotScanning, nil
	case t.Method == mobiletype.OTP:
		start.Methods = []string{t.Factor()}
	default:
		if start.Methods, reason = a.methods(t); reason != "" {
			return start, reason, nil
		}
	}
	own, _, _ := t.Message(in)
	if message = cmp.Or(plain(message), plain(own)); message == "" {
		return start, NoMessage, nil
	}
	start.Context.Content = a.content(ctx, in, message)
	start.Context.Language = cmp.Or(a.Context.Language, in)
	return start, "", nil
}

// plain is a message as a phone shows it, which has no code to show: without the place of one, and without what led there.
func plain(message string) string {
	if !strings.Contains(message, mobiletype.Code) {
		return message
	}
	lines := strings.Split(message, "\n")
	for i, line := range lines {
		if strings.Contains(line, mobiletype.Code) {
			words := strings.Join(strings.Fields(strings.ReplaceAll(line, mobiletype.Code, " ")), " ")
			lines[i] = strings.Trim(closing.Replace(words), " :,;-–—")
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// closing closes up to the end of a sentence what stood before a code.
var closing = strings.NewReplacer(": .", ".", " .", ".", " ,", ",", " !", "!", " ?", "?")

// from is the address that the request comes from, empty where nobody knows.
func (a *attempt) from() string {
	if !a.Origin.Address.IsValid() {
		return ""
	}
	return a.Origin.Address.WithZone("").String()
}

// text makes the start one over SMS, or says why it cannot be. What is consented to has to stand in the message: neither fields nor
// what only a phone shows do, nor a text without a place for the code, of which the code alone is sent. Nothing is signed.
func (a *attempt) text(start *operation.Start, t mobiletype.Type, message string) (reason string) {
	unsaid := len(a.Context.Fields) > 0 || a.Context.Title != "" || a.Secure != "" || !strings.Contains(message, mobiletype.Code)
	if a.Kind == operation.Signature || a.Data != "" || a.Kind == operation.Authorisation && unsaid {
		return NotOverSMS
	}
	if a.noSMS != "" {
		return a.noSMS
	}
	if _, err := shown.Text("message", message, shown.Content{Most: mobiletype.MaxMessage}); err != nil {
		return NotOverSMS // the content of a context may be longer, and in lines
	}
	start.DeviceID, start.Secure, start.NumberMatch = "", "", 0
	start.Context = operation.Context{Content: message}
	start.SMS = &operation.Texting{To: a.number.E164(), Masked: a.number.Masked(), Text: message, Origin: t.Origin, Other: a.other()}
	return ""
}

// other reports whether the message goes to a number that the client has named while the user has another.
func (a *attempt) other() bool {
	if a.Number == "" || a.person.Number == "" {
		return false
	}
	own, err := phonenumber.Parse(a.person.Number)
	return err != nil || own != a.number
}

// methods returns what phones may answer with, or why none can: where none has the fingerprint or the factor that is asked for, the
// PIN stands in.
func (a *attempt) methods(t mobiletype.Type) (methods []string, reason string) {
	able, named := a.service.able(a.devices, a.DeviceID, a.Application, t.Factor())
	switch {
	case !named:
		return nil, NoDevice
	case len(able) > 0:
		return []string{t.Factor()}, ""
	case t.Method == mobiletype.PushFingerprint || t.Method == mobiletype.PushCustom:
		pin := mobiletype.PushPIN.Factor("")
		if able, _ := a.service.able(a.devices, a.DeviceID, a.Application, pin); len(able) > 0 {
			return []string{pin}, ""
		}
	}
	return nil, NoFactor
}

// able returns the devices that have a factor and may use it, of those that are named, and whether any is.
func (s *Service) able(devices []handset.Device, deviceID, application, factor string) (able []handset.Device, named bool) {
	for _, d := range devices {
		if deviceID != "" && d.ID != deviceID || application != "" && d.Application != application {
			continue
		}
		named = true
		if slices.Contains(d.Methods(), factor) && s.allows(d.Application, factor) {
			able = append(able, d)
		}
	}
	return able, named
}

// content is what a phone shows of a message: with where the request comes from, if that is known, fits, and is fit to be signed.
func (a *attempt) content(ctx context.Context, language, message string) string {
	if !a.Origin.Address.IsValid() && a.Origin.UserAgent == "" {
		return message
	}
	if text, known := a.described[message]; known {
		return text
	}
	text := a.service.describe(ctx, a.Origin, language, message, operation.MaxShort)
	if checked, err := shown.Text("message", text, shown.Content{Most: operation.MaxShort}); err != nil || checked == "" {
		text = message
	}
	if a.described == nil {
		a.described = map[string]string{}
	}
	a.described[message] = text
	return text
}
