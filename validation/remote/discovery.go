// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// maxMetadata is how long an issuer's metadata may be.
const maxMetadata = 128 << 10

// metadata is what is read of an issuer's metadata (RFC 8414 2).
type metadata struct {
	Issuer  string `json:"issuer"`
	JWKSURI string `json:"jwks_uri"`
}

// discover fetches the metadata of an issuer, from where OpenID Connect Discovery puts it or, if there is nothing, from
// where RFC 8414 does. The issuer named in it must be the one asked for, character by character (RFC 8414 3.3): the keys of
// one must not come to speak for another.
func (c *client) discover(ctx context.Context, issuer string) (*metadata, error) {
	addresses, err := wellKnown(issuer)
	if err != nil {
		return nil, err
	}
	var body []byte
	for _, address := range addresses {
		var status statusError
		if body, _, err = c.get(ctx, address, maxMetadata); !errors.As(err, &status) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("discovering %q: %w", issuer, err)
	}
	var m metadata
	if err := jose.UnmarshalObject(body, &m); err != nil {
		return nil, fmt.Errorf("discovering %q: %w", issuer, err)
	}
	if m.Issuer != issuer {
		return nil, fmt.Errorf("discovering %q: the metadata is that of another issuer", issuer)
	}
	if err := checkAddress(m.JWKSURI, onLoopback(issuer)); err != nil {
		return nil, fmt.Errorf("discovering %q: the jwks_uri: %w", issuer, err)
	}
	return &m, nil
}

// wellKnown returns where the metadata of an issuer may be (OpenID Connect Discovery 4.1, RFC 8414 3.1).
func wellKnown(issuer string) ([]string, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("discovering %q: %w", issuer, err)
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	origin := u.Scheme + "://" + u.Host
	return []string{
		origin + path + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
	}, nil
}
