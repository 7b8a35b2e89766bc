// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/signing"
	"github.com/gatehouse-id/gatehouse/storage"
)

// prefix begins the ids of installations.
const prefix = "ins"

// Names of audit events.
const (
	EventIssued  = "device_certificate.issued"
	EventRefused = "device_certificate.refused"
	EventFailed  = "device_certificate.failed"
)

// ErrAuthority is wrapped when nobody could issue a certificate, or not the one that was ordered. Nothing was wrong with the request.
var ErrAuthority = errors.New("the certificate authority did not issue")

// Versions judges the versions of apps. A [mobileauth.Registry] does.
type Versions interface {
	Status(app, platform, version string) (mobileauth.Status, mobileauth.Notice)
}

// Budget bounds how many devices that nobody knew before get a certificate. Each of them is a signature and records that are kept for
// long, and whoever asks is mostly a stranger. Renewals do not count: those who have a certificate are never in the way of strangers.
type Budget struct {
	// Address bounds them by where they come from, as [limit.Address] has it, and Network as [limit.Network] does.
	Address, Network *limit.Limiter
	// Strangers bounds all of them together, and Known those of users who have logged in before and of those who come with a
	// certificate of a former authority, which no stranger can use up.
	Strangers, Known *limit.Limiter
}

// together is the one key of [Budget].Strangers and [Budget].Known.
const together = ""

// left refuses a caller when nothing is left for where they are, or for anybody like them.
func (b Budget) left(c Caller, familiar bool) error {
	if wait := max(b.Address.Wait(limit.Address(c.ClientIP)), b.Network.Wait(limit.Network(c.ClientIP))); wait > 0 {
		return &Refusal{Reason: ReasonManyDevices, RetryAfter: wait}
	}
	if wait := b.all(familiar).Wait(together); wait > 0 {
		return &Refusal{Reason: ReasonBudget, RetryAfter: wait}
	}
	return nil
}

// count counts a device that has its certificate.
func (b Budget) count(c Caller, familiar bool) {
	b.Address.Count(limit.Address(c.ClientIP))
	b.Network.Count(limit.Network(c.ClientIP))
	b.all(familiar).Count(together)
}

func (b Budget) all(familiar bool) *limit.Limiter {
	if familiar {
		return b.Known
	}
	return b.Strangers
}

// Config is what a [Store] needs. Everything is required but Groups, Profile, Requests, Budget, Hooks, Attestation, Former,
// OnRevoke and OnChange.
type Config struct {
	DB        storage.DB
	Authority Authority
	Versions  Versions
	// Groups are the apps of each group.
	Groups  Groups
	Profile Profile
	// Requests bounds how often an address may ask for a certificate; nil is no bound.
	Requests *limit.Limiter
	Budget   Budget
	// Hooks have the operator decide as well.
	Hooks Hooks
	// Attestation is what devices have to show of themselves.
	Attestation Attestation
	// Former judges the certificates that devices have of another authority; nil judges none good.
	Former Former
	Trail  *audit.Trail
	// OnRevoke end what rests on an installation that is revoked, in that transaction. They are optional.
	OnRevoke []func(tx storage.Tx, installation string) error
	// OnChange is called in the transaction of whatever makes certificates revoked for others, once for each; nil for nobody.
	OnChange func(tx storage.Tx) error
	Now      func() time.Time
	Logger   *slog.Logger
}

// Store issues certificates and knows those that were. It is safe for concurrent use.
type Store struct {
	c      Config
	tables tables
}

// New returns a store, or an error that says what does not fit. It reads and writes nothing.
func New(c Config) (*Store, error) {
	if c.DB == nil || c.Authority == nil || c.Versions == nil || c.Trail == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("building the certificates of devices: a store, an authority, the versions of apps, the audit trail, a clock and a logger are required")
	}
	if err := c.Groups.Check(); err != nil {
		return nil, err
	}
	if err := c.Profile.Check(); err != nil {
		return nil, err
	}
	if err := c.Attestation.check(); err != nil {
		return nil, err
	}
	return &Store{c: c, tables: newTables()}, nil
}

// Caller is who sends something.
type Caller struct {
	ClientID, ClientIP string
	// UserID is who is known already, if anybody.
	UserID string
}

// Message is what a device sends to a realm.
type Message struct {
	Question Question
	// Spent tells that the question was answered before.
	Spent bool
	// Entity is what a key has to stand for.
	Entity Entity
	// Answer is the signed answer, and CSR the certificate request in DER where one is handed in.
	Answer string
	CSR    []byte
	// Evidence is what the device shows of itself; empty for nothing.
	Evidence []byte
	// Former is the certificate of a former authority, in DER, whose key has signed a request; empty for none.
	Former []byte
	Caller Caller
}

// Presence is a device that is there.
type Presence struct {
	Certificate Certificate
	Claims      Claims
	// Attributes are those of the certificate, and what a hook has added for this session.
	Attributes map[string]string
}

// Present judges an answer by the key of a certificate. The certificate has to be one that was issued here and counts, to stand for the
// entity that is asked for, and to have been issued for the app, where it is one app's; the app has to be known, of the group, and not
// switched off. When a key is shown for the first time, the one that it came after is over, whatever the operator's hook says, which is
// asked at the end. A refusal is a [*Refusal]; any other error is a fault.
func (s *Store) Present(ctx context.Context, m Message) (Presence, error) {
	presence, err := s.present(ctx, &m)
	return presence, s.told(ctx, &m, err)
}

func (s *Store) present(ctx context.Context, m *Message) (Presence, error) {
	a, err := m.read(TypPresence)
	if err != nil {
		return Presence{}, err
	}
	c, err := s.signed(ctx, a)
	if err != nil {
		return Presence{}, err
	}
	if err := s.stands(c, a, m.Entity); err != nil {
		return Presence{}, err
	}
	if c.Former {
		return Presence{}, &Refusal{Reason: ReasonFormer, Installation: c.Installation}
	}
	if !c.Shown {
		if err := s.first(ctx, c); err != nil {
			return Presence{}, err
		}
	}
	p := Presence{Certificate: *c, Claims: a.claims}
	if err := s.validate(ctx, m, &p); err != nil {
		return Presence{}, err
	}
	return p, nil
}

// first notes that a certificate was shown for the first time.
func (s *Store) first(ctx context.Context, c *Certificate) error {
	err := s.c.DB.Update(ctx, func(tx storage.Tx) (err error) {
		if *c, err = s.tables.find(tx, c.ID); errors.Is(err, storage.ErrNotFound) {
			return refuse(ReasonUnknown)
		}
		if err == nil {
			err = c.standing(s.c.Now())
		}
		if err != nil {
			return err
		}
		return s.shown(tx, c)
	})
	if err != nil {
		return fmt.Errorf("noting that a certificate was shown: %w", err)
	}
	return nil
}

// Unproven reads an answer that nobody has signed: the claims as they are, a JSON object. They have to be to the question, for the first
// time, and speak of an app that is let in. It is for development: whoever says so is believed.
func (s *Store) Unproven(ctx context.Context, m Message) (Claims, error) {
	claims, err := s.unproven(&m)
	return claims, s.told(ctx, &m, err)
}

func (s *Store) unproven(m *Message) (Claims, error) {
	a := new(answer)
	if m.Spent {
		return Claims{}, refuse(ReasonReplayed)
	}
	if err := signing.ReadUnsigned(m.Answer, &a.claims); err != nil || !a.claims.plain() {
		return Claims{}, refuseFor(ReasonAnswer, err)
	}
	if err := a.claims.to(m.Question); err != nil {
		return Claims{}, err
	}
	return a.claims, s.welcome(a, m.Entity)
}

// read reads the answer, which has to be to the question, for the first time.
func (m *Message) read(typ string) (*answer, error) {
	if m.Spent {
		return nil, refuse(ReasonReplayed)
	}
	a, err := readAnswer(m.Answer, typ)
	if err != nil {
		return nil, err
	}
	return a, a.claims.to(m.Question)
}

// signed returns the certificate that an answer names and whose key has signed it.
func (s *Store) signed(ctx context.Context, a *answer) (*Certificate, error) {
	if name, err := base64.RawURLEncoding.Strict().DecodeString(a.by.KID); err != nil || len(name) != 32 {
		return nil, refuse(ReasonUnknown)
	}
	c, err := s.Get(ctx, a.by.KID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, refuse(ReasonUnknown)
	}
	if err != nil {
		return nil, err
	}
	leaf, err := c.Leaf()
	if err != nil {
		return nil, err
	}
	if !a.by.By(leaf.PublicKey) {
		return nil, &Refusal{Reason: ReasonSignature, Installation: c.Installation}
	}
	return &c, nil
}

// stands refuses a certificate that does not count, or not for this.
func (s *Store) stands(c *Certificate, a *answer, want Entity) error {
	if err := c.standing(s.c.Now()); err != nil {
		return err
	}
	if c.Entity() != want || want.Kind == KindApplication && c.Application != a.claims.App.ID {
		return &Refusal{Reason: ReasonEntity, Installation: c.Installation}
	}
	return s.welcome(a, want)
}

// welcome refuses an app that is not to be here.
func (s *Store) welcome(a *answer, as Entity) error {
	app := a.claims.App
	switch status, _ := s.c.Versions.Status(app.ID, app.Platform, app.Version); status {
	case mobileauth.Active, mobileauth.Notify, mobileauth.NoRegistration:
	case mobileauth.Disabled:
		return refuse(ReasonVersion)
	default:
		return refuse(ReasonApplication)
	}
	return s.c.Groups.admits(as, app.ID)
}

// told puts what became of a message on the trail, where it was refused or failed. A stranger can cause that as often as he likes, so
// it is logged and not stored.
func (s *Store) told(ctx context.Context, m *Message, err error) error {
	if err == nil {
		return nil
	}
	event := audit.Event{
		Name: EventFailed, Outcome: audit.Refused, Reason: "authority_failed", Realm: m.Question.Realm,
		ClientID: m.Caller.ClientID, ClientIP: m.Caller.ClientIP, Subject: m.Caller.UserID,
	}
	refusal, refused := errors.AsType[*Refusal](err)
	switch {
	case refused:
		event.Name, event.Reason, event.DeviceID = EventRefused, string(refusal.Reason), refusal.Installation
	case errors.Is(err, ErrHook):
		event.Reason = "hook_failed"
	case !errors.Is(err, ErrAuthority):
		return err
	}
	s.c.Trail.Log(ctx, event)
	return err
}

// Get returns the certificate with that id, or [storage.ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (c Certificate, err error) {
	err = s.c.DB.View(ctx, func(tx storage.Tx) error {
		c, err = s.tables.find(tx, id)
		return err
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("reading a certificate: %w", err)
	}
	return c, nil
}

// newInstallation draws the id of an installation.
func newInstallation() string { return randid.New(prefix) }
