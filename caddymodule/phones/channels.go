// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/meter"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/budget"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/phonenumber"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/storage"
)

// reportsPath is where gateways tell what became of messages: below it is the gateway's name, and a secret.
const reportsPath = "/sms/reports/"

// maxPushes is how many phones of one person are notified of one question.
const maxPushes = 16

// carriers are what brings questions to people.
type carriers struct {
	guests   *channels.Guests
	apps     []apps.Config
	budget   *budget.Store
	pushes   *delivery.Pushes
	messages *delivery.Messages
	reports  *delivery.Reports
	// gateways answer reports, by the path below the issuer.
	gateways map[string]http.Handler
	// told are the operations whose end was counted.
	told once
	// types and numbers are what the configuration says, for operators.
	types   *mobiletype.Set
	numbers phonenumber.Policy
}

// Load provisions the guests that send notifications and messages, and find places. It starts nothing. Guests for development are
// refused where that is not on.
func Load(ctx caddy.Context, c *Config, develops bool) (*channels.Guests, error) {
	if c == nil {
		c = new(Config)
	}
	guests, err := c.Load(ctx, develops)
	if err != nil {
		return nil, fmt.Errorf("mobile: %w", err)
	}
	return guests, nil
}

// buildBudget bounds what messages cost. Operations spend it.
func (p *Phones) buildBudget(c *Config) (err error) {
	parts := &p.parts
	if len(parts.Guests.SMS) == 0 {
		return nil
	}
	p.carriers.budget, err = budget.New(budget.Config{DB: parts.DB, Sealer: parts.Sealer, Now: parts.Now, Limits: c.Budget()})
	return err
}

// hooks are what operations tell of their changes. Money is spent before anything is sent.
func (p *Phones) hooks() []func(storage.Tx, operation.Change) error {
	hooks := []func(storage.Tx, operation.Change) error{p.caution.OnChange, p.callBack, p.alert, p.notify}
	if p.carriers.budget != nil {
		hooks = append([]func(storage.Tx, operation.Change) error{asking.Spending(p.carriers.budget)}, hooks...)
	}
	return append(hooks, p.parts.OnChange...)
}

// recent is how many ends of operations are remembered, so that each counts once.
const recent = 4096

// ended counts an operation that has ended.
func (c *carriers) ended(o operation.Operation) {
	if c.told.first(o.ID) {
		meter.Answer(&o)
		if alerting[o.Reason] {
			meter.Alert(o.Reason)
		}
	}
}

// alerting are the reasons of an end that somebody who watches over people wants to know of.
var alerting = map[string]bool{
	envelope.NotMe: true, operation.ReasonAttempts: true, operation.ReasonUserBlocked: true, operation.ReasonFactorLimit: true,
}

// once remembers the last names that it was told.
type once struct {
	sync.Mutex
	known map[string]bool
	last  []string
	next  int
}

// first reports whether a name was not told recently.
func (n *once) first(name string) bool {
	n.Lock()
	defer n.Unlock()
	if n.known == nil {
		n.known, n.last = make(map[string]bool, recent), make([]string, recent)
	}
	if n.known[name] {
		return false
	}
	delete(n.known, n.last[n.next])
	n.known[name], n.last[n.next] = true, name
	n.next = (n.next + 1) % recent
	return true
}

// route finds the way to a phone.
func (c *carriers) route(d *handset.Device) (delivery.Route, bool) {
	sender, known := c.guests.Push[d.Push.Service]
	if !known {
		return delivery.Route{}, false
	}
	for i := range c.apps {
		if c.apps[i].ID == d.Application {
			t, notified := c.apps[i].Target(d.Platform, d.AppVersion, d.Push.Service)
			return delivery.Route{Sender: sender, App: t.Identifier, Sandbox: t.Sandbox}, notified
		}
	}
	return delivery.Route{}, false
}

// address refuses an address that the service of a phone could not use. One of a service that is not configured for the application
// is kept, and not used as long as it is not.
func (c *carriers) address(d *handset.Device) error {
	route, found := c.route(d)
	if !found {
		return nil
	}
	return route.Sender.Check(d.Push.Address)
}

// reaches reports whether a phone can be notified.
func (c *carriers) reaches(d *handset.Device) bool {
	if !delivery.Reachable(d) {
		return false
	}
	_, found := c.route(d)
	return found
}

// buildCarriers builds what sends, and how people are asked by types.
func (p *Phones) buildCarriers(c *Config) (err error) {
	parts, carriers := &p.parts, &p.carriers
	carriers.pushes = delivery.NewPushes(delivery.PushConfig{
		Operations: p.operations, Devices: p.devices, Audit: parts.Trail, Route: carriers.route, Observe: meter.Send, Now: parts.Now,
	})
	carriers.reports = delivery.NewReports(delivery.ReportsConfig{
		DB: parts.DB, Operations: p.operations, Audit: parts.Trail, Observe: meter.Send, Now: parts.Now,
	})
	carriers.messages = delivery.NewMessages(delivery.SMSConfig{
		Operations: p.operations, Audit: parts.Trail, Gateways: parts.Guests.SMS, Accepted: carriers.reports.Accepted,
		Observe: meter.Send, Now: parts.Now,
	})
	if carriers.gateways, err = carriers.receivers(parts.Issuer, parts.Now); err != nil {
		return err
	}
	if err := carriers.sign(p.signer); err != nil {
		return err
	}
	describer, err := p.describer(c)
	if err != nil {
		return err
	}
	types, err := c.Set()
	if err != nil {
		return err
	}
	carriers.types, carriers.numbers = types, c.Policy()
	for _, warning := range types.Warnings() {
		parts.Logger.Warn("mobile: " + warning)
	}
	p.asking, err = asking.New(asking.Config{
		DB: parts.DB, Operations: p.operations, Devices: p.devices, People: people{parts.Users}, Types: types, Budget: carriers.budget,
		Numbers: c.Policy(), Allows: p.allows,
		Describe: func(ctx context.Context, from asking.Origin, language, message string, most int) string {
			return describer.Describe(ctx, origin.Context(from), language, message, most)
		},
	})
	return err
}

// signing is a push service that is told by signed calls.
type signing interface {
	// Sign gives it the key, before anything is sent.
	Sign(key func() (jose.PrivateKey, error)) error
}

// sign gives the issuer's key to the push services that want it.
func (c *carriers) sign(key func() (jose.PrivateKey, error)) error {
	for name, sender := range c.guests.Push {
		if s, ok := sender.(signing); ok {
			if err := s.Sign(key); err != nil {
				return fmt.Errorf("push %q: %w", name, err)
			}
		}
	}
	return nil
}

// describer says where questions come from.
func (p *Phones) describer(c *Config) (*origin.Describer, error) {
	logger := p.parts.Logger
	return origin.New(origin.Config{
		Templates: c.ContextTemplates, Locator: p.parts.Guests.Locator, Timeout: time.Duration(c.GeolocationTimeout),
		Missed: func(ctx context.Context, reason string, err error) {
			meter.OriginMissed(reason)
			if err != nil {
				logger.WarnContext(ctx, "a question is asked without where it comes from", "reason", reason, "error", err)
			}
		},
	})
}

// allows reports whether devices of an application may answer by a factor: what the configuration says now counts, whatever was
// registered before.
func (p *Phones) allows(application, factor string) bool {
	policy, found := p.policies[application]
	return found && (factor == envelope.MethodPossession || policy.Allows(factor))
}

// people finds what asking needs to know of users.
type people struct{ *identity.Store }

// The claims of OpenID Connect (Core, section 5.1) that are attributes of users.
const (
	phoneNumber = "phone_number"
	locale      = "locale"
)

// Person returns the number and the language of a user.
func (p people) Person(tx storage.Tx, userID string) (person asking.Person, err error) {
	u, _, err := p.Find(tx, userID)
	person.Number = u.Attributes[phoneNumber]
	if l := u.Attributes[locale]; l != "" {
		person.Languages = []string{l}
	}
	return person, err
}

// notify queues what brings a question to a person, in the transaction of the change.
func (p *Phones) notify(tx storage.Tx, c operation.Change) error {
	if c.What != operation.Started && c.What != operation.Resent && c.What != operation.Switched {
		return nil
	}
	o := &c.Operation
	if o.Channel == operation.BySMS {
		item, err := delivery.SMSItem(o)
		if err != nil {
			return err
		}
		return p.parts.Outbox.Append(tx, item)
	}
	if o.Channel != operation.ByPush || o.Push != operation.PushQueued {
		return nil
	}
	devices, err := p.devices.Live(tx, o.UserID)
	if err != nil {
		return err
	}
	sent := 0
	for i := range devices {
		d := &devices[i]
		if sent == maxPushes || !operation.Answerable(o, d) || !p.carriers.reaches(d) {
			continue
		}
		sent++
		item, err := delivery.PushItem(o, d)
		if err != nil {
			return err
		}
		if err := p.parts.Outbox.Append(tx, item); err != nil {
			return err
		}
	}
	return nil
}

// reporter is a gateway that tells what became of messages.
type reporter interface {
	sms.Reporter
	// ReportsAt is the address that the gateway was given; empty where it was given none.
	ReportsAt() string
}

// receivers returns what answers reports, by the path below the issuer.
func (c *carriers) receivers(issuer string, now func() time.Time) (map[string]http.Handler, error) {
	found := map[string]http.Handler{}
	calls, err := limit.New(limit.Config{Burst: reportBurst, Every: reportEvery, Keys: limiterKeys, Now: now})
	if err != nil {
		return nil, fmt.Errorf("sms: %w", err)
	}
	for _, g := range c.guests.SMS {
		r, ok := g.Sender.(reporter)
		if !ok || r.ReportsAt() == "" {
			continue
		}
		prefix := reportsPath + g.Name + "/"
		secret, err := secretOf(r.ReportsAt(), issuer+prefix)
		if err != nil {
			return nil, fmt.Errorf("sms %q: %w", g.Name, err)
		}
		handler, err := r.Reports(secret, r.ReportsAt(), func(ctx context.Context, report sms.Report) error {
			return c.reports.Told(ctx, g.Name, report)
		})
		if err != nil {
			return nil, fmt.Errorf("sms %q: status_callback: %w", g.Name, err)
		}
		found[prefix] = bounded(calls, http.StripPrefix(strings.TrimSuffix(authz.BasePath(issuer), "/"), handler))
	}
	return found, nil
}

// errReports repeats nothing of the address, which holds a secret.
var errReports = errors.New("want the issuer, /sms/reports/, the gateway's name, and a secret segment of 22 characters or more")

// secretOf returns the last segment of an address that begins as it should.
func secretOf(address, begin string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, begin) || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("status_callback: %w", errReports)
	}
	secret := strings.TrimPrefix(address, begin)
	if strings.Contains(secret, "/") {
		return "", fmt.Errorf("status_callback: %w", errReports)
	}
	return secret, nil
}
