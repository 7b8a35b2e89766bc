// SPDX-License-Identifier: Apache-2.0

package former

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// Records are the certificates of devices. A [provisioning.Store] has them.
type Records interface {
	List(ctx context.Context, installation, after string, limit int) ([]provisioning.Certificate, error)
	Revoke(ctx context.Context, installation string) (fresh bool, err error)
}

// page is how many certificates are read at once.
const page = 200

// Moved returns the installations that have come with a certificate of an authority and are not revoked, in no order. They have certificates
// of another authority by now, and are as good as the one that they came with: whoever has the key of that one may have made up any of
// them. It looks at every certificate that there is.
func Moved(ctx context.Context, records Records, authority string) ([]string, error) {
	var moved []string
	seen := map[string]bool{}
	for after, more := "", true; more; {
		some, err := records.List(ctx, "", after, page)
		if err != nil {
			return nil, fmt.Errorf("finding who has come with a certificate of the authority %q: %w", authority, err)
		}
		for i := range some {
			c := &some[i]
			after = c.ID
			revoked := !c.RevokedAt.IsZero() && !c.AuthorityRevoked
			if authority != "" && c.Attributes[AttributeAuthority] == authority && !revoked && !seen[c.Installation] {
				seen[c.Installation] = true
				moved = append(moved, c.Installation)
			}
		}
		more = len(some) == page
	}
	return moved, nil
}

// RevokeMoved takes out the installations that have come with a certificate of an authority, each in a transaction of its own, and returns how
// many it has. It comes after [provisioning.Store.RevokeAuthority], from when on no more of them come. Whoever was interrupted calls it again.
func RevokeMoved(ctx context.Context, records Records, authority string) (revoked int, err error) {
	moved, err := Moved(ctx, records, authority)
	for _, installation := range moved {
		if _, err := records.Revoke(ctx, installation); err != nil {
			return revoked, fmt.Errorf("revoking who has come with a certificate of the authority %q: %w", authority, err)
		}
		revoked++
	}
	return revoked, err
}
