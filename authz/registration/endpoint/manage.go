// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Manage is the client configuration endpoint of every instance, below the path of the registration endpoint. A wrong token, and a
// client that there is not, are one answer: 401 (RFC 7592 2.1).
func (h *Handler) Manage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == h.prefix+challengePath {
		h.challenge(w, r)
		return
	}
	if !httpx.Allow(w, r, http.MethodGet, http.MethodPut, http.MethodDelete) {
		return
	}
	r = h.by(r)
	id := strings.TrimPrefix(r.URL.Path, h.prefix)
	token, err := bearer(r)
	if err != nil {
		err = refused(err)
	}
	event := audit.Event{Name: "client.read"}
	var answer *information
	if err == nil {
		switch r.Method {
		case http.MethodGet:
			answer, err = h.show(r, id, token)
		case http.MethodPut:
			event.Name = "client.update"
			answer, err = h.update(r, id, token)
		case http.MethodDelete:
			event.Name = "client.delete"
			err = h.Store.Delete(r.Context(), id, token)
		}
	}
	if err != nil {
		h.refuse(w, r, event, err)
		return
	}
	httpx.NoStore(w)
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	httpx.WriteJSON(w, http.StatusOK, answer)
}

// show answers with what is registered (RFC 7592 2.1). The token is the one that was presented: only its hash is kept.
func (h *Handler) show(r *http.Request, id, token string) (*information, error) {
	i, err := h.Store.Open(r.Context(), id, token)
	if err != nil {
		return nil, err
	}
	answer := h.inform(&i, token)
	return &answer, nil
}

// update replaces what is registered, and the registration access token with it (RFC 7592 2.2).
func (h *Handler) update(r *http.Request, id, token string) (*information, error) {
	ctx := r.Context()
	i, err := h.Store.Open(ctx, id, token)
	if err != nil {
		return nil, err
	}
	if wait := h.Addresses.Take(limit.Address(httpx.CallerOf(ctx).ClientIP)).Wait; wait > 0 {
		return nil, oauth.TooMany(wait)
	}
	if wait := h.Updates.Take(i.ID).Wait; wait > 0 { // each is kept in the trail
		return nil, oauth.TooMany(wait)
	}
	body, err := httpx.JSON(r, metadata.MaxBody)
	if err != nil {
		return nil, err
	}
	told, err := h.reader.ParseUpdate(body, id, i.Authority)
	if err != nil {
		return nil, err
	}
	settled, err := h.reader.Settle(told, i.Application())
	if err != nil {
		return nil, err
	}
	i, token, err = h.Store.Update(ctx, id, token, settled)
	if err != nil {
		return nil, err
	}
	answer := h.inform(&i, token)
	return &answer, nil
}
