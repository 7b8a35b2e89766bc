// SPDX-License-Identifier: Apache-2.0

package channels_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

func init() {
	caddy.RegisterModule(Pager{})
	caddy.RegisterModule(Pigeon{})
	caddy.RegisterModule(Atlas{})
	caddy.RegisterModule(Stone{})
}

// Pager is a push service of somebody else's, Pigeon a gateway, Atlas a locator, and Stone is nothing of all that.
type (
	Pager struct {
		Key string `json:"key"`
	}
	Pigeon struct {
		Loft string `json:"loft"`
	}
	Atlas struct {
		File string `json:"file"`
	}
	Stone struct{}
)

func (Pager) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.push.test_pager", New: func() caddy.Module { return new(Pager) }}
}

func (Pigeon) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.sms.test_pigeon", New: func() caddy.Module { return new(Pigeon) }}
}

func (Atlas) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.geolocation.test_atlas", New: func() caddy.Module { return new(Atlas) }}
}

func (Stone) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.sms.test_stone", New: func() caddy.Module { return new(Stone) }}
}

func (m *Pager) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return option.Block{Options: map[string]option.Parse{"key": option.String(&m.Key)}}.Parse(d)
}

func (m *Pigeon) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return option.Block{Options: map[string]option.Parse{"loft": option.String(&m.Loft)}}.Parse(d)
}

func (m *Atlas) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return option.String(&m.File)(d)
}

func (*Stone) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*Pager) Send(context.Context, push.Message) error { return nil }

func (*Pager) Check(string) error { return nil }

// DevelopmentOnly says that pigeons are watched.
func (*Pigeon) DevelopmentOnly() string { return "pigeons can be seen" }

func (*Pigeon) Send(context.Context, sms.Message) (string, error) { return "", nil }

func (*Atlas) Locate(context.Context, netip.Addr) (origin.Place, error) { return origin.Place{}, nil }

func (*Atlas) Run(ctx context.Context) { <-ctx.Done() }

func parse(text string) (*channels.Config, error) {
	c := new(channels.Config)
	options, repeat := c.Options()
	d := caddyfile.NewTestDispenser("mobile {\n" + text + "\n}")
	d.Next()
	return c, option.Block{Options: options, Repeat: repeat}.Parse(d)
}

func number(n int) *int { return &n }

// all is what design section 4 shows, and the rest.
const all = `
	locales en nl
	type push_pin {
		method push_pin
		time_to_live 2m
		attempts 0
		resends 0
		fallback sms_code 20s
		message en "Sign in to Example"
		message nl "Inloggen bij Example"
		signing
		acr gold
	}
	type voice {
		method push_custom voice
	}
	type sms_code {
		method sms
		attempts 3
		resends 2
		message en "Your code: {code}"
		origin login.example.com
	}
	fallback any
	push apple {
		test_pager {
			key K
		}
	}
	sms test_pigeon {
		loft north
	}
	sms test_pigeon backup {
		loft south
	}
	sms_limits {
		countries NL BE
		kinds voip
		number 5
		country NL 200
		all 400
	}
	geolocation test_atlas GeoLite2-City.mmdb
	geolocation_time_out 200ms
	context_template en "{message} Device: {operating_system} {browser}"
`

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := parse(all)
	if err != nil {
		t.Fatal(err)
	}
	want := &channels.Config{
		Locales: []string{"en", "nl"},
		Types: []channels.Type{
			{Name: "push_pin", Method: "push_pin", TimeToLive: caddy.Duration(2 * time.Minute), Attempts: number(0), Resends: number(0),
				Fallback: "sms_code", FallbackAfter: caddy.Duration(20 * time.Second), Signing: true, ACR: "gold",
				Messages: map[string]string{"en": "Sign in to Example", "nl": "Inloggen bij Example"}},
			{Name: "voice", Method: "push_custom", Custom: "voice"},
			{Name: "sms_code", Method: "sms", Attempts: number(3), Resends: number(2), Origin: "login.example.com",
				Messages: map[string]string{"en": "Your code: {code}"}},
		},
		Fallback: "any",
		Push:     []channels.Service{{Name: "apple", SenderRaw: json.RawMessage(`{"key":"K","service":"test_pager"}`)}},
		SMS: []channels.Gateway{
			{Name: "test_pigeon", SenderRaw: json.RawMessage(`{"gateway":"test_pigeon","loft":"north"}`)},
			{Name: "backup", SenderRaw: json.RawMessage(`{"gateway":"test_pigeon","loft":"south"}`)},
		},
		Limits: &channels.Limits{
			Countries: []string{"NL", "BE"}, Kinds: []string{"voip"}, Number: 5, Country: map[string]int{"NL": 200}, All: 400,
		},
		GeolocationRaw:     json.RawMessage(`{"file":"GeoLite2-City.mmdb","source":"test_atlas"}`),
		GeolocationTimeout: caddy.Duration(200 * time.Millisecond),
		ContextTemplates:   map[string]string{"en": "{message} Device: {operating_system} {browser}"},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Fatal(diff)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	set, err := c.Set()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := set.Get("push_pin")
	if got.Attempts != mobiletype.Unlimited || got.Resends != mobiletype.NoResends || got.After != 20*time.Second {
		t.Errorf("the type is %+v", got)
	}
	if got, _ := set.Get("voice"); got.Attempts != mobiletype.DefaultAttempts || got.Resends != mobiletype.DefaultResends {
		t.Errorf("without a word the type is %+v", got)
	}
	policy := phonenumber.Policy{Countries: []string{"NL", "BE"}, Also: []phonenumber.Kind{phonenumber.VOIP}}
	if diff := cmp.Diff(policy, c.Policy()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(budget.Limits{Number: 5, Countries: map[string]int{"NL": 200}, All: 400}, c.Budget()); diff != "" {
		t.Error(diff)
	}
	if !c.Known("apple") || c.Known("google") {
		t.Error("another push service is known than the configured one")
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	const pigeon = "sms test_pigeon {\n loft north\n}\n"
	const sms = pigeon + "sms_limits {\n countries NL\n}\n"
	for _, c := range []struct{ name, text, problem string }{
		{"a type without a method", "type a {\n}", "needs a method"},
		{"a method that is none", "type a {\n method fax\n}", "method"},
		{"a chain that turns round", "type a {\n method push\n fallback b\n}\ntype b {\n method push\n fallback a\n}", "comes back"},
		{"a fallback that is none", "type a {\n method push\n fallback b\n}", "no such type"},
		{"a type that scans with a fallback", sms + "type a {\n method otp\n fallback b\n}\ntype b {\n method sms\n}", "scans has none"},
		{"two types of one name", "type a {\n method push\n}\ntype a {\n method push\n}", "two of the name"},
		{"sms without a gateway", "type a {\n method sms\n}", "no gateway is configured"},
		{"sms further down without a gateway", "type a {\n method push\n fallback b\n}\ntype b {\n method sms\n}", "no gateway is configured"},
		{"a policy that is none", "fallback lower", "same_or_higher"},
		{"a language beyond the locales", "locales nl\ntype a {\n method push\n message de Hallo\n}", `"de" is not among`},
		{"a template beyond the locales", "locales nl\ncontext_template de \"{message}\"", `"de" is not among`},
		{"a locale that is none", "locales !!", "no language"},
		{"a template without a message", "context_template en Hallo", "0 times"},
		{"a template with another placeholder", "context_template en \"{message} {town}\"", "{town}"},
		{"two push services of one name", "push a {\n test_pager\n}\npush a {\n test_pager\n}", "stands twice"},
		{"two gateways of one name", sms + pigeon, "stands twice"},
		{"messages to anywhere", pigeon, "countries any"},
		{"messages to nowhere in particular", pigeon + "sms_limits {\n all 7\n}", "countries any"},
		{"a country that is none", pigeon + "sms_limits {\n countries Holland\n}", `"Holland" is no country`},
		{"a country in small letters", pigeon + "sms_limits {\n countries nl\n}", `"nl" is no country`},
		{"a continent", pigeon + "sms_limits {\n countries 150\n}", `"150" is no country`},
		{"a kind of number that is none", pigeon + "sms_limits {\n countries any\n kinds fax\n}", `"fax" is none of`},
		{"a limit of a country that is none", pigeon + "sms_limits {\n countries any\n country Holland 5\n}", "Holland"},
		{"a limit that is no number", pigeon + "sms_limits {\n all many\n}", "many"},
		{"a push service without one", "push a", "needs a block"},
		{"a push service with two", "push a {\n test_pager\n test_pager\n}", "two services"},
		{"a push service that is none", "push a {\n telegraph\n}", "telegraph"},
		{"a gateway that is none", "sms smoke", "smoke"},
		{"no gateway", "sms", "needs a gateway"},
		{"a word too many for a gateway", "sms test_pigeon a b", "b"},
		{"attempts that are no number", "type a {\n method push\n attempts many\n}", "attempts"},
		{"an option that is none", "types a", "types"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config, err := parse(c.text)
			if err == nil {
				err = config.Check()
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	c, err := parse(all)
	if err != nil {
		t.Fatal(err)
	}
	g, err := c.Load(ctx, true)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := g.Push["apple"].(*Pager); !ok || p.Key != "K" {
		t.Errorf("push is %+v", g.Push)
	}
	if len(g.SMS) != 2 || g.SMS[0].Name != "test_pigeon" || g.SMS[1].Sender.(*Pigeon).Loft != "south" {
		t.Errorf("sms is %+v", g.SMS)
	}
	if a, ok := g.Locator.(*Atlas); !ok || a.File == "" || len(g.Runners()) != 1 {
		t.Errorf("the locator is %+v, and %d guests run", g.Locator, len(g.Runners()))
	}
	none, err := new(channels.Config).Load(ctx, true)
	if err != nil || none.Locator != nil || len(none.Runners()) != 0 {
		t.Errorf("of nothing: %+v, %v", none, err)
	}
}

// TestGatewayForDevelopment: where development is not on, nothing shows codes to whoever looks.
func TestGatewayForDevelopment(t *testing.T) {
	t.Parallel()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	c := &channels.Config{SMS: []channels.Gateway{{Name: "a", SenderRaw: json.RawMessage(`{"gateway":"test_pigeon"}`)}}}
	if _, err := c.Load(ctx, false); err == nil || !strings.Contains(err.Error(), "development on") {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	for name, c := range map[string]*channels.Config{
		"a gateway that sends nothing":   {SMS: []channels.Gateway{{Name: "a", SenderRaw: raw(`{"gateway":"test_stone"}`)}}},
		"a push service of another kind": {Push: []channels.Service{{Name: "a", SenderRaw: raw(`{"service":"test_pigeon"}`)}}},
		"a locator that is none":         {GeolocationRaw: raw(`{"source":"nowhere"}`)},
	} {
		ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
		if _, err := c.Load(ctx, true); err == nil {
			t.Errorf("%s is taken", name)
		}
		cancel()
	}
}
