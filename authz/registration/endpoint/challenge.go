// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// challengePath is where challenges are asked for, below the registration endpoint. No instance is called so.
const challengePath = "challenge"

// all is the one key of [Config].Challenges.
const all = ""

// challenged is a challenge as it is told.
type challenged struct {
	Challenge string `json:"challenge"`
	ExpiresIn int    `json:"expires_in"`
}

// unasked is the answer to whoever asks for a challenge where none is set.
type unasked struct {
	Error       oauth.Code `json:"error"`
	Description string     `json:"error_description"`
}

// challenge sets one for whoever may register. Where nobody has to show anything it is not there.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request) {
	if !httpx.Allow(w, r, http.MethodPost) {
		return
	}
	if !h.reader.AsksAny() {
		httpx.NoStore(w)
		httpx.WriteJSON(w, http.StatusNotFound, unasked{oauth.InvalidRequest, "nobody has to show anything to register here"})
		return
	}
	r = h.by(r)
	drawn, err := h.set(r)
	if err != nil {
		h.refuse(w, r, audit.Event{Name: "client.challenge"}, err)
		return
	}
	httpx.NoStore(w)
	httpx.WriteJSON(w, http.StatusOK, challenged{drawn, int(registration.ChallengeTTL.Seconds())})
}

func (h *Handler) set(r *http.Request) (string, error) {
	if wait := h.Addresses.Take(limit.Address(httpx.CallerOf(r.Context()).ClientIP)).Wait; wait > 0 {
		return "", oauth.TooMany(wait)
	}
	if _, _, err := h.presented(r); err != nil {
		return "", err
	}
	if wait := h.Challenges.Take(all).Wait; wait > 0 {
		return "", oauth.TooMany(wait)
	}
	return h.Store.Challenge(r.Context())
}
