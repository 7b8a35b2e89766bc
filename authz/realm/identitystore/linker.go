// SPDX-License-Identifier: Apache-2.0

package identitystore

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

// Links is what a [Linker] needs of the identity store.
type Links interface {
	Link(ctx context.Context, ref string, attributes map[string]string) (identity.User, error)
}

// Linker makes people who are known elsewhere users of the issuer: at their first login they are added, without a password, and
// at each login their attributes are brought up to date. So they can be locked, listed and given devices like all others.
type Linker struct {
	Users Links
}

// escaper keeps a colon in the name of a population from being taken for the end of it.
var escaper = strings.NewReplacer("%", "%25", ":", "%3A")

// Link returns the user whose external reference is the name of the population, a colon and the identity's external id; or
// [realm.ErrLocked] when he may not log in.
func (l *Linker) Link(ctx context.Context, users string, who realm.Identity) (string, error) {
	attributes := maps.Clone(who.Attributes)
	if who.Name != "" && attributes["name"] == "" {
		if attributes == nil {
			attributes = map[string]string{}
		}
		attributes["name"] = who.Name
	}
	user, err := l.Users.Link(ctx, escaper.Replace(users)+":"+who.ExternalID, attributes)
	if err != nil {
		return "", fmt.Errorf("linking a user of %q: %w", users, err)
	}
	if user.Status != identity.Active {
		return user.ID, realm.ErrLocked
	}
	return user.ID, nil
}
