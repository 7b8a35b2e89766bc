// SPDX-License-Identifier: Apache-2.0

package mobiletype

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Values of [Type].Attempts and [Type].Resends for which zero cannot stand, since it takes the default.
const (
	// Unlimited lets an operation have any number of wrong answers. What a user gets wrong is counted over all operations all
	// the same, and blocks them.
	Unlimited = -1
	// NoResends sends once.
	NoResends = -1
)

// Bounds of a [Type].
const (
	MinTimeToLive = time.Second
	MaxTimeToLive = 10 * time.Minute // NIST SP 800-63B-4, 3.1.3.2
	MinAfter      = 5 * time.Second
	MaxAttempts   = 10
	MaxResends    = 5
	MaxMessage    = 155 // characters
	MaxLanguages  = 64
	MaxTypes      = 256
	MaxACR        = 64 // bytes
)

// Defaults of a [Type].
const (
	DefaultTimeToLive    = 2 * time.Minute
	DefaultSMSTimeToLive = 5 * time.Minute
	DefaultAttempts      = 3
	DefaultResends       = 2
)

// Code is where the code stands in a message over SMS.
const Code = shown.CodePlace

// Type is a named policy. A zero field takes its default.
type Type struct {
	// Name is how callers ask for it: letters, digits, "_", "-" and ".", at most 64.
	Name   string `json:"name"`
	Method Method `json:"method"`
	// Custom names the factor of [PushCustom].
	Custom string `json:"custom,omitempty"`
	// TimeToLive is how long the question can be answered. Default: 2 minutes, over SMS 5; at most [MaxTimeToLive].
	TimeToLive time.Duration `json:"time_to_live,omitempty"`
	// Attempts is how many wrong answers end an operation. Default: 3, at most [MaxAttempts], or [Unlimited].
	Attempts int `json:"attempts,omitempty"`
	// Resends is how often the same notification or code may be sent again. Default: 2, at most [MaxResends], or [NoResends].
	Resends int `json:"resends,omitempty"`
	// Fallback is the type that is tried when this one cannot begin; empty is none. A type that scans has none.
	Fallback string `json:"fallback,omitempty"`
	// After is how long the phone has to fetch the question before the first type over SMS further down the chain takes over;
	// zero lets it have all the time there is.
	After time.Duration `json:"after,omitempty"`
	// Messages are what is said where a start says nothing, by language (BCP 47). English is the last resort.
	Messages map[string]string `json:"messages,omitempty"`
	// Signing lets a start bring data that the phone signs without being asked by a person to read it.
	Signing bool `json:"signing,omitempty"`
	// ACR names the assurance of an approval. Default: the name of the method that was really used.
	ACR string `json:"acr,omitempty"`
	// Origin is the host of the page where the code is typed: the last line of the message binds the code to it, so that
	// browsers fill it in there alone. Over SMS only.
	Origin string `json:"origin,omitempty"`
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	customForm = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)
	acrForm    = regexp.MustCompile(`^[!#-\[\]-~]{1,64}$`) // no space: acr_values is a list (OpenID Connect Core, 3.1.2.1)
	originForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,62}\.)*[a-z0-9-]{1,63}(?::[0-9]{1,5})?$`)
)

// Channel returns the way on which the question reaches the person.
func (t Type) Channel() Channel { return t.Method.Channel() }

// Factor returns what a phone has to prove; empty where no phone answers.
func (t Type) Factor() string { return t.Method.Factor(t.Custom) }

// Message returns the message in the first of the languages that there is one in, or in English, with the language that it is in.
// Regions are left away until there is one: "nl-BE" is answered in "nl". There may be none at all.
func (t Type) Message(languages ...string) (text, in string, ok bool) {
	for _, l := range append(slices.Clip(languages), "en") {
		for tag, err := language.Parse(l); err == nil && tag != language.Und; tag = tag.Parent() {
			if text, ok := t.Messages[tag.String()]; ok {
				return text, tag.String(), true
			}
		}
	}
	return "", "", false
}

// normalize returns the type with its defaults, or the first rule that it breaks.
func (t Type) normalize() (Type, error) {
	if t.TimeToLive == 0 {
		t.TimeToLive = DefaultTimeToLive
		if t.Method == SMS {
			t.TimeToLive = DefaultSMSTimeToLive
		}
	}
	if t.Attempts == 0 {
		t.Attempts = DefaultAttempts
	}
	if t.Resends == 0 {
		t.Resends = DefaultResends
	}
	for _, rule := range []struct {
		text string
		ok   bool
	}{
		{"name: want letters, digits, _ - and ., at most 64", nameForm.MatchString(t.Name)},
		{"method: want push, push_pin, push_fingerprint, push_custom, otp or sms", t.Method.Known()},
		{"custom: belongs to push_custom, lower case letters, digits, _ and -", (t.Method == PushCustom) == (t.Custom != "")},
		{"custom: want lower case letters, digits, _ and -, at most 32", t.Custom == "" || customForm.MatchString(t.Custom)},
		{"time_to_live: want 1s to 10m", t.TimeToLive >= MinTimeToLive && t.TimeToLive <= MaxTimeToLive},
		{"attempts: want 1 to 10, or unlimited", t.Attempts == Unlimited || t.Attempts >= 1 && t.Attempts <= MaxAttempts},
		{"resends: want none to 5", t.Resends == NoResends || t.Resends >= 1 && t.Resends <= MaxResends},
		{"fallback: a type that scans has none", t.Method != OTP || t.Fallback == ""},
		{"after: is for what is put to a phone of the user", t.After == 0 || t.Channel() == ByPush},
		{"after: want 5s or more, and less than time_to_live", t.After == 0 || t.After >= MinAfter && t.After < t.TimeToLive},
		{"signing: is for what is put to a phone of the user", !t.Signing || t.Channel() == ByPush},
		{"acr: want at most 64 characters without blanks", t.ACR == "" || acrForm.MatchString(t.ACR)},
		{"origin: is for sms", t.Origin == "" || t.Method == SMS},
		{"origin: want a host in lower case", t.Origin == "" || len(t.Origin) <= 253 && originForm.MatchString(t.Origin)},
	} {
		if !rule.ok {
			return t, fmt.Errorf("%s", rule.text)
		}
	}
	var err error
	t.Messages, err = messages(t.Messages)
	return t, err
}

// messages returns messages by canonical language.
func messages(given map[string]string) (map[string]string, error) {
	if len(given) > MaxLanguages {
		return nil, fmt.Errorf("messages: more than %d languages", MaxLanguages)
	}
	checked := make(map[string]string, len(given))
	for _, name := range slices.Sorted(maps.Keys(given)) {
		tag, err := language.Parse(name)
		if err != nil || tag == language.Und {
			return nil, fmt.Errorf("message %q: want a language such as en or pt-BR", name)
		}
		if _, twice := checked[tag.String()]; twice {
			return nil, fmt.Errorf("message %q: there is one in this language already", name)
		}
		text := given[name]
		if text == "" || utf8.RuneCountInString(text) > MaxMessage {
			return nil, fmt.Errorf("message %q: want 1 to %d characters", name, MaxMessage)
		}
		c, err := shown.Context{Content: text}.Check(shown.Content{Most: MaxMessage})
		if err != nil {
			return nil, fmt.Errorf("message %q: %w", name, err)
		}
		checked[tag.String()] = c.Content
	}
	return checked, nil
}

// warnings are what an operator should know about a type that is allowed.
func (t *Type) warnings() []string {
	var all []string
	say := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("type %s: ", t.Name)+fmt.Sprintf(format, args...))
	}
	if t.Attempts == Unlimited {
		say("attempts are not limited for one operation; wrong answers count for the user over all operations")
	}
	if _, english := t.Messages["en"]; len(t.Messages) > 0 && !english {
		say("there is no message in English, which is the last resort")
	}
	for _, l := range slices.Sorted(maps.Keys(t.Messages)) {
		if t.Method == SMS && !strings.Contains(t.Messages[l], Code) {
			say("the message in %s has no %s, so the code is sent alone", l, Code)
		}
	}
	return all
}
