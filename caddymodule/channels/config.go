// SPDX-License-Identifier: Apache-2.0

package channels

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
)

// Config says how people are asked.
type Config struct {
	// The languages that texts may be in. English is the last resort whether or not it stands here. Default: any.
	Locales []string `json:"locales,omitempty"`
	// The named ways to ask.
	Types []Type `json:"types,omitempty"`
	// How far down a chain of types may lead: any, same_or_higher or none. Default: any.
	Fallback string `json:"fallback,omitempty"`
	// The push services. Applications name them.
	Push []Service `json:"push,omitempty"`
	// The gateways for text messages. Where one does not take a message the next does.
	SMS []Gateway `json:"sms,omitempty"`
	// What messages may cost, and where they go.
	Limits *Limits `json:"sms_limits,omitempty"`
	// What is known of where addresses are. Default: nothing.
	GeolocationRaw json.RawMessage `json:"geolocation,omitempty" caddy:"namespace=gatehouse.geolocation inline_key=source"`
	// How long that may take. Default: 500ms.
	GeolocationTimeout caddy.Duration `json:"geolocation_time_out,omitempty"`
	// The texts, by language, into which a message and its origin are put. Default: the message alone.
	ContextTemplates map[string]string `json:"context_templates,omitempty"`
}

// Type is a named way to ask.
type Type struct {
	// The name by which back ends ask for it.
	Name string `json:"name"`
	// push, push_pin, push_fingerprint, push_custom, otp or sms.
	Method string `json:"method"`
	// The name of the factor, where the method is push_custom.
	Custom string `json:"custom,omitempty"`
	// How long the question can be answered. Default: 2m, over SMS 5m; at most 10m.
	TimeToLive caddy.Duration `json:"time_to_live,omitempty"`
	// How many wrong answers end an operation: 1 to 10, or 0 for any number, which still counts for the user. Default: 3.
	Attempts *int `json:"attempts,omitempty"`
	// How often the same notification or code may be sent again: 0 to 5. Default: 2.
	Resends *int `json:"resends,omitempty"`
	// The type that is tried where this one cannot begin. Default: none.
	Fallback string `json:"fallback,omitempty"`
	// How long a phone has to fetch the question before a fallback over SMS takes over. Default: as long as there is.
	FallbackAfter caddy.Duration `json:"fallback_after,omitempty"`
	// What is said where a back end says nothing, by language.
	Messages map[string]string `json:"messages,omitempty"`
	// Whether back ends may send data that the phone signs.
	Signing bool `json:"signing,omitempty"`
	// What the assurance of an approval is called. Default: the method that was really used.
	ACR string `json:"acr,omitempty"`
	// The host of the page where a code is typed, to which browsers bind it.
	Origin string `json:"origin,omitempty"`
}

// Service is a push service with a name.
type Service struct {
	// The name by which applications and phones know it.
	Name string `json:"name"`
	// How notifications are sent.
	SenderRaw json.RawMessage `json:"sender" caddy:"namespace=gatehouse.push inline_key=service"`
}

// Gateway is a gateway for text messages with a name.
type Gateway struct {
	// The name in metrics and in the address of its reports.
	Name string `json:"name"`
	// How messages are sent.
	SenderRaw json.RawMessage `json:"sender" caddy:"namespace=gatehouse.sms inline_key=gateway"`
}

// Limits are what text messages may cost: how many an hour, resent ones included, and to whom.
type Limits struct {
	// The countries that messages go to (ISO 3166-1, two letters), or "any". Required where there is a gateway: whoever earns from
	// the messages to a number has codes sent there.
	Countries []string `json:"countries,omitempty"`
	// Further kinds of numbers: voip and unassigned among them. Default: mobile ones, and those that may be.
	Kinds []string `json:"kinds,omitempty"`
	// To one number. Default: 10.
	Number int `json:"number,omitempty"`
	// To numbers that differ in the last four digits. Default: 100.
	Prefix int `json:"prefix,omitempty"`
	// About one user. Default: 10.
	User int `json:"user,omitempty"`
	// To all numbers of a country. Default: as many as there may be at all.
	Country map[string]int `json:"country,omitempty"`
	// At all. Default: 1000.
	All int `json:"all,omitempty"`
}

// anywhere allows every country.
const anywhere = "any"

// Policy returns which numbers are sent messages.
func (c *Config) Policy() phonenumber.Policy {
	var p phonenumber.Policy
	if c.Limits == nil {
		return p
	}
	if !slices.Contains(c.Limits.Countries, anywhere) {
		p.Countries = c.Limits.Countries
	}
	for _, kind := range c.Limits.Kinds {
		p.Also = append(p.Also, phonenumber.Kind(kind))
	}
	return p
}

// Budget returns how many messages there may be.
func (c *Config) Budget() budget.Limits {
	if c.Limits == nil {
		return budget.Limits{}
	}
	l := c.Limits
	return budget.Limits{Number: l.Number, Prefix: l.Prefix, User: l.User, Countries: l.Country, All: l.All}
}

// checkSMS refuses gateways that would send messages anywhere without anybody having said so.
func (c *Config) checkSMS() error {
	if len(c.SMS) == 0 {
		return nil
	}
	if c.Limits == nil || len(c.Limits.Countries) == 0 {
		return errors.New("sms_limits: say to which countries messages go, such as \"countries NL BE\", or \"countries any\": " +
			"whoever earns from the messages to a number has codes sent there")
	}
	for _, code := range c.Limits.Countries {
		if region, err := language.ParseRegion(code); code != anywhere && (err != nil || !region.IsCountry() || region.String() != code) {
			return fmt.Errorf("sms_limits: countries: %q is no country: want two letters (ISO 3166-1), such as NL, or any", code)
		}
	}
	for _, kind := range c.Limits.Kinds {
		if !slices.Contains(phonenumber.Kinds(), phonenumber.Kind(kind)) {
			return fmt.Errorf("sms_limits: kinds: %q is none of %v", kind, phonenumber.Kinds())
		}
	}
	return c.Budget().Check()
}

// plain returns the type as package mobiletype has it.
func (t *Type) plain() mobiletype.Type {
	return mobiletype.Type{
		Name: t.Name, Method: mobiletype.Method(t.Method), Custom: t.Custom, TimeToLive: time.Duration(t.TimeToLive),
		Attempts: chosen(t.Attempts, mobiletype.Unlimited), Resends: chosen(t.Resends, mobiletype.NoResends), Fallback: t.Fallback,
		After: time.Duration(t.FallbackAfter), Messages: t.Messages, Signing: t.Signing, ACR: t.ACR, Origin: t.Origin,
	}
}

// chosen returns a number of the configuration, in which zero is a choice and nothing is the default.
func chosen(n *int, zero int) int {
	switch {
	case n == nil:
		return 0
	case *n == 0:
		return zero
	}
	return *n
}

// Set returns the types.
func (c *Config) Set() (*mobiletype.Set, error) {
	types := make([]mobiletype.Type, len(c.Types))
	for i := range c.Types {
		types[i] = c.Types[i].plain()
	}
	return mobiletype.New(types, mobiletype.Config{Fallback: mobiletype.Fallbacks(c.Fallback)})
}

// Check finds what contradicts itself.
func (c *Config) Check() error {
	locales, err := tags(c.Locales)
	if err != nil {
		return fmt.Errorf("locales: %w", err)
	}
	if err := c.checkNames(); err != nil {
		return err
	}
	if err := c.checkSMS(); err != nil {
		return err
	}
	set, err := c.Set()
	if err != nil {
		return err
	}
	for _, t := range set.All() {
		if err := spoken(locales, t.Messages); err != nil {
			return fmt.Errorf("type %q: message: %w", t.Name, err)
		}
		if chain, _ := set.Chain(t.Name); len(c.SMS) == 0 && slices.ContainsFunc(chain, bySMS) {
			return fmt.Errorf("type %q: it may be asked over sms, and no gateway is configured: add \"sms twilio\", \"sms http\" or, where "+
				"\"development on\" stands, \"sms log\"", t.Name)
		}
	}
	if err := spoken(locales, c.ContextTemplates); err != nil {
		return fmt.Errorf("context_template: %w", err)
	}
	if _, err := origin.New(origin.Config{Templates: c.ContextTemplates}); err != nil {
		return fmt.Errorf("context_template: %w", err)
	}
	return nil
}

func bySMS(t mobiletype.Type) bool { return t.Method == mobiletype.SMS }

// checkNames refuses two services or two gateways of one name.
func (c *Config) checkNames() error {
	seen := map[string]bool{}
	for _, s := range c.Push {
		if seen[s.Name] {
			return fmt.Errorf("push %q stands twice", s.Name)
		}
		seen[s.Name] = true
	}
	clear(seen)
	for _, g := range c.SMS {
		if seen[g.Name] {
			return fmt.Errorf("sms %q stands twice: give one of them another name", g.Name)
		}
		seen[g.Name] = true
	}
	return nil
}

// Known reports whether a push service has the name.
func (c *Config) Known(service string) bool {
	return slices.ContainsFunc(c.Push, func(s Service) bool { return s.Name == service })
}

// tags reads languages.
func tags(texts []string) ([]language.Tag, error) {
	all := make([]language.Tag, len(texts))
	for i, text := range texts {
		tag, err := language.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no language", text)
		}
		all[i] = tag
	}
	return all, nil
}

// spoken refuses a text in a language that is not one of the locales.
func spoken(locales []language.Tag, texts map[string]string) error {
	for text := range texts {
		tag, err := language.Parse(text)
		if err != nil {
			return fmt.Errorf("%q is no language", text)
		}
		if len(locales) > 0 && tag != language.English && !slices.Contains(locales, tag) {
			return fmt.Errorf("the language %q is not among the locales", text)
		}
	}
	return nil
}
