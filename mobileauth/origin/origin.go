// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Place is where an address is thought to be. Any part of it may be empty.
type Place struct {
	CountryCode string // ISO 3166-1, two letters
	Region      string
	City        string
}

// Locator says where an address is. An address that it does not know is an empty place and no error. Locate returns soon after
// ctx ends, and keeps no address.
type Locator interface {
	Locate(ctx context.Context, address netip.Addr) (Place, error)
}

// DefaultTimeout is how long a locator is waited for by default: a person waits for the question meanwhile.
const DefaultTimeout = 500 * time.Millisecond

// Context is where a question comes from, as the client that asks says it. Both parts are optional.
type Context struct {
	Address   netip.Addr
	UserAgent string
}

// Reasons why a message is shown without its origin.
const (
	// NoAgent: the template asks for the browser or its system, and the user agent says nothing of them.
	NoAgent = "no_agent"
	// NoAddress: the template asks for a place, and no address was given.
	NoAddress = "no_address"
	// NoLocator: the template asks for a place, and none is configured that knows any.
	NoLocator = "no_locator"
	// LocatorFailed: the locator returned an error, or took too long.
	LocatorFailed = "locator_failed"
	// NoPlace: the locator does not know all that the template asks for.
	NoPlace = "no_place"
	// TooLong: the message with its origin is longer than what is shown.
	TooLong = "too_long"
)

// Config is what a Describer needs.
type Config struct {
	// Templates are texts by BCP 47 language. English is what other languages fall back to.
	Templates map[string]string
	// Locator is asked where templates name a place. It is optional.
	Locator Locator
	// Timeout bounds the locator. Default: [DefaultTimeout].
	Timeout time.Duration
	// Missed is told why a message is shown without its origin, with what the locator returned if that is why. It is optional.
	Missed func(ctx context.Context, reason string, err error)
}

// Describer adds to a message where it comes from. It is safe for concurrent use.
type Describer struct {
	config    Config
	templates map[string]Template
}

// New returns a describer. It refuses a template that is none, and a language that is none.
func New(c Config) (*Describer, error) {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	d := &Describer{config: c, templates: make(map[string]Template, len(c.Templates))}
	for tag, text := range c.Templates {
		parsed, err := language.Parse(tag)
		if err != nil {
			return nil, fmt.Errorf("%w: %q is no language", ErrTemplate, tag)
		}
		if d.templates[parsed.String()], err = ParseTemplate(text); err != nil {
			return nil, fmt.Errorf("language %s: %w", tag, err)
		}
	}
	return d, nil
}

// Describe returns the message in the template of its language, of which most characters are shown. The message alone is
// returned where there is no template for the language or for English, and where anything that the template asks for is missing;
// the latter is told to [Config].Missed.
func (d *Describer) Describe(ctx context.Context, from Context, tag, text string, most int) string {
	t, found := d.template(tag)
	if !found {
		return text
	}
	values, reason, err := d.values(ctx, t, from)
	if reason == "" {
		values[message] = text
		described, missing := t.fill(values)
		if missing == "" && utf8.RuneCountInString(described) <= most {
			return described
		}
		reason = why(missing)
	}
	if d.config.Missed != nil {
		d.config.Missed(ctx, reason, err)
	}
	return text
}

func why(missing string) string {
	switch missing {
	case "":
		return TooLong
	case operatingSystem, browser:
		return NoAgent
	}
	return NoPlace
}

// template returns that of a language, of one that it is a kind of ("de" for "de-AT"), or of English.
func (d *Describer) template(tag string) (Template, bool) {
	for t := language.Make(tag); !t.IsRoot(); t = t.Parent() {
		if found, ok := d.templates[t.String()]; ok {
			return found, true
		}
	}
	found, ok := d.templates[language.English.String()]
	return found, ok
}

// values returns what the template asks for of an origin, or the reason why there is none.
func (d *Describer) values(ctx context.Context, t Template, from Context) (values map[string]string, reason string, err error) {
	agent := ParseAgent(from.UserAgent)
	values = map[string]string{operatingSystem: agent.OperatingSystem, browser: agent.Browser}
	switch {
	case !t.asks(countryCode, region, city):
		return values, "", nil
	case !from.Address.IsValid():
		return nil, NoAddress, nil
	case d.config.Locator == nil:
		return nil, NoLocator, nil
	}
	place, err := d.locate(ctx, from.Address)
	if err != nil {
		return nil, LocatorFailed, err
	}
	if len(place.CountryCode) == 2 {
		values[countryCode] = shown.Neutral(strings.ToUpper(place.CountryCode), maxWord)
	}
	values[region], values[city] = shown.Neutral(place.Region, maxWord), shown.Neutral(place.City, maxWord)
	return values, "", nil
}

// errPanic is a locator that panicked.
var errPanic = errors.New("the locator panicked")

func (d *Describer) locate(ctx context.Context, address netip.Addr) (p Place, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, d.config.Timeout)
	defer cancel()
	return d.config.Locator.Locate(ctx, address.Unmap())
}
