// SPDX-License-Identifier: Apache-2.0

package asking_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
)

// TestChoice: what is used depends on what the user has, and the operation says why what stands before it was not.
func TestChoice(t *testing.T) {
	t.Parallel()
	type has struct {
		phones  [][]string // the factors of each
		number  string
		narrow  mobiletype.Fallbacks
		allowed func(application, factor string) bool
	}
	noVoice := func(_, factor string) bool { return factor != "custom:voice" }
	noPIN := func(_, factor string) bool { return factor != "pin" }
	for _, test := range []struct {
		name, asked string
		has         has
		used        string
		channel     operation.Channel
		methods     []string
		skipped     []string // of one that cannot begin, used is empty
	}{
		{"plain push needs an enrolled app only", "push", has{phones: [][]string{nil}}, "push", "push", []string{"possession"}, nil},
		{"push without an app", "push", has{}, "", "", nil, []string{"push no_device"}},
		{"push_pin with a PIN", "pin", has{phones: [][]string{{"pin"}}, number: mobile}, "pin", "push", []string{"pin"}, nil},
		{"push_pin without a PIN goes over sms", "pin", has{phones: [][]string{nil}, number: mobile}, "sms", "sms", nil, []string{"pin no_factor"}},
		{"no phone enrolled, so a message goes out", "pin", has{number: mobile}, "sms", "sms", nil, []string{"pin no_device"}},
		{"no phone and no number", "pin", has{}, "", "", nil, []string{"pin no_device", "sms no_number"}},
		{"a number that is none", "sms", has{number: "call me"}, "", "", nil, []string{"sms bad_number"}},
		{"a number that costs", "sms", has{number: "+31900123456"}, "", "", nil, []string{"sms bad_number"}},
		{"a fingerprint", "finger", has{phones: [][]string{{"pin", "biometric"}}}, "finger", "push", []string{"biometric"}, nil},
		{"a fingerprint falls back to the PIN", "finger", has{phones: [][]string{{"pin"}}}, "finger", "push", []string{"pin"}, nil},
		{"one of two phones has a fingerprint", "finger", has{phones: [][]string{{"pin"}, {"pin", "biometric"}}}, "finger", "push", []string{"biometric"}, nil},
		{"neither fingerprint nor PIN", "finger", has{phones: [][]string{nil}}, "", "", nil, []string{"finger no_factor"}},
		{"a custom factor", "custom", has{phones: [][]string{{"custom:voice"}}}, "custom", "push", []string{"custom:voice"}, nil},
		{"another custom factor falls back to the PIN", "custom", has{phones: [][]string{{"custom:eye", "pin"}}}, "custom", "push", []string{"pin"}, nil},
		{"a custom factor that the application does not allow", "custom", has{phones: [][]string{{"custom:voice", "pin"}}, allowed: noVoice},
			"custom", "push", []string{"pin"}, nil},
		{"a PIN that the application does not allow", "pin", has{phones: [][]string{{"pin"}}, number: mobile, allowed: noPIN}, "sms", "sms", nil,
			[]string{"pin no_factor"}},
		{"to the end of the chain", "steps", has{phones: [][]string{nil}, number: mobile}, "sms", "sms", nil, []string{"steps no_factor", "pin no_factor"}},
		{"no lower fallback is allowed", "pin", has{number: mobile, narrow: mobiletype.SameOrHigher}, "", "", nil, []string{"pin no_device"}},
		{"a higher fallback is allowed", "steps", has{phones: [][]string{{"pin"}}, narrow: mobiletype.SameOrHigher}, "steps", "push", []string{"pin"}, nil},
		{"no fallback is allowed", "steps", has{number: mobile, narrow: mobiletype.NoFallback}, "", "", nil, []string{"steps no_device"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) { w.config.Allows = test.has.allowed })
			w.people["usr_1"] = asking.Person{Number: test.has.number}
			for _, factors := range test.has.phones {
				w.phone("usr_1", "bank", factors...)
			}
			o, _, err := w.Start(t.Context(), request("usr_1", test.asked, func(r *asking.Request) { r.Fallback = test.has.narrow }))
			if test.used == "" {
				var impossible *asking.ImpossibleError
				if !errors.As(err, &impossible) || !errors.Is(err, asking.ErrImpossible) {
					t.Fatalf("it began: %+v, %v", o, err)
				}
				if diff := cmp.Diff(test.skipped, reasons(impossible.Skipped)); diff != "" {
					t.Error(diff)
				}
				return
			}
			must(t, err)
			if o.Asked != test.asked || o.Type != test.used || o.Channel != test.channel || !slices.Equal(o.Methods, test.methods) {
				t.Errorf("asked by %s over %s with %v", o.Type, o.Channel, o.Methods)
			}
			if diff := cmp.Diff(test.skipped, reasons(o.Skipped)); diff != "" {
				t.Error(diff)
			}
			if ttl := o.AnswerBy.Sub(o.CreatedAt); ttl != map[string]time.Duration{"push": time.Minute, "sms": 5 * time.Minute}[test.used] && ttl != 2*time.Minute {
				t.Errorf("it lives for %s", ttl)
			}
		})
	}
}

// TestUnknownUsersAreLikeThoseWithNothing: the refusal is the same, word for word.
func TestUnknownUsersAreLikeThoseWithNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{}
	w.phone("usr_gone", "bank", "pin")
	number := func(r *asking.Request) { r.Number, r.MayNumber = "+31622222222", true }
	for _, typ := range []string{"push", "pin", "finger", "steps", "sms"} {
		_, _, want := w.Start(t.Context(), request("usr_1", typ))
		for _, user := range []string{"usr_none", "usr_gone"} {
			if _, _, err := w.Start(t.Context(), request(user, typ)); err == nil || err.Error() != want.Error() {
				t.Errorf("%s of %s: %v, want %v", typ, user, err, want)
			}
		}
	}
	if _, _, err := w.Start(t.Context(), request("usr_none", "sms", number)); !errors.Is(err, asking.ErrImpossible) {
		t.Errorf("a message about nobody: %v", err)
	}
}

// TestMethodReallyUsed: what an approval is worth is computed from what was used, whatever was asked for.
func TestMethodReallyUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	o := w.ask("usr_1", "pin")
	out, err := w.operations.Verify(t.Context(), o.ID, "portal", o.SMS.Code)
	must(t, err)
	if got := out.Operation; got.Asked != "pin" || got.Type != "sms" || got.Used != mobiletype.SMS || got.ACR != "sms" || got.AMR[0] != "sms" {
		t.Errorf("approved as %+v", got)
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	w.people["usr_2"] = asking.Person{Languages: []string{"nl-BE", "de"}, Number: "+31622222222"}
	for user := range w.people {
		w.phone(user, "bank", "pin")
	}
	from := func(r *asking.Request) {
		r.Origin = asking.Origin{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Firefox"}
	}
	language := func(l string) func(*asking.Request) { return func(r *asking.Request) { r.Language = l } }
	said := func(m string) func(*asking.Request) { return func(r *asking.Request) { r.Message = m } }
	long := strings.Repeat("ع", 150) + " 🙂"
	for _, test := range []struct {
		name     string
		user     string
		change   []func(*asking.Request)
		content  string
		language string
	}{
		{"the type's own", "usr_1", nil, "Sign in to Example", "en"},
		{"by language_code", "usr_1", []func(*asking.Request){language("nl")}, "Inloggen bij Example", "nl"},
		{"an unknown language is English", "usr_1", []func(*asking.Request){language("tlh")}, "Sign in to Example", "en"},
		{"the language of the user", "usr_2", nil, "Inloggen bij Example", "nl"},
		{"language_code before the user's", "usr_2", []func(*asking.Request){language("en")}, "Sign in to Example", "en"},
		{"the client's", "usr_1", []func(*asking.Request){said("You are logging in"), language("en-gb")}, "You are logging in", "en-GB"},
		{"arabic with an emoji", "usr_1", []func(*asking.Request){said(long)}, long, ""},
		{"with where it comes from", "usr_1", []func(*asking.Request){from}, "Sign in to Example (en, 192.0.2.7, Firefox, 155)", "en"},
		{"with no room for where it comes from", "usr_1", []func(*asking.Request){from, said(long)}, long, ""},
		{"with the place of a code at its end", "usr_1", []func(*asking.Request){said("Pay 5 EUR to Bob. Your code: {code}")}, "Pay 5 EUR to Bob. Your code", ""},
		{"with the place of a code within", "usr_1", []func(*asking.Request){said("Use {code} to sign in.")}, "Use to sign in.", ""},
		{"with the place of a code before a dot", "usr_1", []func(*asking.Request){said("Pay 5 EUR. Code: {code}.")}, "Pay 5 EUR. Code.", ""},
		{"nothing but the place of a code", "usr_1", []func(*asking.Request){said("{code}")}, "Sign in to Example", ""},
		{"with the place of a code in lines", "usr_1", []func(*asking.Request){func(r *asking.Request) {
			r.Kind, r.Context = operation.Signature, operation.Context{Content: "Pay:\n5  EUR\n{code} is it"}
		}}, "Pay:\n5  EUR\nis it", ""},
		{"with the place of a code and where it comes from", "usr_1", []func(*asking.Request){from, said("Sign in: {code}")}, "Sign in (, 192.0.2.7, Firefox, 155)", ""},
		{"of the context", "usr_1", []func(*asking.Request){func(r *asking.Request) {
			r.Context = operation.Context{Title: "Log in", Content: "to the portal", Language: "en"}
		}}, "to the portal", "en"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := w.ask(test.user, "push", append(test.change, func(r *asking.Request) { r.ExternalID = test.name })...)
			if d := w.shown(o); d.Content != test.content || d.Language != test.language {
				t.Errorf("it says %q in %q", d.Content, d.Language)
			}
			_, err := w.operations.Cancel(t.Context(), o.ID, "client")
			must(t, err)
		})
	}
	sms := w.ask("usr_2", "sms", from)
	if sms.SMS.Text != "Je code: {code}" || sms.SMS.To != "+31622222222" || sms.SMS.Origin != "id.example.com" || strings.Contains(sms.SMS.Masked, "2222") {
		t.Errorf("the message is %+v", *sms.SMS)
	}
}

// TestSecureMessageAndData: both reach the phone within what it signs, and neither a message.
func TestSecureMessageAndData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	w.people["usr_2"] = asking.Person{Number: "+31622222222"}
	w.phone("usr_1", "bank", "pin")
	secure := func(r *asking.Request) { r.Secure = "Balance: 12 EUR\nDue: today" }
	data := func(r *asking.Request) { r.Data = "order=7" }
	d := w.shown(w.ask("usr_1", "pin", secure, data))
	if d.Secure != "Balance: 12 EUR\nDue: today" || d.Data != "order=7" {
		t.Errorf("shown %+v", d)
	}
	if o := w.ask("usr_2", "pin", secure); strings.Contains(o.SMS.Text, "Balance") || len(o.Display) != 0 {
		t.Errorf("the message is %+v", *o.SMS)
	}
	pay := func(r *asking.Request) { r.Kind = operation.Authorisation }
	for name, change := range map[string][]func(*asking.Request){
		"data":                             {data},
		"consent to what stands elsewhere": {secure, pay},
		"a signature":                      {func(r *asking.Request) { r.Kind = operation.Signature }},
		"fields": {pay, func(r *asking.Request) {
			r.Context.Fields = []operation.Field{{Type: "amount", Value: "1", Currency: "EUR"}}
		}},
		"long content": {pay, func(r *asking.Request) { r.Context.Content = strings.Repeat("x", 156) }},
		"consent to what is not sent with the code": {pay, func(r *asking.Request) { r.Message = "Pay 1000 EUR to Mallory?" }},
	} {
		_, _, err := w.Start(t.Context(), request("usr_2", "pin", change...))
		var impossible *asking.ImpossibleError
		if !errors.As(err, &impossible) || !slices.Equal(reasons(impossible.Skipped), []string{"pin no_device", "sms not_over_sms"}) {
			t.Errorf("%s over sms: %v", name, err)
		}
	}
	said := func(m string) func(*asking.Request) { return func(r *asking.Request) { r.Message = m } }
	if o := w.ask("usr_2", "pin", pay, said("{code} pays 10 EUR to Ann.")); o.SMS.Text != "{code} pays 10 EUR to Ann." {
		t.Errorf("consent to what stands in the message: %+v", *o.SMS)
	}
	if o := w.ask("usr_2", "pin", said("Sign in")); o.Channel != operation.BySMS {
		t.Errorf("a sign-in that says nothing but the code goes over %s", o.Channel)
	}
}

// TestOtherNumbers: a code that goes to another number than the user's is known as one.
func TestOtherNumbers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	w.people["usr_2"] = asking.Person{}
	w.people["usr_3"] = asking.Person{Number: "call me"}
	for _, test := range []struct {
		user, number string
		other        bool
	}{
		{"usr_1", "", false},
		{"usr_1", "+31 (0)6 1234 5678", false}, // their own in another spelling
		{"usr_1", "+31622222222", true},
		{"usr_2", "+31622222222", false}, // the only one there is
		{"usr_3", "+31622222222", true},
	} {
		o := w.ask(test.user, "sms", func(r *asking.Request) { r.Number, r.MayNumber = test.number, true })
		if o.SMS.Other != test.other {
			t.Errorf("%q for %s: other is %t", test.number, test.user, o.SMS.Other)
		}
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	w.phone("usr_1", "bank", "pin")
	for _, test := range []struct {
		name, asked, field string
		change             func(*asking.Request)
	}{
		{"no type", "", "type", nil},
		{"an unknown type", "push_retina", "type", nil},
		{"no kind", "push", "kind", func(r *asking.Request) { r.Kind = "" }},
		{"a registration", "push", "kind", func(r *asking.Request) { r.Kind = operation.Registration }},
		{"nobody", "push", "user_id", func(r *asking.Request) { r.UserID = "" }},
		{"somebody who scans", "scan", "user_id", nil},
		{"a device that scans", "scan", "user_id", func(r *asking.Request) { r.UserID, r.DeviceID = "", "dev_1" }},
		{"156 characters", "push", "message", func(r *asking.Request) { r.Message = strings.Repeat("x", 156) }},
		{"10 KB in Arabic", "push", "message", func(r *asking.Request) { r.Message = strings.Repeat("ع🙂", 2000) }},
		{"two lines", "push", "message", func(r *asking.Request) { r.Message = "a\nb" }},
		{"a text that reorders", "push", "message", func(r *asking.Request) { r.Message = "Pay 1\u202e000" }},
		{"a secret that hides", "push", "secure_message", func(r *asking.Request) { r.Secure = "a\u200bb" }},
		{"a secret that hides, over sms", "sms", "secure_message", func(r *asking.Request) { r.Secure = "a\u200bb" }},
		{"a title that hides, over sms", "sms", "context.title", func(r *asking.Request) { r.Context.Title = "a\u200bb" }},
		{"a long secret", "push", "secure_message", func(r *asking.Request) { r.Secure = strings.Repeat("x", 1001) }},
		{"data that hides", "pin", "signing_data", func(r *asking.Request) { r.Data = "a\u2066b" }},
		{"the server's own data, over SMS", "sms", "signing_data", func(r *asking.Request) { r.Data, r.MaySign = "x", true }},
		{"data of a type that does not sign", "push", "signing_data", func(r *asking.Request) { r.Data = "x" }},
		{"two messages", "push", "message", func(r *asking.Request) { r.Message, r.Context.Content = "a", "b" }},
		{"no message at all", "mute", "message", nil},
		{"no language", "push", "language_code", func(r *asking.Request) { r.Language = "english please" }},
		{"a number that the client may not name", "sms", "phone_number", func(r *asking.Request) { r.Number = "+31611111111" }},
		{"a national number", "sms", "phone_number", func(r *asking.Request) { r.Number, r.MayNumber = "0612345678", true }},
		{"a number with an extension", "push", "phone_number", func(r *asking.Request) { r.Number, r.MayNumber = "+31612345678;ext=1", true }},
		{"another policy", "push", "fallback", func(r *asking.Request) { r.Fallback = "sometimes" }},
		{"more digits than there are", "push", "number_match", func(r *asking.Request) { r.NumberMatch = 9 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := request("usr_1", test.asked)
			if test.change != nil {
				test.change(&r)
			}
			_, _, err := w.Start(t.Context(), r)
			var field *operation.FieldError
			if !errors.As(err, &field) || field.Field != test.field {
				t.Errorf("error %v, want one about %s", err, test.field)
			}
			if err != nil && (strings.Contains(err.Error(), "31611111111") || strings.Contains(err.Error(), "0612345678")) {
				t.Errorf("the error repeats a number: %v", err)
			}
		})
	}
}

// TestNamedNumber: a client that may say where messages go does, and the user's own number stays out of it.
func TestNamedNumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.config.Numbers.Countries = []string{"NL"} })
	w.people["usr_1"] = asking.Person{Number: mobile}
	name := func(number string) func(*asking.Request) {
		return func(r *asking.Request) { r.Number, r.MayNumber = number, true }
	}
	if o := w.ask("usr_1", "sms", name("+31 (0)6 2222 2222")); o.SMS.To != "+31622222222" {
		t.Errorf("it goes to %s", o.SMS.Masked)
	}
	_, _, err := w.Start(t.Context(), request("usr_1", "sms", name("+32470123456")))
	var impossible *asking.ImpossibleError
	if !errors.As(err, &impossible) || impossible.Skipped[0].Reason != asking.BadNumber {
		t.Errorf("a number of another country: %v", err)
	}
}

func TestScanning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.ask("", "scan", func(r *asking.Request) { r.Application = "bank" })
	if o.Channel != operation.ByOTP || o.OTP == "" || len(o.Number) != 2 || o.UserID != "" || o.Application != "bank" || w.shown(o).NumberMatch != 2 {
		t.Errorf("it began as %+v", o)
	}
}

// TestLate: SMS takes over from a phone that does not fetch, if it could begin; otherwise the phone has all the time.
func TestLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"], w.people["usr_2"] = asking.Person{Number: mobile}, asking.Person{}
	w.phone("usr_1", "bank", "pin")
	w.phone("usr_2", "bank", "pin")
	o, alone := w.ask("usr_1", "late"), w.ask("usr_2", "late")
	if o.Late == nil || o.Late.Way.SMS.To != mobile || alone.Late != nil {
		t.Fatalf("late: %+v and %+v", o.Late, alone.Late)
	}
	w.clock.Advance(30 * time.Second)
	must(t, w.operations.Tick(t.Context()))
	got, err := w.operations.Get(t.Context(), o.ID)
	must(t, err)
	if got.Channel != operation.BySMS || got.Type != "sms" || !slices.Equal(reasons(got.Skipped), []string{"late not_fetched"}) || got.SMS.Masked != masked {
		t.Errorf("it is %+v", got)
	}
}

// TestSameRequestTwice: a repeated request gets what the first one got, also when it would now be answered in another way.
func TestSameRequestTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	keyed := func(r *asking.Request) { r.IdempotencyKey = "k" }
	first := w.ask("usr_1", "pin", keyed)
	w.phone("usr_1", "bank", "pin")
	again, created, err := w.Start(t.Context(), request("usr_1", "pin", keyed))
	must(t, err)
	if created || again.ID != first.ID || again.Channel != operation.BySMS {
		t.Errorf("the second got %+v", again)
	}
	if _, _, err := w.Start(t.Context(), request("usr_1", "push", keyed)); !errors.Is(err, operation.ErrIdempotency) {
		t.Errorf("another request under the key: %v", err)
	}
}

// TestBudget: messages to one number end, whatever they are about, resent ones too, and those of other numbers go on.
func TestBudget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, user := range []string{"usr_1", "usr_2", "usr_3"} {
		w.people[user] = asking.Person{Number: mobile}
	}
	w.people["usr_4"] = asking.Person{Number: "+31687654321"}
	first := w.ask("usr_1", "sms")
	w.clock.Advance(30 * time.Second)
	_, err := w.operations.Resend(t.Context(), first.ID, "portal")
	must(t, err)
	second := w.ask("usr_2", "sms")
	w.ask("usr_3", "sms")
	_, _, err = w.Start(t.Context(), request("usr_1", "sms"))
	var impossible *asking.ImpossibleError
	if !errors.As(err, &impossible) || impossible.Skipped[0].Reason != asking.SMSLimit {
		t.Errorf("a fifth message: %v", err)
	}
	w.clock.Advance(30 * time.Second)
	if _, err := w.operations.Resend(t.Context(), second.ID, "portal"); !errors.Is(err, operation.ErrChannel) {
		t.Errorf("sent again: %v", err)
	}
	w.ask("usr_4", "sms")
	_, err = w.operations.Verify(t.Context(), first.ID, "portal", first.SMS.Code)
	must(t, err)
	conversions, err := w.budget.Conversions(t.Context())
	must(t, err)
	if len(conversions) != 1 || conversions[0].Sent != 5 || conversions[0].Typed != 1 {
		t.Errorf("conversions %+v", conversions)
	}
	broke := newWorld(t, func(w *world) { w.config.Budget = nil })
	broke.people["usr_1"] = asking.Person{Number: mobile}
	if _, _, err := broke.Start(t.Context(), request("usr_1", "sms")); !strings.Contains(fmt.Sprint(err), asking.NoGateway) {
		t.Errorf("without messages: %v", err)
	}
}

// overtaken is a store of operations under which phones disappear.
type overtaken struct {
	asking.Operations
	err error
}

func (o *overtaken) Start(ctx context.Context, start operation.Start) (operation.Operation, bool, error) {
	if start.Channel == operation.ByPush {
		return operation.Operation{}, false, o.err
	}
	return o.Operations.Start(ctx, start)
}

// TestOvertaken: the phone is gone between the look and the start, so the next type is tried; what is nobody's fault is an error.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for _, test := range []struct {
		err  error
		goes bool
	}{{operation.ErrDevice, true}, {operation.ErrUser, true}, {operation.ErrBlocked, false}, {operation.ErrTooManyOpen, false}, {down, false}} {
		w := newWorld(t, func(w *world) { w.config.Operations = &overtaken{w.operations, test.err} })
		w.people["usr_1"] = asking.Person{Number: mobile}
		w.phone("usr_1", "bank", "pin")
		o, _, err := w.Start(t.Context(), request("usr_1", "pin"))
		if test.goes != (err == nil) || !test.goes && !errors.Is(err, test.err) || test.goes && o.Type != "sms" {
			t.Errorf("%v: by %s, %v", test.err, o.Type, err)
		}
	}
}

// down is a directory that does not answer.
type down struct{ people }

var errDown = errors.New("the directory is down")

func (down) Person(storage.Tx, string) (asking.Person, error) { return asking.Person{}, errDown }

type gone struct{ people }

func (gone) Active(storage.Tx, string) error { return errDown }

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, p := range []asking.People{down{people{"usr_1": {}}}, gone{}} {
		w := newWorld(t, func(w *world) { w.config.People = p })
		if _, _, err := w.Start(t.Context(), request("usr_1", "push")); !errors.Is(err, errDown) {
			t.Errorf("start: %v", err)
		}
		if _, err := w.Methods(t.Context(), "usr_1", "", ""); !errors.Is(err, errDown) {
			t.Errorf("methods: %v", err)
		}
	}
	if _, err := asking.New(asking.Config{}); err == nil {
		t.Error("a service of nothing")
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"], w.people["usr_2"], w.people["usr_3"] = asking.Person{}, asking.Person{Number: mobile}, asking.Person{}
	bank, shop := w.phone("usr_1", "bank", "pin"), w.phone("usr_1", "shop", "pin", "biometric")
	locked := w.phone("usr_3", "bank", "pin")
	_, err := w.handset.Lock(t.Context(), locked, "test")
	must(t, err)
	methods := func(user, device, application string) []string {
		t.Helper()
		all, err := w.Methods(t.Context(), user, device, application)
		must(t, err)
		var got []string
		for _, m := range all {
			line := fmt.Sprintf("%s %s by %s %s", m.Type, m.Method, m.By, m.ByMethod)
			for _, d := range m.Devices {
				line += " " + map[string]string{bank: "bank", shop: "shop"}[d.ID]
			}
			got = append(got, strings.TrimSpace(line+" "+m.Number))
		}
		return got
	}
	want := []string{
		"custom push_custom by custom push_pin bank shop", "finger push_fingerprint by finger push_fingerprint shop",
		"late push_pin by late push_pin bank shop", "mute push by mute push bank shop", "pin push_pin by pin push_pin bank shop",
		"push push by push push bank shop", "scan otp by scan otp bank shop", "steps push_custom by steps push_pin bank shop",
	}
	if diff := cmp.Diff(want, methods("usr_1", "", "")); diff != "" {
		t.Error(diff)
	}
	if got := methods("usr_1", bank, ""); !slices.Contains(got, "finger push_fingerprint by finger push_pin bank") {
		t.Errorf("by the one phone %q", got)
	}
	if got := methods("usr_1", "", "shop"); !slices.Contains(got, "push push by push push shop") {
		t.Errorf("by the one application %q", got)
	}
	want = []string{
		"late push_pin by sms sms " + masked, "pin push_pin by sms sms " + masked, "sms sms by sms sms " + masked,
		"steps push_custom by sms sms " + masked,
	}
	if diff := cmp.Diff(want, methods("usr_2", "", "")); diff != "" {
		t.Error(diff)
	}
	for _, nobody := range []string{"usr_none", "usr_3"} {
		if got := methods(nobody, "", ""); len(got) != 0 {
			t.Errorf("%s can be asked by %q", nobody, got)
		}
	}
	if got := methods("usr_1", "dev_none", ""); len(got) != 0 {
		t.Errorf("by no phone %q", got)
	}
}

// TestMethodsOfBlockedUsers: whoever may not answer cannot be asked.
func TestMethodsOfBlockedUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{Number: mobile}
	w.phone("usr_1", "bank", "pin")
	for range 2 {
		o := w.ask("usr_1", "sms")
		for range 3 {
			_, err := w.operations.Verify(t.Context(), o.ID, "portal", "wrong!")
			must(t, err)
		}
	}
	if all, err := w.Methods(t.Context(), "usr_1", "", ""); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestPhoneWithoutNotifications: it is asked like any other, and lists what waits.
func TestPhoneWithoutNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{}
	id := w.phone("usr_1", "bank", "pin")
	must(t, w.db.View(t.Context(), func(tx storage.Tx) error {
		d, _, err := w.handset.Find(tx, id)
		if d.Push != nil || d.Status != handset.Active {
			t.Errorf("it is %+v", d)
		}
		return err
	}))
	o := w.ask("usr_1", "push")
	open, err := w.operations.Watch(t.Context(), &handset.Device{ID: id, UserID: "usr_1"}, 0).Open()
	must(t, err)
	if len(open) != 1 || open[0].ID != o.ID {
		t.Errorf("it lists %v", open)
	}
}

// elsewhere starts operations in its own way.
type elsewhere struct {
	*operation.Store

	started []operation.Start
}

func (e *elsewhere) Start(ctx context.Context, start operation.Start) (operation.Operation, bool, error) {
	e.started = append(e.started, start)
	return e.Store.Start(ctx, start)
}

// TestWith: who writes down something with an operation starts it, and the service itself goes on as before.
func TestWith(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.people["usr_1"] = asking.Person{}
	w.phone("usr_1", "bank", "pin")
	own := &elsewhere{Store: w.operations}
	o, created, err := w.With(own).Start(t.Context(), request("usr_1", "pin"))
	if err != nil || !created || len(own.started) != 1 || own.started[0].UserID != o.UserID {
		t.Errorf("it is started as %v, %v (%v)", own.started, o, err)
	}
	w.ask("usr_1", "push")
	if len(own.started) != 1 {
		t.Error("the service starts there too")
	}
}
