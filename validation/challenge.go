// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"net/http"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Challenge is the value of a WWW-Authenticate header. Realm and ResourceMetadata are the caller's to fill.
type Challenge = oauth.WWWAuthenticate

// ChallengeFor returns the challenge that goes with a refusal: its error, and the scopes (RFC 6750 3), levels and age (RFC
// 9470 3) that would be enough. For a request without credentials, where err is nil, it has no error (RFC 6750 3.1), and
// neither has it for a refusal that is not about the token.
func ChallengeFor(err error) Challenge {
	c := Challenge{Scheme: oauth.Bearer}
	if err == nil {
		return c
	}
	e := oauth.AsError(err)
	switch e.Code {
	case oauth.InvalidRequest, oauth.InvalidToken, oauth.InvalidDPoPProof, oauth.UseDPoPNonce, oauth.InsufficientScope, oauth.InsufficientUserAuth, oauth.InsufficientDetails:
		c.Error, c.Description = e.Code, e.Description
	}
	if e.Demand != nil {
		c.Scopes, c.DetailTypes, c.ACRValues = e.Demand.Scopes, e.Demand.DetailTypes, e.Demand.ACRValues
		c.MaxAge, c.HasMaxAge = e.Demand.MaxAge, e.Demand.HasMaxAge
	}
	return c
}

// refuse answers a refused request: status, challenge and the error as JSON. It never carries the private cause.
func (o *Options) refuse(w http.ResponseWriter, r *http.Request, err error) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	status, body := http.StatusUnauthorized, []byte(nil)
	if err != nil {
		e := oauth.AsError(err)
		httpx.Announce(header, e)
		status = e.HTTPStatus()
		// A code and a text of ours always encode.
		body, _ = json.Marshal(struct {
			Error       oauth.Code `json:"error"`
			Description string     `json:"error_description,omitempty"`
		}{e.Code, e.Description})
		header.Set("Content-Type", "application/json")
		header.Set("X-Content-Type-Options", "nosniff")
	}
	if status < http.StatusInternalServerError && status != http.StatusTooManyRequests {
		header["Www-Authenticate"] = o.DPoP.Challenges(r, err, Challenge{Realm: o.Realm, ResourceMetadata: o.ResourceMetadata})
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // nobody is left to tell
}
