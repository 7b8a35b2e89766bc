// SPDX-License-Identifier: Apache-2.0

package ciba

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/notice"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Config is what a client is registered for at the backchannel authentication endpoint.
type Config struct {
	// How it learns the result: poll, ping or push.
	Mode string `json:"mode"`
	// Where it is told, by ping and push: https, or http on a loopback host that allow covers.
	Notify string `json:"notify,omitempty"`
	// The networks beside the public internet in which that may be.
	Allow []string `json:"allow,omitempty"`
	// The algorithm with which it signs every request. Default: it need not sign, and may with any key of its jwks_file.
	Signed string `json:"signed,omitempty"`
	// Whether each of its requests needs the code that the person has chosen for being asked. The attribute user_code_hash of a user
	// holds its hash.
	UserCode bool `json:"user_code,omitempty"`
	// Whether people type no number on the phone that the client shows them. Every request needs a binding_message then.
	NoNumber bool `json:"no_number,omitempty"`
	// Whether it is told that a user is not known or cannot be asked. Without it such a request waits until it expires.
	TellUnknown bool `json:"tell_unknown,omitempty"`
	// The issuers whose login_hint_token it may bring, with the files of their public keys (JWKS).
	HintIssuers map[string]string `json:"login_hint_issuers,omitempty"`
}

// Parse reads:
//
//	backchannel poll|ping|push {
//		notify            <url>
//		allow             <network...>
//		signed            <algorithm>
//		user_code
//		no_number
//		tell_unknown
//		login_hint_issuer <issuer> <jwks file>
//	}
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		if err := option.String(&c.Mode)(d); err != nil {
			return err
		}
		return option.Block{
			Options: map[string]option.Parse{
				"notify": option.String(&c.Notify), "allow": option.Strings(&c.Allow), "signed": option.String(&c.Signed),
				"user_code": option.Flag(&c.UserCode), "no_number": option.Flag(&c.NoNumber),
				"tell_unknown": option.Flag(&c.TellUnknown), "login_hint_issuer": option.Pair(&c.HintIssuers),
			},
			Repeat: []string{"login_hint_issuer"},
		}.Parse(d)
	}
}

// Terms returns what a client is registered for, with the keys of the files that read returns. Nil reads none, and is enough to find
// what contradicts itself.
func (c *Config) Terms(client *authz.Client, read func(path string) ([]byte, error)) (*terms.Terms, error) {
	t := &terms.Terms{
		Mode: terms.Mode(c.Mode), Endpoint: c.Notify, Signed: jose.Algorithm(c.Signed), NoNumber: c.NoNumber,
		TellUnknown: c.TellUnknown, UserCode: c.UserCode,
	}
	var err error
	if t.Allow, err = option.Networks("allow", c.Allow); err != nil {
		return nil, err
	}
	for issuer, path := range c.HintIssuers {
		if read == nil {
			continue
		}
		data, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("login_hint_issuer %q: %w", issuer, err)
		}
		if t.HintIssuers == nil {
			t.HintIssuers = map[string][]jose.PublicKey{}
		}
		if t.HintIssuers[issuer], err = jose.ParseSet(data); err != nil {
			return nil, fmt.Errorf("login_hint_issuer %q: %w", issuer, err)
		}
	}
	if err := t.Check(client.Auth == authz.AuthPrivateKeyJWT || read == nil); err != nil {
		return nil, err
	}
	if !t.Mode.Told() {
		return t, nil
	}
	_, err = notice.Receiver(t, func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errNoKey }, time.Now)
	return t, err
}

var errNoKey = errors.New("there is no key")
