// SPDX-License-Identifier: Apache-2.0

package web

import (
	"errors"
	"fmt"
	"time"
)

// ActionField is sent by [WaitPage] and [LoginPage] with the value of a [Choice].
const ActionField = "action"

// WaitState is how far a question is that is answered elsewhere.
type WaitState string

// The states of [WaitPage]. After the first three nothing is waited for.
const (
	WaitAsked      WaitState = "asked"
	WaitScan       WaitState = "scan" // a phone is to scan the picture
	WaitCode       WaitState = "code" // a code was sent, and is typed here
	WaitDenied     WaitState = "denied"
	WaitNotMe      WaitState = "not_me" // the person says that somebody else began
	WaitExpired    WaitState = "expired"
	WaitFailed     WaitState = "failed"
	WaitCancelled  WaitState = "cancelled"
	WaitImpossible WaitState = "impossible" // it cannot be asked in this way now
	WaitOther      WaitState = "other"      // somebody else has answered
)

var waitStates = map[WaitState]bool{
	WaitAsked: true, WaitScan: true, WaitCode: true, WaitDenied: false, WaitNotMe: false, WaitExpired: false, WaitFailed: false,
	WaitCancelled: false, WaitImpossible: false, WaitOther: false,
}

// Open reports whether there is anything to wait for.
func (s WaitState) Open() bool { return waitStates[s] }

// Choice is a button that does something else than to answer.
type Choice struct {
	// Value is sent as [ActionField]. Label is a key or literal text.
	Value, Label string
}

// WaitPage shows a question while it is answered elsewhere, such as on a phone, and what became of it. Its buttons send the values
// of its fields, [ActionField] or [CancelField]. With script the page finds out by itself when there is news; without, it is fetched
// anew from time to time, unless somebody types.
type WaitPage struct {
	// Locale: see [LoginPage].
	Locale string
	State  WaitState
	// Client, User: see [LoginPage].
	Client, User string
	// Number is typed on the phone, QR is the text of the picture that is scanned, and To may be shown of where a message went. Empty
	// leaves each out.
	Number, QR, To string
	// Expires is when the question cannot be answered any more. The zero time is left out.
	Expires time.Time
	// Notice is shown above everything but the title.
	Notice *Notice
	// Message is a key or literal text, Kind how it is meant. RetryAfter: see [LoginPage].
	Message    string
	Kind       Kind
	RetryAfter time.Duration
	Action     string
	Hidden     []Field
	Fields     []Field
	// Choices are buttons below everything else. One of the value "again" is the page's main button.
	Choices []Choice
	Cancel  bool
	// Refresh is how soon a page that waits is fetched anew from SelfURL without script; zero is never. WatchURL answers with JSON,
	// {"changed": true} when there is news. Both are paths of this origin.
	Refresh           time.Duration
	SelfURL, WatchURL string
	// FormTargets: see [LoginPage].
	FormTargets []string
}

func (p WaitPage) meta() meta {
	return meta{template: "wait", locale: p.Locale, targets: p.FormTargets, wait: p.RetryAfter, watches: p.WatchURL != "" && p.State.Open()}
}

func (p WaitPage) check() error {
	if _, known := waitStates[p.State]; !known {
		return fmt.Errorf("checking the page that waits: state %q: %w", p.State, errField)
	}
	var err error
	for _, c := range p.Choices {
		if c.Value == "" || c.Label == "" {
			err = fmt.Errorf("checking the page that waits: a choice without value or label: %w", errField)
		}
	}
	for _, path := range []string{p.SelfURL, p.WatchURL} {
		if path != "" {
			err = errors.Join(err, checkPath(path))
		}
	}
	return errors.Join(err, checkPath(p.Action), checkHidden(p.Hidden), checkInputs(p.Fields), checkKind(p.Kind))
}

// Refreshes is how soon the page is fetched anew without script; zero is never. Nothing that is typed is taken from under anybody's
// fingers.
func (p WaitPage) Refreshes() time.Duration {
	if !p.State.Open() || len(p.Fields) > 0 || p.SelfURL == "" {
		return 0
	}
	return p.Refresh
}

// Watched is whether the page finds out by itself when there is news.
func (p WaitPage) Watched() bool { return p.meta().watches && p.SelfURL != "" }

// Again is the main button of a page that has come to an end, nil where there is none.
func (p WaitPage) Again() *Choice {
	for i := range p.Choices {
		if p.Choices[i].Value == ChoiceAgain {
			return &p.Choices[i]
		}
	}
	return nil
}

// Others are the buttons beside the main one.
func (p WaitPage) Others() []Choice {
	var others []Choice
	for _, c := range p.Choices {
		if c.Value != ChoiceAgain {
			others = append(others, c)
		}
	}
	return others
}

// ChoiceAgain is the value of the [Choice] that asks the same once more.
const ChoiceAgain = "again"

// waitSamples fill every field of the page that waits.
func waitSamples(at time.Time, hidden []Field) []sample {
	var all []sample
	for state, open := range waitStates {
		page := WaitPage{
			State: state, Client: "Sample app", User: "Sample user", Number: "42", To: "+31 ** *78", Expires: at, Action: "/sample",
			Hidden: hidden, Message: "Sample", Kind: KindInfo, Notice: &Notice{Text: "Sample notice"}, Cancel: true, Refresh: time.Second,
			SelfURL: "/sample", WatchURL: "/sample/wait", Choices: []Choice{{"resend", "Sample"}, {ChoiceAgain, "Sample"}},
		}
		s := sample{
			page: page, action: "/sample",
			controls: []string{"sample_step", ActionField + "=resend", ActionField + "=" + ChoiceAgain, CancelField + "=cancel"},
			shows:    []string{"Sample notice"},
		}
		if open {
			s.shows = append(s.shows, "42")
		}
		switch state {
		case WaitScan:
			page.QR = "sample"
		case WaitCode:
			page.Fields = []Field{{Name: "code", Label: "Sample", Autocomplete: "one-time-code", InputMode: "numeric", Required: true}}
			s.controls = append(s.controls, "code")
		case WaitAsked, WaitDenied, WaitNotMe, WaitExpired, WaitFailed, WaitCancelled, WaitImpossible, WaitOther:
		}
		s.page = page
		all = append(all, s)
	}
	return append(all, sample{page: WaitPage{State: WaitAsked, Action: "/sample"}})
}

// Keys of messages of [WaitPage], and of those that a form shows before anybody is asked.
const (
	MessageWaitDenied    = "wait.denied"
	MessageWaitNotMe     = "wait.not_me"
	MessageWaitExpired   = "wait.expired"
	MessageWaitFailed    = "wait.failed"
	MessageWaitCancelled = "wait.cancelled"
	// MessageWaitImpossible is for somebody who cannot be asked in this way now.
	MessageWaitImpossible = "wait.impossible"
	// MessageWaitAnother is for an answer by the phone of somebody else.
	MessageWaitAnother = "wait.another"
	// MessageWaitFirst is for an app that has to answer something else before anybody can be asked.
	MessageWaitFirst = "wait.first"
	// MessageWaitName asks who is to be asked.
	MessageWaitName       = "wait.name"
	MessageWaitCode       = "wait.text.code"
	MessageWaitCodeWrong  = "wait.code_wrong"
	MessageWaitResent     = "wait.resent"
	MessageWaitResendSoon = "wait.resend_soon"
	MessageWaitResendNo   = "wait.resend_no"
)

// Keys of labels of [WaitPage]. There is one for each method by which people can be asked.
const (
	LabelWaitCode        = "wait.code"
	LabelWaitAgain       = "wait.again"
	LabelWaitResend      = "wait.resend"
	LabelWaitRename      = "wait.rename"
	LabelWaitPush        = "wait.by_push"
	LabelWaitPIN         = "wait.by_push_pin"
	LabelWaitFingerprint = "wait.by_push_fingerprint"
	LabelWaitCustom      = "wait.by_push_custom"
	LabelWaitOTP         = "wait.by_otp"
	LabelWaitSMS         = "wait.by_sms"
)
