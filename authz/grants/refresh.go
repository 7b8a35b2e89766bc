// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// refreshToken renews tokens (RFC 6749 6).
var refreshToken = grantType{
	name:   authz.GrantRefreshToken,
	scope:  withinClient,
	settle: refresh,
}

// refresh rotates the token. The new ID token has no nonce (OpenID Connect Core 12.2), and asking for less leaves the grant
// as it is.
func refresh(ctx context.Context, h *Handler, c *call) (issue, error) {
	token := c.params.Get("refresh_token")
	if token == "" {
		return issue{}, oauth.NewError(oauth.InvalidRequest, "refresh_token is missing")
	}
	event := h.Trail.Prepare(c.event(ctx, "grant.revoked"))
	event.Reason = "refresh_token_reused"
	var details oauth.Details
	var exceeding error
	result, err := h.Store.Refresh(ctx, authz.Renewal{
		Token: token, ClientID: c.client.ID, Key: c.key, Certificate: c.certificate, Scopes: c.scopes, Grace: h.Grace, Applications: h.Applications,
		Fits: func(grant *authz.Grant) bool {
			details, exceeding = h.details(c, grant)
			return exceeding == nil
		},
		Within: func(tx storage.Tx, result authz.RefreshResult) error {
			if len(result.Revocations) == 0 {
				return nil
			}
			return h.Trail.Append(tx, about(event, result.Grant))
		},
	})
	if err != nil {
		return issue{}, authz.Failure(fmt.Errorf("refreshing: %w", err))
	}
	h.Revoke(result.Revocations...)
	if len(result.Revocations) > 0 {
		h.Trail.Log(ctx, about(event, result.Grant))
	}
	if result.Outcome == authz.RefreshExceeds && exceeding != nil {
		return issue{}, exceeding
	}
	if err := refreshError(result.Outcome); err != nil {
		return issue{}, err
	}
	// Which family was used when is in its record: an item for each refresh would fill the store with nothing else.
	h.Trail.Log(ctx, about(c.event(ctx, "token.issued"), result.Grant))
	scopes := c.scopes
	if len(scopes) == 0 {
		scopes = c.allowed(result.Grant.Scopes)
	}
	return issue{scopes: scopes, details: details, grant: &result.Grant, refresh: result.Family.Token()}, nil
}

func about(e audit.Event, grant authz.Grant) audit.Event {
	e.Subject, e.GrantID, e.SessionID = grant.Subject, grant.ID, grant.SessionID
	return e
}

// refreshError is the table from outcomes to errors.
func refreshError(outcome authz.RefreshOutcome) error {
	switch outcome {
	case authz.Rotated, authz.Repeated:
		return nil
	case authz.RefreshExceeds:
		return oauth.NewError(oauth.InvalidScope, "the scope goes beyond what was granted")
	case authz.RefreshBarred:
		return barred()
	case authz.RefreshUnknown, authz.RefreshUnproven, authz.RefreshRevoked, authz.RefreshReused:
		return oauth.NewError(oauth.InvalidGrant, "the refresh token is not valid").
			WithCause(fmt.Errorf("refreshing: %s", outcome))
	}
	return oauth.Internal(fmt.Errorf("refreshing: unknown outcome %q", outcome))
}
