// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// ages are how long the proofs of each realm count.
var ages = map[string]time.Duration{
	"password": 8 * time.Hour, "badge": time.Hour, "word": 5 * time.Minute, "riddle": 20 * time.Minute, "device": 10 * time.Minute,
}

// pairs are scopes that need two realms each: every combination of those there are.
func pairs() map[string][]string {
	names := []string{"password", "badge", "word", "riddle", "device"}
	scopes := map[string][]string{}
	for i, one := range names {
		for _, other := range names[i+1:] {
			scopes[one+"+"+other] = []string{one, other}
		}
	}
	return scopes
}

// needs are the realms that a pair takes: both, and the password where neither says who it is.
func needs(scope string) []string {
	names := strings.Split(scope, "+")
	if names[0] == "password" || names[0] == "badge" {
		return names
	}
	return append(names, "password")
}

// right are the right answers to each realm, round after round. The device is asked nothing.
var right = map[string][]map[string]string{
	"password": {{"username": "alice", "password": password}},
	"badge":    {{"badge": "the badge of alice"}},
	"word":     {{"word": "please"}},
	"riddle":   {{"quest": "the grail"}, {"colour": "blue"}},
}

const deviceField, knownDevice = "Test-Device", "dev_1"

// ofEveryKind adds realms to the security model, one that knows who it is, one in two rounds, and one that asks nothing, and
// the scopes that need two of all there are.
func ofEveryKind(w *world, c *realm.Config) {
	c.Realms = append(c.Realms,
		&realm.Realm{Name: "badge", Authenticator: badge{}, LoginModule: module(w.badge), MaxAge: ages["badge"]},
		&realm.Realm{Name: "riddle", Authenticator: riddle{}, LoginModule: module(accept), MaxAge: ages["riddle"]},
		&realm.Realm{Name: "device", Authenticator: device{}, LoginModule: module(known), MaxAge: ages["device"]},
	)
	c.Identity = append(c.Identity, "badge")
	maps.Copy(c.Scopes, pairs())
}

type module func(context.Context, realm.Credentials) (realm.Result, error)

func (m module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m(ctx, c)
}

func accept(context.Context, realm.Credentials) (realm.Result, error) {
	return realm.Result{Status: realm.Accepted}, nil
}

func known(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["device"] != knownDevice {
		return realm.Result{Status: realm.Refused}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Device: knownDevice}}, nil
}

func (w *world) badge(_ context.Context, c realm.Credentials) (realm.Result, error) {
	if c.Values["badge"] != right["badge"][0]["badge"] {
		return realm.Result{Status: realm.Refused}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{Subject: w.alice.ID, Name: "Alice", AMR: []string{"hwk"}}}, nil
}

// badge asks for a badge.
type badge struct{}

func (badge) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if in.Fields["badge"] == "" {
		return realm.Credentials{}, &realm.Challenge{Fields: []realm.Field{{Name: "badge", Label: "Badge", Required: true}}}, nil
	}
	return realm.Credentials{Values: in.Fields, Subject: in.Subject}, nil, nil
}

// riddle asks one thing after the other and keeps where it is.
type riddle struct{}

func (riddle) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	next := "quest"
	if string(in.State) == "colour" || string(in.State) == "quest" && in.Fields["quest"] != "" {
		next = "colour"
	}
	if next == "colour" && in.Fields["colour"] == right["riddle"][1]["colour"] {
		return realm.Credentials{Subject: in.Subject}, nil, nil
	}
	return realm.Credentials{}, &realm.Challenge{Fields: []realm.Field{{Name: next, Label: next, Required: true}}, State: []byte(next)}, nil
}

// device reads a field of the header and asks nothing.
type device struct{}

func (device) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return realm.Credentials{Values: map[string]string{"device": strings.Join(in.Headers[deviceField], ",")}}, nil, nil
}
