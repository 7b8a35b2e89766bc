// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/rounds"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
	"github.com/gatehouse-id/gatehouse/mobileauth/caution"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/deviceapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/exchange"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/receipt/issuing"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/roots"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Limits of what one address may cause: messages of phones that were refused, and questions to people of whom no more than a name was
// typed there, which an office of people who come at nine does not reach.
const (
	refusedBurst, refusedEvery = 60, time.Second
	namedBurst, namedEvery     = 60, 5 * time.Second
	// Messages of one phone. Somebody who answers questions all day sends fewer.
	messageBurst, messageEvery = 300, 100 * time.Millisecond
	limiterKeys                = 100_000
)

// tickEvery is how often keys are looked after.
const tickEvery = time.Minute

// tickFloor is the time between two looks after them that other nodes give cause for, at least.
const tickFloor = 100 * time.Millisecond

// Parts is what the mobile side is built over. All fields are required.
type Parts struct {
	Issuer  string
	DB      storage.DB
	Sealer  storage.Sealer
	Users   *identity.Store
	Store   *authz.Store
	Ring    *keyset.Ring
	Trail   *audit.Trail
	Apps    *mobileauth.Registry
	Outbox  *outbox.Outbox
	Backend restapi.Authenticator
	// Grader judges what phones show of themselves; nil judges nothing.
	Grader grading.Grader
	// Clients are those that back ends may read about.
	Clients restapi.Clients
	// Certificates are those of devices; nil has none.
	Certificates restapi.Certificates
	Docs         http.Handler
	// Guests are what the configuration names to send notifications and messages, and to find places.
	Guests *channels.Guests
	// Account shows the phones on the account page: New fills it in. It is optional.
	Account *Account
	// OnChange are told of the changes of operations, in their transactions, beside what the mobile side does itself. It is optional.
	OnChange []func(storage.Tx, operation.Change) error
	// Applied runs after what takes users or devices out.
	Applied func(ctx context.Context) error
	// Secret resolves a secret of the configuration.
	Secret func(text, of string) (string, error)
	Now    func() time.Time
	Logger *slog.Logger
}

// Phones is the mobile side of one configuration.
type Phones struct {
	parts      Parts
	policies   map[string]enrolment.Policy
	keys       *exchange.Ring
	roots      *roots.Store
	callbacks  *callback.Sender
	alerted    []string // the addresses that are told of alerts
	caution    *caution.Store
	devices    *handset.Store
	parsed     handset.KeyCache
	operations *operation.Store
	enrolment  *enrolment.Store
	device     *deviceapi.Handler
	api        *restapi.API
	asking     *asking.Service
	carriers   carriers
	digits     int // of the number that is typed on a phone
	named      *limit.Limiter
	outs       atomic.Uint64 // how often a device was taken out, or was about to be
}

// Wanted reports whether a configuration has a mobile side.
func Wanted(c *Config, applications []apps.Config) bool {
	for i := range applications {
		if applications[i].Enrollment != nil {
			return true
		}
	}
	return c != nil
}

// Searchable returns the attributes by which back ends can search for users.
func Searchable(c *Config) []string {
	if c == nil {
		return nil
	}
	return c.Searchable
}

// Scopes are those of the API for back ends.
func Scopes() []string { return restapi.Scopes() }

// New builds the mobile side. It reads and writes nothing: the store may be opened later.
func New(c *Config, applications []apps.Config, parts Parts) (*Phones, error) {
	if c == nil {
		c = new(Config)
	}
	p := &Phones{parts: parts, carriers: carriers{guests: parts.Guests, apps: applications}, policies: map[string]enrolment.Policy{}}
	for i := range applications {
		policy, registers, err := applications[i].Policy()
		if err != nil {
			return nil, err
		}
		if registers {
			p.policies[applications[i].ID] = policy
		}
	}
	for _, build := range []func(*Config) error{
		p.buildKeys, p.buildCallbacks, p.buildBudget, p.buildRecords, p.buildEnrolment, p.buildCarriers, p.buildFaces,
	} {
		if err := build(c); err != nil {
			return nil, fmt.Errorf("mobile: %w", err)
		}
	}
	if parts.Account != nil {
		parts.Account.phones = p
	}
	return p, nil
}

func (p *Phones) buildKeys(*Config) (err error) {
	parts := &p.parts
	p.keys, err = exchange.Open(exchange.Config{DB: parts.DB, Sealer: parts.Sealer, Now: parts.Now, Logger: parts.Logger})
	if err != nil {
		return err
	}
	p.roots, err = roots.Open(roots.Config{DB: parts.DB, Sealer: parts.Sealer, Now: parts.Now, Logger: parts.Logger})
	return err
}

func (p *Phones) buildCallbacks(c *Config) (err error) {
	parts := &p.parts
	receivers, err := c.receivers(parts.Secret)
	if err != nil {
		return err
	}
	if err := c.Unlisted.check(parts.Clients); err != nil {
		return err
	}
	for _, client := range c.Unlisted {
		parts.Logger.Warn("mobile: callback_allow_list is off: the client may have any public https address called", "client_id", client)
	}
	for i := range c.Callbacks {
		if c.Callbacks[i].Alerts {
			p.alerted = append(p.alerted, c.Callbacks[i].URL)
		}
	}
	p.callbacks, err = callback.New(callback.Config{Receivers: receivers, Anywhere: c.Unlisted, Key: p.signer, Now: parts.Now})
	return err
}

func (p *Phones) signer() (jose.PrivateKey, error) { return p.parts.Ring.SignerFor(jose.ES256) }

// buildRecords builds devices and operations, which end what rests on one another.
func (p *Phones) buildRecords(c *Config) (err error) {
	parts := &p.parts
	p.digits = c.number()
	p.named, err = limit.New(limit.Config{Burst: namedBurst, Every: namedEvery, Keys: limiterKeys, Now: parts.Now})
	if err != nil {
		return err
	}
	if p.caution, err = caution.New(parts.DB, parts.Now); err != nil {
		return err
	}
	p.devices, err = handset.New(handset.Config{
		DB: parts.DB, Sealer: parts.Sealer, Users: parts.Users, Audit: parts.Trail, Now: parts.Now, Logger: parts.Logger,
		OnRevoke: []func(storage.Tx, handset.Device) error{p.revokeDevice},
		OnNotice: []func(storage.Tx, handset.Notice) error{p.notice},
	})
	if err != nil {
		return err
	}
	receipts, err := issuing.New(issuing.Config{
		Issuer: parts.Issuer, Root: p.roots.Root, Signer: p.signer, Parsed: &p.parsed, ExternalRef: p.externalRef,
	})
	if err != nil {
		return err
	}
	p.operations, err = operation.New(operation.Config{
		DB: parts.DB, Sealer: parts.Sealer, Users: parts.Users, Devices: p.devices, Audit: parts.Trail, Now: parts.Now,
		Logger: parts.Logger, Receipts: receipts, Limits: c.limits(),
		OnChange: p.hooks(), Pushes: p.carriers.reaches, Ended: p.carriers.ended,
	})
	return err
}

func (p *Phones) externalRef(ctx context.Context, userID string) (string, error) {
	u, err := p.parts.Users.Get(ctx, userID)
	if errors.Is(err, storage.ErrNotFound) {
		return "", nil
	}
	return u.ExternalRef, err
}

func (p *Phones) buildEnrolment(*Config) (err error) {
	parts := &p.parts
	p.enrolment, err = enrolment.New(enrolment.Config{
		DB: parts.DB, Sealer: parts.Sealer, Users: parts.Users, Devices: p.devices, Operations: p.operations,
		Applications: parts.Apps, Audit: parts.Trail, Issuer: parts.Issuer, Now: parts.Now, Address: p.carriers.address,
		Attestation: parts.Grader,
		Policies: func(application string) (enrolment.Policy, bool) {
			policy, found := p.policies[application]
			return policy, found
		},
		ServerKey: func() (string, error) {
			key, err := p.keys.Current()
			return key.KID, err
		},
	})
	return err
}

func (p *Phones) buildFaces(*Config) error {
	parts := &p.parts
	refusals, err := limit.New(limit.Config{Burst: refusedBurst, Every: refusedEvery, Keys: limiterKeys, Now: parts.Now})
	if err != nil {
		return err
	}
	messages, err := limit.New(limit.Config{Burst: messageBurst, Every: messageEvery, Keys: limiterKeys, Now: parts.Now})
	if err != nil {
		return err
	}
	p.device, err = deviceapi.New(deviceapi.Config{
		Issuer: parts.Issuer, Keys: p.keys, Signer: parts.Ring, Devices: p.devices, Operations: p.operations,
		Enrolment: p.enrolment, Audit: parts.Trail, Logger: parts.Logger, Now: parts.Now, Refusals: refusals,
		Messages: messages, Parsed: &p.parsed, Watch: p.watch,
	})
	if err != nil {
		return err
	}
	p.api, err = restapi.New(restapi.Config{
		Issuer: parts.Issuer, Authenticator: parts.Backend, Users: parts.Users, Devices: p.devices, Operations: p.operations,
		Applications: parts.Apps, Trail: parts.Trail, Enrolment: p.enrolment, Asking: p.asking, Callbacks: p, DB: parts.DB,
		Sealer: parts.Sealer, Applied: parts.Applied, Docs: parts.Docs, Now: parts.Now, Logger: parts.Logger,
		Clients: parts.Clients, Certificates: parts.Certificates,
	})
	return err
}

// Allowed returns nil if a URL may be called back. Every client may name each of them: what is told there is that something
// happened, and not what. A client without the list may name others.
func (p *Phones) Allowed(client, url string) error {
	if !p.callbacks.Allowed(client, url) {
		return callback.ErrNotAllowed
	}
	return nil
}

// callBack queues what a back end wants to be told, in the transaction of the change.
func (p *Phones) callBack(tx storage.Tx, c operation.Change) error {
	o := &c.Operation
	if o.CallbackURL == "" || c.What != operation.Ended && c.What != operation.WasUsed {
		return nil
	}
	at := o.EndedAt
	if c.What == operation.WasUsed {
		at = o.RedeemedAt
	}
	// Operation and version name the change, whichever run of the transaction makes it.
	id := fmt.Sprintf("dlv_%s.%d", o.ID, o.Version)
	item, err := callback.Item(id, o.ClientID, o.CallbackURL, callback.Notice{
		Operation: o.ID, Kind: string(o.Kind), State: string(o.State), At: at,
	})
	if err != nil {
		return err
	}
	return p.parts.Outbox.Append(tx, item)
}

// alert queues what those who watch over people want to be told, in the transaction of the change: that a person did not begin what
// they were asked, or gave so many wrong answers that the next one blocks them, or that it has.
func (p *Phones) alert(tx storage.Tx, c operation.Change) error {
	if c.What != operation.NotMe && c.What != operation.Warned && c.What != operation.Blocked {
		return nil
	}
	o := &c.Operation
	for i, url := range p.alerted {
		id := fmt.Sprintf("alt_%s.%d.%s.%d", o.ID, o.Version, c.What, i)
		item, err := callback.Item(id, "", url, callback.Notice{
			Operation: o.ID, Kind: string(o.Kind), State: string(o.State), At: p.parts.Now(), Alert: string(c.What),
		})
		if err != nil {
			return err
		}
		if err := p.parts.Outbox.Append(tx, item); err != nil {
			return err
		}
	}
	return nil
}

// Load reads the keys.
func (p *Phones) Load(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return errors.Join(p.keys.Load(ctx), p.roots.Load(ctx))
}

// Run calls back, expires and looks after keys until ctx ends.
func (p *Phones) Run(ctx context.Context) {
	if p == nil {
		return
	}
	for kind, handler := range map[string]outbox.Handler{
		callback.Kind: p.callbacks, delivery.PushKind: p.carriers.pushes, delivery.SMSKind: p.carriers.messages,
	} {
		defer p.parts.Outbox.Handle(kind, handler)()
	}
	var loops sync.WaitGroup
	loops.Go(func() { p.operations.Run(ctx) })
	loops.Go(func() { p.operations.Follow(ctx) })
	loops.Go(func() { p.tick(ctx) })
	loops.Go(func() {
		if err := p.parts.Users.Reindex(ctx); err != nil && ctx.Err() == nil {
			p.parts.Logger.WarnContext(ctx, "making users searchable", "error", err)
		}
	})
	for _, run := range p.parts.Guests.Runners() {
		loops.Go(func() { run(ctx) })
	}
	loops.Wait()
	p.callbacks.Close()
}

func (p *Phones) tick(ctx context.Context) {
	news := p.keys.Watch()
	defer news.Stop()
	rounds.Pace{Every: tickEvery, Woken: news.C(), Floor: tickFloor}.Run(ctx, rounds.Trouble{
		Logger: p.parts.Logger, Begins: "looking after the phones' keys", Ends: "the phones' keys are looked after again",
	}, func(ctx context.Context) error { return errors.Join(p.keys.Tick(ctx), p.roots.Load(ctx)) })
}

// JWKS returns the issuer's published keys: those that sign and those that phones encrypt to. Before they are known it is nil.
func (p *Phones) JWKS() []byte {
	sign := p.parts.Ring.Publics()
	if sign == nil {
		return nil
	}
	set, err := jose.MarshalSet(sign, p.keys.Publics()...)
	if err != nil {
		return nil
	}
	return set
}

// Roots returns the public root keys by which receipts are verified, as a JWK set.
func (p *Phones) Roots() ([]byte, error) { return p.roots.JWKS() }

// Faces returns the handlers by the path below the issuer with which everything of theirs begins.
func (p *Phones) Faces() map[string]http.Handler {
	faces := map[string]http.Handler{
		deviceapi.Prefix:   http.StripPrefix(strings.TrimSuffix(authz.BasePath(p.parts.Issuer), "/"), p.device),
		restapi.Path + "/": p.api,
	}
	maps.Copy(faces, p.carriers.gateways)
	return faces
}
