// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// SeedUsers creates the configured users whose login name nobody has. Of those it asks secret for the password, by the text in
// the configuration and the name of its owner.
func SeedUsers(ctx context.Context, into *identity.Store, users []UserConfig, secret func(text, of string) (string, error)) error {
	for _, u := range users {
		if err := seedUser(ctx, into, u, secret); err != nil {
			return fmt.Errorf("creating the user %q: %w", u.Login, err)
		}
	}
	return nil
}

func seedUser(ctx context.Context, into *identity.Store, u UserConfig, secret func(text, of string) (string, error)) error {
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
