// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"html/template"
	"strings"
	"time"

	"rsc.io/qr"
)

// Names of the buttons and fields about phones.
const (
	// AddPhoneField is sent by [AccountPage] with the ID of the app to add a phone for.
	AddPhoneField = "add_phone"
	// DigitsField is sent by [AddPhonePage] with what the person read on the phone.
	DigitsField = "digits"
	// StopField is sent by [AddPhonePage] with the word "stop": the phone is not to be added.
	StopField = "stop"
	// NameField is sent by [PhonePage] with the new name.
	NameField = "name"
	// RemovePhoneField is sent by [PhonePage] with the ID of the phone to remove.
	RemovePhoneField = "remove_phone"
)

// Keys of messages about phones, for [AccountPage] and [PhonePage].
const (
	MessagePhoneRenamed = "phones.renamed"
	MessagePhoneRemoved = "phones.removed"
	MessagePhoneName    = "phones.bad_name"
	// MessagePhoneSingle is for somebody who may have one phone, and has it.
	MessagePhoneSingle = "phones.single"
	// MessagePhoneNotNow is for a phone that cannot be added, at least not now.
	MessagePhoneNotNow = "phones.not_now"
)

// Phone is a device of a person.
type Phone struct {
	ID string
	// Name is what the person calls it. Empty shows the model.
	Name, Model, App string
	// Status is active, pending, quarantined, locked, lost, stolen or deactivated.
	Status string
	// Grade says where the phone's key was shown to be: hardware, tee or software. Empty leaves it out. Shown is when.
	Grade string
	Shown time.Time
	// URL is the page about it, a path of this origin. Empty leaves the link out.
	URL string
	// Since is when it was added, and Seen when it was last heard of. The zero time is left out.
	Since, Seen time.Time
}

// Operation is a question that a person was asked on a phone.
type Operation struct {
	// Kind is registration, authentication, authorisation or signature, and State what became of it.
	Kind, State string
	// Title is what the person was shown. Empty leaves it out.
	Title string
	At    time.Time
}

// PhoneApp is an app that phones can be added for.
type PhoneApp struct{ ID, Name string }

// AccountPhones are what an account page shows of phones.
type AccountPhones struct {
	Phones     []Phone
	Apps       []PhoneApp
	Operations []Operation
	// Adding leads to the page of a phone that is being added. Empty leaves the link out.
	Adding string
	// Disowned warns of what the user said they had not begun. The zero time leaves it out.
	Disowned time.Time
}

// PhonePage is about one phone. Its form sends [NameField]; while it asks whether to remove the phone, [RemovePhoneField].
type PhonePage struct {
	// Locale: see [LoginPage].
	Locale string
	Phone  Phone
	// Removing asks whether to remove it.
	Removing bool
	// RemoveURL leads to the question, and BackURL to the account page.
	RemoveURL, BackURL string
	Action             string
	Hidden             []Field
	// Message is a key or literal text, Kind how it is meant.
	Message string
	Kind    Kind
}

// AddState is how far the adding of a phone is.
type AddState string

// The states of [AddPhonePage].
const (
	AddWaiting AddState = "waiting" // nobody has scanned the code
	AddConfirm AddState = "confirm" // the phone shows digits
	AddWrong   AddState = "wrong"   // the digits were wrong, and can be typed again
	AddDone    AddState = "done"    // the phone can be used
	AddHeld    AddState = "held"    // an older phone has to agree first
	AddCheck   AddState = "check"   // whoever runs this has to agree first
	AddExpired AddState = "expired" // nobody went on in time
	AddRefused AddState = "refused" // it is not added
)

func (s AddState) open() bool { return s == AddWaiting || s == AddConfirm || s == AddWrong }

// AddPhonePage adds a phone: a code to scan, then digits to type. Its forms send [DigitsField] or [StopField].
type AddPhonePage struct {
	// Locale: see [LoginPage].
	Locale string
	State  AddState
	// App is the name of the app, and Phone that of the phone once it is known.
	App, Phone string
	// Code is what is typed on the phone, and QR the text of the picture that is scanned; both only while it waits for a phone.
	Code, QR string
	// Expires is when the code is not good any more. The zero time is left out.
	Expires time.Time
	// TriesLeft is how often digits can be typed yet.
	TriesLeft int
	// Refresh is how soon a page that waits is fetched anew; zero is never. SelfURL is where from, a path of this origin.
	Refresh time.Duration
	// SelfURL is this page, and BackURL the account page.
	SelfURL, BackURL string
	Action           string
	Hidden           []Field
}

func (p PhonePage) meta() meta { return meta{template: "phone", locale: p.Locale} }

func (p AddPhonePage) meta() meta { return meta{template: "addphone", locale: p.Locale} }

func (p PhonePage) check() error {
	return errors.Join(checkPath(p.Action), checkHidden(p.Hidden), checkKind(p.Kind), checkPath(p.BackURL), checkPath(p.RemoveURL))
}

func (p AddPhonePage) check() error {
	if p.State == AddWaiting && (p.Code == "" || p.QR == "") {
		return fmt.Errorf("checking the page that adds a phone: no code to show: %w", errField)
	}
	return errors.Join(checkPath(p.Action), checkHidden(p.Hidden), checkPath(p.SelfURL), checkPath(p.BackURL))
}

func (p *AccountPhones) check() error {
	if p == nil {
		return nil
	}
	var err error
	for _, phone := range p.Phones {
		if phone.URL != "" {
			err = errors.Join(err, checkPath(phone.URL))
		}
	}
	if p.Adding != "" {
		err = errors.Join(err, checkPath(p.Adding))
	}
	return err
}

// quiet is the white margin around a QR code, in modules (ISO/IEC 18004, 5.3.8).
const quiet = 4

// picture is a QR code: a square of Size units on a side, and the outline of its dark modules.
type picture struct {
	Size int
	Path string
}

// qrPicture draws text, which is never sent anywhere else to be drawn: it holds an activation code. The path has nothing in it
// but digits and commands, row by row.
func qrPicture(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, fmt.Errorf("drawing a QR code of %d bytes: %w", len(text), err)
	}
	var path strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return picture{Size: code.Size + 2*quiet, Path: path.String()}, nil
}

// phoneFuncs are the functions of the templates about phones.
func phoneFuncs(texts catalogue) template.FuncMap {
	return template.FuncMap{
		"qr": qrPicture,
		// oneof is the text of a word from a list of ours, and of the last one for any word that is not there.
		"oneof": func(prefix, word string) (string, error) {
			if text, ok := texts[prefix+"."+word]; ok {
				return text, nil
			}
			return texts.t(prefix + ".other")
		},
		"seconds": func(d time.Duration) int { return waitSeconds(d) },
		"tries": func(n int) (string, error) {
			if n == 1 {
				return texts.t("addphone.try_left")
			}
			return texts.t("addphone.tries_left", "n", fmt.Sprint(n))
		},
	}
}

// phoneSamples fill every field of the pages about phones.
func phoneSamples(at time.Time, hidden []Field) []sample {
	phone := Phone{ID: "dev_1", Name: "Sample", Model: "Sample", App: "Sample", Status: "active", URL: "/sample", Since: at, Seen: at, Grade: "tee", Shown: at}
	phones := &AccountPhones{
		Phones: []Phone{phone, {ID: "dev_2", Model: "Sample"}}, Apps: []PhoneApp{{"app", "Sample"}, {"other", "Sample"}},
		Operations: []Operation{{Kind: "authentication", State: "approved", Title: "Sample", At: at}, {}}, Adding: "/sample",
	}
	page := PhonePage{Phone: phone, RemoveURL: "/sample", BackURL: "/sample", Action: "/sample", Hidden: hidden, Message: MessagePhoneName}
	removing := page
	removing.Removing = true
	all := []sample{
		{
			page:   AccountPage{User: "Sample", Action: "/sample", Hidden: hidden, Phones: phones},
			action: "/sample", controls: []string{"sample_step", AddPhoneField + "=app", AddPhoneField + "=other"},
		},
		{page: AccountPage{User: "Sample", Action: "/sample", Phones: &AccountPhones{}}},
		{page: page, action: "/sample", controls: []string{"sample_step", NameField}},
		{page: removing, action: "/sample", controls: []string{"sample_step", RemovePhoneField + "=dev_1"}},
	}
	for _, state := range []AddState{AddWaiting, AddConfirm, AddWrong, AddDone, AddHeld, AddCheck, AddExpired, AddRefused} {
		s := sample{page: AddPhonePage{
			State: state, App: "Sample", Phone: "Sample", Code: "AAAAA-BBBBB", QR: "sample", Expires: at, TriesLeft: 2,
			Refresh: time.Second, SelfURL: "/sample", BackURL: "/sample", Action: "/sample", Hidden: hidden,
		}}
		if state.open() {
			s.action, s.controls = "/sample", []string{"sample_step", StopField + "=stop"}
		}
		switch state {
		case AddConfirm, AddWrong:
			s.controls = append(s.controls, DigitsField)
		case AddWaiting:
			s.shows = []string{"AAAAA-BBBBB"}
		case AddDone, AddHeld, AddCheck, AddExpired, AddRefused:
		}
		all = append(all, s)
	}
	return all
}
