// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	byphone "github.com/gatehouse-id/gatehouse/mobileauth/challenge"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	handheld "github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// pocket is an app that registers phones, and asking how people are asked.
const (
	pocket = `application pocket {
		android com.example.pocket
		enrollment
	}`
	asking = `mobile {
		open 8
		type push_pin {
			method push_pin
			message en "Sign in to Example"
		}
		type push {
			method push
			message en "Sign in to Example"
		}
		type down {
			method push_pin
			fallback sms_code
			message en "Sign in to Example"
		}
		type sms_code {
			method sms
			message en "Your code: {code}"
		}
		type scan {
			method otp
			message en "Sign in to Example"
		}
	}`
	phoneFactor = "730518"
)

// outside is a gateway for messages that takes all of them and sends none.
type outside struct{}

func (outside) Send(context.Context, sms.Message) (string, error) { return "", nil }

// asks adds a realm "phone" by a mobile type to the security model; what it is asked for is the scope "pay".
func asks(mobile byphone.Config) func(*world, *realm.Config) {
	return func(w *world, model *realm.Config) {
		w.mobile = asking
		n, c := w.building, mobile
		c.Now, c.Phones = w.clock.Now, func() *byphone.Phones { return n.phones.Challenge() }
		if c.Pause == nil {
			c.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
		}
		guest, err := byphone.New(c)
		if err != nil {
			panic(err)
		}
		model.Realms = append(model.Realms, &realm.Realm{Name: "phone", Authenticator: guest, LoginModule: guest, MaxAge: 5 * time.Minute, Audit: true})
		model.Scopes["pay"] = []string{"password", "phone"}
	}
}

// identifies makes the realm "phone" one that determines the user, and all that is asked for.
func identifies(_ *world, model *realm.Config) {
	model.Identity = []string{"phone", "password"}
	model.Scopes["pay"], model.Scopes["read"] = []string{"phone"}, []string{"phone"}
}

// newPhones builds the mobile side of a node over what the node is built of.
func (w *world) newPhones(t *testing.T, n *node, parts phones.Parts) *phones.Phones {
	t.Helper()
	var configs []apps.Config
	d := caddyfile.NewTestDispenser(pocket)
	d.Next()
	must(t, apps.Parse(&configs)(d))
	var config *phones.Config
	d = caddyfile.NewTestDispenser(w.mobile)
	d.Next()
	must(t, phones.Parse(&config)(d))
	out, err := outbox.New(outbox.Config{DB: parts.DB, Now: w.clock.Now, Logger: parts.Logger, Sealer: parts.Sealer})
	must(t, err)
	registry, err := apps.Registry(configs, parts.DB, parts.Logger)
	must(t, err)
	must(t, registry.Refresh(t.Context()))
	parts.Issuer, parts.Users, parts.Store, parts.Apps, parts.Outbox = issuer, w.users, w.store, registry, out
	parts.Backend, parts.Docs, parts.Now = nobody{}, http.NotFoundHandler(), w.clock.Now
	parts.Guests = &channels.Guests{SMS: []delivery.Gateway{{Name: "outside", Sender: outside{}}}}
	parts.Account = new(phones.Account)
	parts.Applied = n.view.Refresh
	parts.Secret = func(text, _ string) (string, error) { return text, nil }
	side, err := phones.New(config, configs, parts)
	must(t, err)
	must(t, side.Load(t.Context()))
	for prefix, face := range side.Faces() {
		n.server.Mount(prefix, strings.Trim(prefix, "/"), face)
	}
	n.account = parts.Account
	return side
}

// published are a node's keys, with those that phones encrypt to.
type published struct {
	*keyset.Ring
	node *node
}

// JWKS returns all of them.
func (p published) JWKS() []byte {
	if p.node.phones == nil {
		return p.Ring.JWKS()
	}
	return p.node.phones.JWKS()
}

// enrol gives a user a phone.
func (w *world) enrol(t *testing.T, user string) *handheld.Device {
	t.Helper()
	account := w.next().account
	id, err := account.Begin(t.Context(), user, "pocket")
	must(t, err)
	begun, err := account.Find(t.Context(), user, id)
	must(t, err)
	invitation, err := envelope.ParseInvitation(begun.QR)
	must(t, err)
	keys := new(handheld.SoftStore)
	enrolled, err := handheld.Enrol(t.Context(), handheld.Config{
		Client: &http.Client{Transport: w}, Keystore: keys, Vault: keys, Now: w.clock.Now, KDF: handheld.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, handheld.State) error { return nil },
	}, handheld.Enrolment{Invitation: invitation, Application: "pocket", Version: "1.0", Platform: "android", Name: "Phone", PIN: phoneFactor})
	must(t, err)
	must(t, account.Confirm(t.Context(), user, id, enrolled.State().Digits))
	return enrolled
}

// question is the one that waits on a phone.
func question(t *testing.T, phone *handheld.Device) handheld.Question {
	t.Helper()
	open, err := phone.Pending(t.Context(), 0)
	must(t, err)
	if len(open) != 1 {
		t.Fatalf("%d questions wait on the phone, want 1", len(open))
	}
	fetched, err := phone.Fetch(t.Context(), open[0].Operation)
	must(t, err)
	return fetched
}

// approves says yes to the question that waits on a phone, with the number that is shown elsewhere.
func approves(t *testing.T, phone *handheld.Device, number string) {
	t.Helper()
	must(t, phone.Approve(t.Context(), question(t, phone), handheld.Approval{Number: number, Proof: handheld.Proof{PIN: phoneFactor}}))
}

// operation is one as it is kept.
func (w *world) operation(t *testing.T, id string) operation.Operation {
	t.Helper()
	o, err := w.next().phones.Challenge().Operations.Wait(t.Context(), id, 0, 0)
	must(t, err)
	return o
}

// asked are all questions to a user, the newest first.
func (w *world) asked(t *testing.T, user string) []operation.Operation {
	t.Helper()
	store, ok := w.next().phones.Challenge().Operations.(*operation.Store)
	if !ok {
		t.Fatal("the operations are not a store")
	}
	all, err := store.ListByUser(t.Context(), user, "", 0)
	must(t, err)
	var questions []operation.Operation
	for _, o := range all {
		if o.Kind != operation.Registration {
			questions = append(questions, o)
		}
	}
	return questions
}

// bob is a user without a phone.
func (w *world) bob(t *testing.T) identity.User {
	t.Helper()
	bob, err := w.users.Add(t.Context(), identity.NewUser{Profile: identity.Profile{Logins: []string{"bob"}}, Password: password})
	must(t, err)
	return bob
}

// nobody is a back end that is not let in.
type nobody struct{}

func (nobody) Authenticate(*http.Request) (restapi.Caller, error) {
	return restapi.Caller{}, errors.New("nobody is let in")
}
