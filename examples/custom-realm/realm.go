// SPDX-License-Identifier: Apache-2.0

// Package customrealm is a realm of one's own: an employee number and today's magic word.
package customrealm

import (
	"context"
	"crypto/subtle"
	"regexp"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

func init() {
	caddy.RegisterModule(Badge{})
	caddy.RegisterModule(MagicWord{})
}

// Badge is an authenticator: it asks for what the login module needs, until it is there.
type Badge struct{}

// CaddyModule names it, for "authenticator badge".
func (Badge) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.badge", New: func() caddy.Module { return new(Badge) }}
}

// Collect returns the answers, or the challenge that asks for them.
func (*Badge) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	number, word := in.Fields["number"], in.Fields["word"]
	if number == "" || word == "" {
		return realm.Credentials{}, &realm.Challenge{Message: "Show your badge.", Fields: []realm.Field{
			{Name: "number", Label: "Employee number", Type: "text", InputMode: "numeric", Required: true},
			{Name: "word", Label: "Magic word", Type: "password", Required: true},
		}}, nil
	}
	return realm.Credentials{Values: map[string]string{"number": number, "word": word}, ClientIP: in.ClientIP}, nil, nil
}

// MagicWord is a login module: it judges what was collected.
type MagicWord struct {
	// The word, usually as {env.NAME}.
	Word string `json:"word,omitempty"`
}

// CaddyModule names it, for "login_module magic_word".
func (MagicWord) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.magic_word", New: func() caddy.Module { return new(MagicWord) }}
}

// Provision resolves the word, which has to be there.
func (m *MagicWord) Provision(caddy.Context) (err error) {
	m.Word, err = caddy.NewReplacer().ReplaceOrErr(m.Word, true, true)
	return err
}

var employee = regexp.MustCompile(`^[0-9]{4,8}$`)

// Verify accepts employees who know the word. A refusal is a result; an error says that judging broke, and denies as well.
func (m *MagicWord) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	right := subtle.ConstantTimeCompare([]byte(c.Values["word"]), []byte(m.Word)) == 1
	if !right || m.Word == "" || !employee.MatchString(c.Values["number"]) {
		return realm.Result{Status: realm.Refused, Reason: "wrong_word"}, nil
	}
	number := c.Values["number"]
	return realm.Result{Status: realm.Accepted, Identity: realm.Identity{
		ExternalID: number, Name: "Employee " + number, AMR: []string{"kba"},
	}}, nil
}
