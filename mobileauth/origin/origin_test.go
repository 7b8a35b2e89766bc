// SPDX-License-Identifier: Apache-2.0

package origin_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
)

const (
	chrome   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_3) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/73.0.3683.75 Safari/537.36"
	template = "{message} Device: {operating_system} {browser}, Location: {country_code}, {region}, {city}"
	login    = "You are logging into the XYZ portal."
)

var (
	address = netip.MustParseAddr("192.0.2.7")
	utrecht = origin.Place{CountryCode: "NL", Region: "Utrecht", City: "Utrecht"}
)

type locator func(ctx context.Context, a netip.Addr) (origin.Place, error)

func (l locator) Locate(ctx context.Context, a netip.Addr) (origin.Place, error) { return l(ctx, a) }

func at(p origin.Place) locator {
	return func(context.Context, netip.Addr) (origin.Place, error) { return p, nil }
}

// missed remembers what a describer tells the operator.
type missed struct {
	reasons []string
	last    error
}

func (m *missed) tell(_ context.Context, reason string, err error) {
	m.reasons, m.last = append(m.reasons, reason), err
}

func describer(t *testing.T, l origin.Locator, templates map[string]string) (*origin.Describer, *missed) {
	t.Helper()
	told := new(missed)
	d, err := origin.New(origin.Config{Templates: templates, Locator: l, Missed: told.tell})
	if err != nil {
		t.Fatal(err)
	}
	return d, told
}

// TestDescribe: "Using the user agent and IP address", and what becomes of it when something is missing.
func TestDescribe(t *testing.T) {
	t.Parallel()
	english := map[string]string{"en": template}
	for _, c := range []struct {
		name      string
		templates map[string]string
		locator   origin.Locator
		from      origin.Context
		language  string
		text      string
		most      int
		want      string
		missed    []string
	}{
		{name: "all of it", want: login + " Device: macOS 10.14 Chrome 73, Location: NL, Utrecht, Utrecht"},
		{name: "no template", templates: map[string]string{}, want: login},
		{name: "another language falls back to English", language: "fr",
			want: login + " Device: macOS 10.14 Chrome 73, Location: NL, Utrecht, Utrecht"},
		{name: "its own language", language: "nl", templates: map[string]string{"en": template, "nl": "{message} Plaats: {city}"},
			want: login + " Plaats: Utrecht"},
		{name: "the language it is a kind of", language: "nl-BE", templates: map[string]string{"nl": "{message} Plaats: {city}"},
			want: login + " Plaats: Utrecht"},
		{name: "a language nobody knows", language: "??", want: login + " Device: macOS 10.14 Chrome 73, Location: NL, Utrecht, Utrecht"},
		{name: "square brackets", templates: map[string]string{"en": "[message] in [city] [today]"}, want: login + " in Utrecht [today]"},
		{name: "a message that looks like a template", text: "Log in to {city} [browser]",
			want: "Log in to {city} [browser] Device: macOS 10.14 Chrome 73, Location: NL, Utrecht, Utrecht"},
		{name: "no user agent", from: origin.Context{Address: address}, want: login, missed: []string{origin.NoAgent}},
		{name: "a user agent without a system", from: origin.Context{Address: address, UserAgent: "curl/8.5.0"}, want: login,
			missed: []string{origin.NoAgent}},
		{name: "a robot", from: origin.Context{Address: address, UserAgent: "Mozilla/5.0 (compatible; Googlebot/2.1)"}, want: login,
			missed: []string{origin.NoAgent}},
		{name: "no address", from: origin.Context{UserAgent: chrome}, want: login, missed: []string{origin.NoAddress}},
		{name: "no address, and none asked for", templates: map[string]string{"en": "{message} ({browser})"},
			from: origin.Context{UserAgent: chrome}, want: login + " (Chrome 73)"},
		{name: "an unknown address", locator: at(origin.Place{}), want: login, missed: []string{origin.NoPlace}},
		{name: "a place without a town", locator: at(origin.Place{CountryCode: "NL", Region: "Utrecht"}), want: login,
			missed: []string{origin.NoPlace}},
		{name: "a country that is no code", locator: at(origin.Place{CountryCode: "Netherlands", Region: "U", City: "U"}), want: login,
			missed: []string{origin.NoPlace}},
		{name: "a locator that fails", want: login, missed: []string{origin.LocatorFailed},
			locator: locator(func(context.Context, netip.Addr) (origin.Place, error) { return utrecht, errors.New("down") })},
		{name: "a locator that panics", want: login, missed: []string{origin.LocatorFailed},
			locator: locator(func(context.Context, netip.Addr) (origin.Place, error) { panic("bad file") })},
		{name: "too long", most: 60, want: login, missed: []string{origin.TooLong}},
		{name: "a town that deceives", locator: at(origin.Place{CountryCode: "nl", Region: "U\u202ex", City: "A\r\n\u200bB"}),
			want: login + " Device: macOS 10.14 Chrome 73, Location: NL, Ux, AB"},
		{name: "a town that shows nothing", locator: at(origin.Place{CountryCode: "NL", Region: "\u200b", City: "B"}), want: login,
			missed: []string{origin.NoPlace}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.templates == nil {
				c.templates = english
			}
			if c.locator == nil {
				c.locator = at(utrecht)
			}
			if c.from == (origin.Context{}) {
				c.from = origin.Context{Address: address, UserAgent: chrome}
			}
			if c.text == "" {
				c.text = login
			}
			if c.most == 0 {
				c.most = 155
			}
			d, told := describer(t, c.locator, c.templates)
			if got := d.Describe(t.Context(), c.from, c.language, c.text, c.most); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if diff := cmp.Diff(c.missed, told.reasons); diff != "" {
				t.Error("what the operator is told:", diff)
			}
		})
	}
}

// TestDescribeWithoutLocator: a template that names a place where nothing knows one.
func TestDescribeWithoutLocator(t *testing.T) {
	t.Parallel()
	d, told := describer(t, nil, map[string]string{"en": template})
	if got := d.Describe(t.Context(), origin.Context{Address: address, UserAgent: chrome}, "en", login, 155); got != login {
		t.Errorf("got %q", got)
	}
	if diff := cmp.Diff([]string{origin.NoLocator}, told.reasons); diff != "" {
		t.Error(diff)
	}
	quiet, err := origin.New(origin.Config{Templates: map[string]string{"en": template}})
	if err != nil {
		t.Fatal(err)
	}
	if got := quiet.Describe(t.Context(), origin.Context{}, "en", login, 155); got != login {
		t.Errorf("with nobody to tell: got %q", got)
	}
}

// TestDescribeIsNotHeldUp: the question is asked when the time of the locator is over.
func TestDescribeIsNotHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, told := describer(t, locator(func(ctx context.Context, _ netip.Addr) (origin.Place, error) {
			<-ctx.Done()
			return origin.Place{}, ctx.Err()
		}), map[string]string{"en": template})
		began := time.Now()
		got := d.Describe(t.Context(), origin.Context{Address: address, UserAgent: chrome}, "en", login, 155)
		if took := time.Since(began); got != login || took != origin.DefaultTimeout {
			t.Errorf("got %q after %v", got, took)
		}
		if !errors.Is(told.last, context.DeadlineExceeded) {
			t.Errorf("the operator is told %v", told.last)
		}
	})
}

// TestLocatorGetsPlainAddress: an IPv4 address in IPv6 clothes is one of IPv4.
func TestLocatorGetsPlainAddress(t *testing.T) {
	t.Parallel()
	var asked netip.Addr
	d, _ := describer(t, locator(func(_ context.Context, a netip.Addr) (origin.Place, error) {
		asked = a
		return utrecht, nil
	}), map[string]string{"en": "{message} {city}"})
	d.Describe(t.Context(), origin.Context{Address: netip.MustParseAddr("::ffff:192.0.2.7")}, "en", login, 155)
	if asked != address {
		t.Errorf("the locator was asked for %v", asked)
	}
}

func TestParseTemplate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, problem string }{
		{"all placeholders", template, ""},
		{"brackets", "[message] [city]", ""},
		{"other brackets are text", "{message} [at noon]", ""},
		{"lines", "{message}\nDevice: {browser}", ""},
		{"an unknown placeholder", "{message} {town}", "no placeholder {town}"},
		{"a blank in braces", "{message} { city }", "no placeholder { city }"},
		{"empty braces", "{message} {}", "no placeholder {}"},
		{"no message", "Device: {browser}", "0 times"},
		{"nothing", "", "0 times"},
		{"the message twice", "{message} [message]", "2 times"},
		{"too long", "{message}" + strings.Repeat("x", origin.MaxTemplate), "longer than"},
		{"an override of the direction", "{message} \u202e{city}", "U+202E"},
		{"a blank at the end", "{message} ", "ends with a blank"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := origin.ParseTemplate(c.text)
			if c.problem == "" && err != nil {
				t.Error(err)
			}
			if c.problem != "" && (!errors.Is(err, origin.ErrTemplate) || !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		templates map[string]string
		problem   string
	}{
		{"a language that is none", map[string]string{"english!": template}, `"english!" is no language`},
		{"a template that is none", map[string]string{"nl": "Hallo"}, "language nl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := origin.New(origin.Config{Templates: c.templates})
			if !errors.Is(err, origin.ErrTemplate) || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}

func TestParseAgent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, field string
		want        origin.Agent
	}{
		{"Chrome on an old macOS", chrome, origin.Agent{OperatingSystem: "macOS 10.14", Browser: "Chrome 73"}},
		{"Safari, whose system is frozen",
			"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Safari/605.1.15",
			origin.Agent{OperatingSystem: "macOS", Browser: "Safari 17"}},
		{"Edge on Windows 11, which says 10",
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0",
			origin.Agent{OperatingSystem: "Windows", Browser: "Edge 120"}},
		{"an iPhone",
			"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1",
			origin.Agent{OperatingSystem: "iOS 17.4", Browser: "Safari 17"}},
		{"an Android phone with a reduced field",
			"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
			origin.Agent{OperatingSystem: "Android", Browser: "Chrome 120"}},
		{"Firefox on Linux, whose version is a processor", "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
			origin.Agent{OperatingSystem: "Linux", Browser: "Firefox 121"}},
		{"a tool", "curl/8.5.0", origin.Agent{Browser: "curl 8"}},
		{"a robot", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", origin.Agent{}},
		{"nothing", "", origin.Agent{}},
		{"an override of the direction", "Evil\u202eApp/1.0", origin.Agent{Browser: "EvilApp 1"}},
		{"a long name", strings.Repeat("A", 300) + "/1", origin.Agent{Browser: strings.Repeat("A", 40)}},
		{"a version that is a text", "App/Location: NL", origin.Agent{Browser: "App"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, origin.ParseAgent(c.field)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzDescribe: whatever comes from outside, what is shown begins with the message, keeps its length and shows nothing that
// deceives.
func FuzzDescribe(f *testing.F) {
	f.Add(chrome, "NL", "Utrecht", "Utrecht")
	f.Add("\u202e/1", "nl", "\u0301", "{message}")
	f.Add(strings.Repeat("(", 9000), "", "\xff", "a\nb")
	f.Fuzz(func(t *testing.T, agent, country, region, city string) {
		d, err := origin.New(origin.Config{
			Templates: map[string]string{"en": template}, Locator: at(origin.Place{CountryCode: country, Region: region, City: city}),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := d.Describe(t.Context(), origin.Context{Address: address, UserAgent: agent}, "en", login, 155)
		if !strings.HasPrefix(got, login) || len([]rune(got)) > 155 || strings.ContainsAny(got, "\n\r\u202e\u200b\x00") {
			t.Errorf("got %q", got)
		}
	})
}

// FuzzParseTemplate: a template that is accepted has its message in it.
func FuzzParseTemplate(f *testing.F) {
	f.Add(template)
	f.Add("[message]{")
	f.Add("{{message}}")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := origin.ParseTemplate(text); err != nil {
			return
		}
		d, err := origin.New(origin.Config{Templates: map[string]string{"en": text}, Locator: at(utrecht)})
		if err != nil {
			t.Fatal(err)
		}
		got := d.Describe(t.Context(), origin.Context{Address: address, UserAgent: chrome}, "en", login, 10_000)
		if strings.Count(got, login) < 1 {
			t.Errorf("%q gives %q", text, got)
		}
	})
}

func BenchmarkDescribe(b *testing.B) {
	d, err := origin.New(origin.Config{Templates: map[string]string{"en": template}, Locator: at(utrecht)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Describe(b.Context(), origin.Context{Address: address, UserAgent: chrome}, "en", login, 155)
	}
}

func BenchmarkParseAgentHostile(b *testing.B) {
	field := strings.Repeat("Mozilla/5.0 (", 2000)
	b.ReportAllocs()
	for b.Loop() {
		origin.ParseAgent(field)
	}
}
