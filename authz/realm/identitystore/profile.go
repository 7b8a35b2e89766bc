// SPDX-License-Identifier: Apache-2.0

package identitystore

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Claims of OpenID Connect Core 5.1 by what their values are. Attributes of the same name hold them.
var (
	textClaims = []string{
		"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "email", "phone_number",
	}
	boolClaims = []string{"email_verified", "phone_number_verified"}
	// addressClaims are the members of address (5.1.1); their attributes begin with "address.".
	addressClaims = []string{"formatted", "street_address", "locality", "region", "postal_code", "country"}
)

// Profiles tells what the issuer knows about its users.
type Profiles struct {
	Users Users
}

// Profile returns the claims about a user, or [storage.ErrNotFound] for one who does not exist or may not log in. Of an
// anonymous subject there is nothing to say. A claim without a value is left out, never null or empty (OpenID Connect Core
// 5.3.2). Which of them a client may see is for the caller to decide.
func (p *Profiles) Profile(ctx context.Context, subject string) (map[string]any, error) {
	if realm.Anonymous(subject) {
		return map[string]any{}, nil
	}
	user, err := p.Users.Get(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("reading a profile: %w", err)
	}
	if user.Status != identity.Active {
		return nil, fmt.Errorf("reading a profile: %w", storage.ErrNotFound)
	}
	return claims(&user), nil
}

func claims(user *identity.User) map[string]any {
	all := map[string]any{}
	for _, name := range textClaims {
		if value := user.Attributes[name]; value != "" {
			all[name] = value
		}
	}
	for _, name := range boolClaims {
		// Whatever is not plainly true has not been verified, and what is not there has not been said.
		if value, ok := user.Attributes[name]; ok {
			all[name] = value == "true"
		}
	}
	if members := address(user); len(members) > 0 {
		all["address"] = members
	}
	if name := fullName(user); name != "" {
		all["name"] = name
	}
	if _, ok := all["preferred_username"]; !ok && len(user.Logins) > 0 {
		all["preferred_username"] = user.Logins[0]
	}
	if !user.UpdatedAt.IsZero() {
		all["updated_at"] = user.UpdatedAt.Unix()
	}
	return all
}

func address(user *identity.User) map[string]any {
	members := map[string]any{}
	for _, name := range addressClaims {
		if value := user.Attributes["address."+name]; value != "" {
			members[name] = value
		}
	}
	if value := user.Attributes["address"]; value != "" && members["formatted"] == nil {
		members["formatted"] = value
	}
	return members
}

func fullName(user *identity.User) string {
	if name := user.Attributes["name"]; name != "" {
		return name
	}
	return strings.TrimSpace(user.Attributes["given_name"] + " " + user.Attributes["family_name"])
}

// DisplayName returns what pages call a user: the name, else the first login name.
func DisplayName(user *identity.User) string {
	if name := fullName(user); name != "" {
		return name
	}
	if len(user.Logins) > 0 {
		return user.Logins[0]
	}
	return user.ID
}
