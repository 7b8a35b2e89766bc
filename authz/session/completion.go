// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// NewCompletion returns what ends a request whose every requirement a session meets at now, and the code for its client; false when
// it does not, or when no proof determines the user. Only what the request counts enters the tokens, so that auth_time is never
// older than max_age allows.
func NewCompletion(
	engine *realm.Engine, request *authz.Request, client *authz.Client, session *authz.Session, now time.Time,
) (code string, c authz.Completion, ok bool) {
	if _, missing := request.Missing(engine, *session, now); missing {
		return "", authz.Completion{}, false
	}
	authn, ok := engine.Authenticate(request.ACRValues, request.Proofs(*session), now)
	if !ok {
		return "", authz.Completion{}, false
	}
	c.Grant = authz.NewGrant(now, lifetime(client, session, now))
	c.Grant.ClientID, c.Grant.Subject, c.Grant.SessionID = request.ClientID, authn.Subject, session.ID
	c.Grant.Scopes, c.Grant.Details, c.Grant.Authn = request.Scopes, request.Details, authn
	c.Grant.Offline = request.Scopes.Has(oauth.ScopeOfflineAccess)
	code, c.Code = authz.NewCode(now)
	c.Code.ClientID, c.Code.RedirectURI, c.Code.GrantID = request.ClientID, request.RedirectURI, c.Grant.ID
	c.Code.Challenge, c.Code.Nonce, c.Code.Key = request.Challenge, request.Nonce, request.Key
	return code, c, true
}

// lifetime covers every token that can come from a grant: a code redeemed at the last moment, refreshed to the last moment,
// and an access token from then. The grant of a protected site lives in the session.
func lifetime(client *authz.Client, session *authz.Session, now time.Time) time.Duration {
	life := authz.CodeTTL + client.AccessTTL
	if client.May(authz.GrantRefreshToken) {
		life += client.RefreshTTL
	}
	if client.Site {
		life = max(life, session.ExpiresAt.Sub(now))
	}
	return life
}
