// SPDX-License-Identifier: Apache-2.0

package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Config is a user that is created at start when nobody has the login name yet. It never changes an existing user.
type Config struct {
	// The login name.
	Login string `json:"login"`
	// The password, usually as {env.NAME} or {file.PATH}.
	Password string `json:"password,omitempty"`
	// Attributes, such as name and email.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Parse reads a user and adds it:
//
//	user <login> {
//		password  <password>
//		attribute <name> <value>
//	}
func Parse(into *[]Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		var c Config
		if err := option.String(&c.Login)(d); err != nil {
			return err
		}
		err := option.Block{
			Options: map[string]option.Parse{"password": option.String(&c.Password), "attribute": option.Pair(&c.Attributes)},
			Repeat:  []string{"attribute"},
		}.Parse(d)
		*into = append(*into, c)
		return err
	}
}

// Seed creates the configured users whose login name nobody has. Of those it asks secret for the password, by the text in the
// configuration and the name of its owner.
func Seed(ctx context.Context, into *identity.Store, users []Config, secret func(text, of string) (string, error)) error {
	for _, u := range users {
		if err := seed(ctx, into, u, secret); err != nil {
			return fmt.Errorf("creating the user %q: %w", u.Login, err)
		}
	}
	return nil
}

func seed(ctx context.Context, into *identity.Store, u Config, secret func(text, of string) (string, error)) error {
	_, err := into.ByLogin(ctx, u.Login)
	if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	var password string
	if u.Password != "" {
		if password, err = secret(u.Password, "user "+u.Login); err != nil {
			return err
		}
	}
	profile := identity.Profile{Logins: []string{u.Login}, Attributes: u.Attributes}
	_, err = into.Add(ctx, identity.NewUser{Profile: profile, Password: password})
	if errors.Is(err, storage.ErrExists) {
		return nil // another node was faster
	}
	return err
}
