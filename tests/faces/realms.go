// SPDX-License-Identifier: Apache-2.0

package faces

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/basicauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

// The users, with the names they log in by.
const (
	Alice, AliceLogin = "usr_alice", "alice"
	Bob, BobLogin     = "usr_bob", "bob"
	// Password is everybody's; PIN is everybody's.
	Password, PIN = "correct horse", "1234"
	// Device is the known one, as the field Test-Device tells it.
	Device = "dev_1"
)

// Passwords that have an answer of their own.
const (
	PasswordThrottled = "throttled"
	PasswordBusy      = "busy"
	PasswordBroken    = "broken"
	PasswordPanic     = "panic"
	PasswordStrange   = "strange"
	// PasswordEnds ends every session of the user before it is refused or accepted by [PIN]'s rules.
	PasswordEnds = "ends"
)

// Leak is in every error of a broken realm: it must not reach anybody.
const Leak = "LEAKED-SECRET"

// model is the security model of a world: password and badge determine the user, pin and riddle prove more.
func model(users *Users) realm.Config {
	form := func(fields ...realm.Field) realm.Authenticator {
		a, err := formauth.New(formauth.Config{Fields: fields})
		if err != nil {
			panic(err)
		}
		return a
	}
	basic, err := basicauth.New()
	if err != nil {
		panic(err)
	}
	secret := func(name string) realm.Field {
		return realm.Field{Name: name, Label: name, Type: "password", Required: true}
	}
	return realm.Config{
		Realms: []*realm.Realm{
			{Name: "password", Authenticator: form(), LoginModule: users, MaxAge: time.Hour, Audit: true},
			{Name: "pin", Authenticator: form(secret("pin")), LoginModule: module(users.pin), MaxAge: 5 * time.Minute, Audit: true},
			{Name: "badge", Authenticator: form(secret("badge")), LoginModule: module(users.badge), MaxAge: time.Hour},
			{Name: "riddle", Authenticator: riddle{}, LoginModule: module(users.riddle), MaxAge: time.Hour},
			{Name: "header", Authenticator: header{}, LoginModule: module(users.badge), MaxAge: time.Hour},
			{Name: "rude", Authenticator: rude{}, LoginModule: module(users.riddle), MaxAge: time.Hour},
			{Name: "basic", Authenticator: basic, LoginModule: users, MaxAge: time.Hour},
			{Name: "device", Authenticator: device{}, LoginModule: module(users.device), MaxAge: time.Hour, Audit: true},
		},
		Tests: []realm.SecurityTest{
			{Name: "riddle-first", Steps: [][]string{{"riddle"}, {"password"}, {"pin"}}},
			{Name: "device-first", Steps: [][]string{{"device"}, {"password"}}},
		},
		Scopes: map[string][]string{
			"accounts:read": {"password"}, "payments:write": {"password", "pin"}, "riddles": {"password", "riddle"},
		},
		Levels: []realm.Level{
			{Name: "silver", Realms: []string{"password"}},
			{Name: "gold", Realms: []string{"password", "pin"}},
		},
		Identity: []string{"password", "badge", "header", "basic"},
	}
}

// Users is the login module of the password realm.
type Users struct {
	store *authz.Store

	mu        sync.Mutex
	tries     []realm.Credentials
	meanwhile func()
}

// Meanwhile has something happen once, while a password is verified: after it was judged and before the judgement is told.
func (u *Users) Meanwhile(hook func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.meanwhile = hook
}

// Tries returns the credentials that reached the module.
func (u *Users) Tries() []realm.Credentials {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]realm.Credentials(nil), u.tries...)
}

// Verify accepts [Password] for every user.
func (u *Users) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	u.mu.Lock()
	u.tries = append(u.tries, c)
	hook := u.meanwhile
	u.meanwhile = nil
	u.mu.Unlock()
	if hook != nil {
		defer hook()
	}
	account := map[string]string{AliceLogin: Alice, BobLogin: Bob}[c.Values[formauth.Username]]
	if c.Subject != "" {
		account = c.Subject
	}
	switch c.Values[formauth.Password] {
	case PasswordThrottled:
		return realm.Result{Status: realm.Throttled, RetryAfter: 30 * time.Second, Reason: "too_many"}, nil
	case PasswordBusy:
		return realm.Result{Status: realm.Busy, RetryAfter: 2 * time.Second, Reason: "queue_full"}, nil
	case PasswordBroken:
		return realm.Result{}, errors.New("asking the directory: " + Leak)
	case PasswordPanic:
		panic(Leak)
	case PasswordStrange:
		return realm.Result{Status: "maybe", Identity: realm.Identity{Subject: account}}, nil
	case Password:
		if account != "" {
			return realm.Result{Status: realm.Accepted, Account: account, Identity: person(account)}, nil
		}
	}
	return realm.Result{Status: realm.Refused, Reason: "wrong_password", Account: account}, nil
}

func person(subject string) realm.Identity {
	names := map[string][2]string{Alice: {"Alice", AliceLogin}, Bob: {"Bob", BobLogin}}
	return realm.Identity{
		Subject: subject, Name: names[subject][0], AMR: []string{"pwd"}, Attributes: map[string]string{"login": names[subject][1]},
	}
}

// pin proves something, and nobody's identity.
func (u *Users) pin(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	switch c.Values["pin"] {
	case PIN:
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{AMR: []string{"pin"}}}, nil
	case PasswordEnds:
		sessions, err := u.store.SessionsOf(ctx, c.Subject)
		for _, s := range sessions {
			if _, err := u.store.EndSession(ctx, s.ID); err != nil {
				return realm.Result{}, err
			}
		}
		return realm.Result{Status: realm.Accepted}, err
	}
	return realm.Result{Status: realm.Refused, Reason: "wrong_pin", Account: c.Subject}, nil
}

// badge accepts any badge: what it holds is the user.
func (u *Users) badge(_ context.Context, c realm.Credentials) (realm.Result, error) {
	identity := person(c.Values["badge"])
	identity.AMR = []string{"hwk"}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

func (u *Users) riddle(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["state"]+c.Values["answer"] == "second:blue" {
		return realm.Result{Status: realm.Accepted}, nil
	}
	return realm.Result{Status: realm.Refused}, nil
}

// device knows one device, which proves nobody's identity.
func (u *Users) device(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["device"] == Device {
		return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Device: Device}}, nil
	}
	return realm.Result{Status: realm.Refused, Reason: "unknown_device"}, nil
}

type module func(context.Context, realm.Credentials) (realm.Result, error)

func (m module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m(ctx, c)
}

// riddle asks two questions, one after the other, and keeps which one it is at.
type riddle struct{}

func (riddle) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	answer := in.Fields["answer"]
	if string(in.State) == "second:" && answer != "" {
		return realm.Credentials{Values: map[string]string{"state": string(in.State), "answer": answer}, Subject: in.Subject}, nil, nil
	}
	state, label := "first:", "What is your quest?"
	if string(in.State) == "first:" && answer != "" || string(in.State) == "second:" {
		state, label = "second:", "What is your favourite colour?"
	}
	fields := []realm.Field{{Name: "answer", Label: label, Required: true}}
	return realm.Credentials{}, &realm.Challenge{Fields: fields, State: []byte(state), Message: "login.missing"}, nil
}

// header reads a header and never asks.
type header struct{}

func (header) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	values := in.Headers["Test-Badge"]
	if len(values) == 0 {
		return realm.Credentials{Values: map[string]string{"badge": ""}}, nil, nil
	}
	return realm.Credentials{Values: map[string]string{"badge": values[0]}}, nil, nil
}

// device reads a header and never asks.
type device struct{}

func (device) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{Values: map[string]string{"device": strings.Join(in.Headers["Test-Device"], ",")}}, nil, nil
}

// rude asks for a field that pages use themselves.
type rude struct{}

func (rude) Collect(context.Context, realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{}, &realm.Challenge{Fields: []realm.Field{{Name: "step", Label: "Step"}}}, nil
}
