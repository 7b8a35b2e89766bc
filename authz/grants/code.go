// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// authorizationCode redeems a code (RFC 6749 4.1.3). The scopes are those of the code; a scope parameter means nothing here
// and is ignored like every other unknown one.
var authorizationCode = grantType{
	name:   authz.GrantAuthorizationCode,
	scope:  func(*call) error { return nil },
	settle: redeem,
}

// redeem spends the code. Everything that can be wrong with it is judged in the transaction, in which a wrong presentation
// is counted too; a missing redirect_uri or code_verifier is a wrong one.
func redeem(ctx context.Context, h *Handler, c *call) (issue, error) {
	code := c.params.Get("code")
	if code == "" {
		return issue{}, oauth.NewError(oauth.InvalidRequest, "code is missing")
	}
	in := authz.Redemption{
		Code: code, ClientID: c.client.ID, RedirectURI: c.params.Get("redirect_uri"), Verifier: c.params.Get("code_verifier"), Key: c.key,
		Applications: h.Applications,
	}
	if c.client.May(authz.GrantRefreshToken) {
		family := authz.NewFamily(h.Store.Now(), c.client.RefreshTTL, c.client.RefreshIdleTTL)
		family.Key, family.Certificate = c.boundTo()
		in.Family = &family
	}
	var share authz.Handle
	if c.client.Native {
		var record authz.AuthSession
		record, share = authz.NewAuthSession(c.client.ID, time.Time{})
		record.Key = c.key
		in.AuthSession = &record
	}
	var details oauth.Details
	var exceeding error
	in.Fits = func(grant *authz.Grant) bool {
		details, exceeding = h.details(c, grant)
		return exceeding == nil
	}
	event := h.Trail.Prepare(c.event(ctx, "token.issued"))
	in.Within = func(tx storage.Tx, result authz.RedeemResult) error {
		if e, ok := redeemEvent(event, result); ok {
			return h.Trail.Append(tx, e)
		}
		return nil
	}
	result, err := h.Store.Redeem(ctx, in)
	if err != nil {
		return issue{}, authz.Failure(fmt.Errorf("redeeming a code: %w", err))
	}
	h.Revoke(result.Revocations...)
	if e, ok := redeemEvent(event, result); ok {
		h.Trail.Log(ctx, e)
	}
	if result.Outcome == authz.RedeemExceeds {
		return issue{}, exceeding
	}
	if err := redeemError(result.Outcome); err != nil {
		return issue{}, err
	}
	settled := issue{scopes: c.allowed(result.Grant.Scopes), details: details, grant: &result.Grant, nonce: result.Code.Nonce}
	if in.Family != nil {
		settled.refresh = in.Family.Token()
	}
	if result.Shared {
		settled.authSession = share.String()
	}
	return settled, nil
}

// boundTo is the key, and the certificate, that a refresh token is bound to. That of a client which authenticates is bound to the client
// already, whose keys and certificates may change (RFC 9449 5, RFC 8705 4).
func (c *call) boundTo() (key, certificate string) {
	if c.client.Confidential() {
		return "", ""
	}
	return c.key, c.certificate
}

// redeemEvent returns what the audit trail keeps: that tokens were issued, or that a replay has revoked them. A stranger
// can cause the other outcomes as often as he likes.
func redeemEvent(e audit.Event, result authz.RedeemResult) (audit.Event, bool) {
	switch {
	case result.Outcome == authz.Redeemed:
		e.Subject, e.GrantID, e.SessionID = result.Grant.Subject, result.Grant.ID, result.Grant.SessionID
	case len(result.Revocations) > 0:
		e.Name, e.Outcome, e.Reason = "grant.revoked", audit.Accepted, "code_replayed"
		e.GrantID = result.Revocations[0].Target
	default:
		return e, false
	}
	return e, true
}

// redeemError is the table from outcomes to errors. The caller hears the same for all of them.
func redeemError(outcome authz.RedeemOutcome) error {
	switch outcome {
	case authz.Redeemed:
		return nil
	case authz.RedeemBarred:
		return barred()
	case authz.RedeemUnknown, authz.RedeemMismatch, authz.RedeemReplayed, authz.RedeemRevoked:
		return oauth.NewError(oauth.InvalidGrant, "the authorization code is not valid").
			WithCause(fmt.Errorf("redeeming a code: %s", outcome))
	}
	return oauth.Internal(fmt.Errorf("redeeming a code: unknown outcome %q", outcome))
}
