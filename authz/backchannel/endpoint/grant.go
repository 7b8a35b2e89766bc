// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Grant is what the token endpoint fetches results from.
type Grant struct{ Store *backchannel.Store }

// Redeem returns the grant of a request that the person has approved, and the refresh token that comes with it. The errors are
// *[oauth.Error] by section 11.
func (g Grant) Redeem(ctx context.Context, client *authz.Client, authReqID string) (authz.Grant, string, error) {
	fetched, err := g.Store.Redeem(ctx, client, authReqID)
	if err != nil {
		return authz.Grant{}, "", authz.Failure(err)
	}
	return fetched.Grant, fetched.Refresh, errorOf(fetched.Outcome)
}

// errorOf is the table from outcomes to errors.
func errorOf(outcome backchannel.Outcome) error {
	refused := func(code oauth.Code, description string) error {
		e := oauth.NewError(code, description)
		e.Status = http.StatusBadRequest // access_denied too, at this endpoint
		return e
	}
	switch outcome {
	case backchannel.Granted:
		return nil
	case backchannel.Pending:
		return refused(oauth.AuthorizationPending, "nobody has answered yet")
	case backchannel.TooFast:
		return refused(oauth.SlowDown, "the polls come too fast: wait 5 seconds longer between them from now on")
	case backchannel.TooOften:
		return refused(oauth.InvalidRequest, "the polls came too fast too often: the request has ended")
	case backchannel.Refused:
		return refused(oauth.AccessDenied, "the user did not agree")
	case backchannel.Broken:
		return refused(oauth.AccessDenied, "the user could not agree")
	case backchannel.TooLate:
		return refused(oauth.ExpiredToken, "the request has expired")
	case backchannel.Pushed:
		return refused(oauth.UnauthorizedClient, "the tokens are sent to the client: it may not fetch them")
	case backchannel.Unknown, backchannel.Spent:
		return oauth.NewError(oauth.InvalidGrant, "auth_req_id is not valid").WithCause(fmt.Errorf("fetching: %s", outcome))
	}
	return oauth.Internal(fmt.Errorf("fetching: unknown outcome %q", outcome))
}
