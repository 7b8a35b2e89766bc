// SPDX-License-Identifier: Apache-2.0

package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/places"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// PathNews is where the script of a page that waits asks whether there is news. It holds the request until there is.
const PathNews = authz.PathLogin + "/news"

// hold is how long a request for news is held: shorter than proxies and phones let a connection be quiet.
const hold = 25 * time.Second

// How many pages wait for news at once: in all, at one address, and of one request, which may be open in two tabs. Whoever is one too
// many takes the place of another; see package places. A page whose place was taken asks again a little later.
const (
	mostWaits     = 4096
	mostOfAddress = 64
	mostOfRequest = 2
)

// fieldSince says what the page shows already.
const fieldSince = "since"

// retryNews is when to ask again after the place was taken or the store failed, in seconds.
const retryNews = "5"

// news is the answer to a page that waits. It says nothing about what the news is: the page is fetched anew, and looks.
type news struct {
	Changed bool `json:"changed"`
}

// news holds a request until the page that sent it would look different.
func (h *Handler) news(w http.ResponseWriter, r *http.Request) {
	httpx.NoStore(w)
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	changed, err := h.changed(r)
	switch {
	case r.Context().Err() != nil: // nobody is there any more
	case errors.Is(err, places.ErrTaken): // which anybody can bring about as often as they like
		w.Header().Set("Retry-After", retryNews)
		httpx.WriteJSON(w, http.StatusServiceUnavailable, news{})
	case err != nil:
		h.Logger.LogAttrs(r.Context(), slog.LevelWarn, "waiting for news of a login", slog.Any("error", err),
			slog.String("request_id", httpx.CallerOf(r.Context()).RequestID))
		w.Header().Set("Retry-After", retryNews)
		httpx.WriteJSON(w, http.StatusServiceUnavailable, news{})
	default:
		httpx.WriteJSON(w, http.StatusOK, news{Changed: changed})
	}
}

// changed waits for news. Of a request that is gone, or not this browser's, there is news: the page says what.
func (h *Handler) changed(r *http.Request) (bool, error) {
	params, err := session.Params(r)
	if err != nil {
		return true, nil
	}
	v, err := h.find(r, params.Get(session.FieldRequest))
	var refused *session.Refusal
	switch {
	case authz.Gone(err), errors.As(err, &refused):
		return true, nil
	case err != nil:
		return false, err
	case !v.pending:
		return true, nil
	}
	wait, leave := h.waits.Take(r.Context(), v.request.ID, attempt.Address(r))
	defer leave()
	changed, err := h.Judge.Watch(r.WithContext(wait), h.attempt(r, &v), params.Get(fieldSince), hold)
	if cause := context.Cause(wait); err != nil && cause != nil {
		return false, cause
	}
	return changed, err
}

// withdraw takes back what the realm has begun elsewhere for a request that is given up. Where that fails it ends by itself.
func (h *Handler) withdraw(r *http.Request, v *visit) {
	if err := h.Judge.Withdraw(r, h.attempt(r, v)); err != nil {
		h.Logger.LogAttrs(r.Context(), slog.LevelWarn, "taking back what a login has begun", slog.Any("error", err),
			slog.String("realm", v.missing.Realm), slog.String("request_id", httpx.CallerOf(r.Context()).RequestID))
	}
}

// waitStates are the states of the page by stage.
var waitStates = map[realm.Stage]web.WaitState{
	realm.StageAsked: web.WaitAsked, realm.StageScan: web.WaitScan, realm.StageCode: web.WaitCode, realm.StageDenied: web.WaitDenied,
	realm.StageNotMe: web.WaitNotMe, realm.StageExpired: web.WaitExpired, realm.StageFailed: web.WaitFailed,
	realm.StageCancelled: web.WaitCancelled, realm.StageImpossible: web.WaitImpossible, realm.StageOther: web.WaitOther,
	realm.StageName: web.WaitImpossible,
}

// waiting shows a challenge that is answered elsewhere.
func (h *Handler) waiting(w http.ResponseWriter, r *http.Request, v *visit, c *realm.Challenge, n notice) {
	page := web.WaitPage{
		Locale: v.request.UILocales, State: waitStates[c.Wait.Stage], Action: h.base + authz.PathLogin, Hidden: h.hidden(v),
		Number: c.Wait.Number, QR: c.Wait.Scan, To: c.Wait.To, Expires: c.Wait.Until, Refresh: c.Wait.Every,
		RetryAfter: n.after, Choices: choices(c), Notice: told(c, n),
	}
	self := url.Values{session.FieldRequest: {v.request.ID}}
	page.SelfURL = h.base + authz.PathLogin + "?" + self.Encode()
	self.Set(fieldSince, c.Wait.Since)
	page.WatchURL = h.base + PathNews + "?" + self.Encode()
	page.Client, page.Cancel, page.FormTargets, page.User = v.parties()
	hidden, fields, err := show(c, nil) // a code that was wrong is not typed again
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	page.Hidden, page.Fields = append(page.Hidden, hidden...), fields
	if page.Message, page.Kind = h.message(v, c, n); n.message == "" {
		page.Message, page.Kind = said(c, n)
	}
	h.Pages.Render(w, r, n.status, page)
}

// said is what a page says beside what its state does.
func said(c *realm.Challenge, n notice) (string, web.Kind) {
	switch {
	case c.Message == stageText[c.Wait.Stage]:
		return "", ""
	case c.Wait.Stage.Open():
		return c.Message, n.kind
	}
	return c.Message, web.KindError
}

// stageText is what an app is told at a stage. A page says it in its own place.
var stageText = map[realm.Stage]string{
	realm.StageAsked: "wait.text.asked", realm.StageScan: "wait.text.scan", realm.StageCode: "wait.text.code",
}

// choices are the buttons of what else can be done.
func choices(c *realm.Challenge) []web.Choice {
	var all []web.Choice
	for _, a := range c.Actions {
		all = append(all, web.Choice(a))
	}
	return all
}
