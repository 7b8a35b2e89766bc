// SPDX-License-Identifier: Apache-2.0

package login

import (
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/attempt"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// attributeLogin is the attribute under which a proof tells the login name that was used.
const attributeLogin = "login"

// notice is what the page says about an attempt that led nowhere.
type notice struct {
	status  int
	message string
	after   time.Duration
	// fields are the answers given; those that are no secrets are shown again.
	fields map[string]string
	// kind is how a message of the realm's own is meant.
	kind web.Kind
	// besides is what the judgement came with.
	besides *realm.Notice
}

// round runs one round of the missing realm: the first when no answers were sent, else one that judges them.
func (h *Handler) round(w http.ResponseWriter, r *http.Request, v *visit, fields map[string]string) {
	outcome, err := h.Judge.Try(r, h.attempt(r, v), fields)
	switch {
	case err != nil:
		h.pages.Refuse(w, r, err)
	case outcome.Challenge != nil:
		asked := notice{status: http.StatusOK, kind: web.KindInfo}
		if fields != nil && !outcome.Challenge.Further {
			asked.kind = web.KindError // there were answers, and they were not good
		}
		h.challenge(w, r, v, outcome.Challenge, asked)
	case outcome.Result.Status == realm.Accepted:
		h.accept(w, r, v, outcome)
	default:
		h.again(w, r, v, refusal(outcome, fields))
	}
}

// refusal is what the page says about a judgement other than an acceptance.
func refusal(outcome attempt.Outcome, fields map[string]string) notice {
	told := notice{
		status: http.StatusForbidden, message: web.MessageRefused, fields: fields, after: outcome.Result.RetryAfter,
		besides: outcome.Result.Notice,
	}
	switch {
	case outcome.Result.Status == realm.Throttled:
		told.status, told.message = http.StatusTooManyRequests, web.MessageThrottled
	case outcome.Result.Status == realm.Busy:
		told.status, told.message = http.StatusServiceUnavailable, web.MessageBusy
	case outcome.Another:
		told.message = web.MessageAnotherUser
	}
	return told
}

// attempt is what is known when an attempt is made. It is the same one as long as the visit lasts.
func (h *Handler) attempt(r *http.Request, v *visit) *attempt.Visit {
	if v.attempt == nil {
		v.attempt = &attempt.Visit{
			Request: v.request, Session: v.session, Realm: v.missing.Realm, Expected: v.expected, Hint: v.hint(),
			Locale: h.Pages.Locale(v.request.UILocales, r.Header.Get("Accept-Language")),
		}
		if v.client != nil {
			v.attempt.ClientName = v.client.DisplayName()
		}
	}
	return v.attempt
}

// accept puts the proof into the session, or keeps it with the request while there is none.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request, v *visit, outcome attempt.Outcome) {
	var err error
	outcome.Proof.Cutoffs = v.began.Cutoffs
	if outcome.Early {
		_, err = h.Store.ProveRequest(r.Context(), v.request.ID, outcome.Proof, outcome.Within)
	} else {
		login := session.Login{Proof: outcome.Proof, Earlier: v.request.Proven, Began: v.began, Within: outcome.Within}
		v.session, err = h.Sessions.Establish(w, r, login)
	}
	if err != nil {
		h.void(w, r, v, outcome, err)
		return
	}
	h.Judge.Counted(r, h.attempt(r, v), outcome)
	h.onward(w, r, v, outcome.Result.Notice)
}

// onward goes on after an acceptance. Whoever is told something with it reads that first. Nobody reads it twice: what was proven is
// not asked again, so a page that is loaded again leads on by itself.
func (h *Handler) onward(w http.ResponseWriter, r *http.Request, v *visit, told *realm.Notice) {
	if told == nil {
		h.proceed(w, v, session.FieldStep, session.StepContinue)
		return
	}
	h.Pages.Render(w, r, http.StatusOK, web.ToldPage{
		Locale: v.request.UILocales, Notice: web.Notice{Text: told.Text, URL: told.URL},
		ContinueURL: h.Sessions.Way(authz.PathAuthorize, v.back(session.FieldStep, session.StepContinue)),
	})
}

// void refuses what was accepted a moment ago: since then the user was revoked, or the session has ended for which he was proving more.
// Whoever it is begins anew, and is judged as things are now.
func (h *Handler) void(w http.ResponseWriter, r *http.Request, v *visit, accepted attempt.Outcome, cause error) {
	if err := h.Judge.Void(r, h.attempt(r, v), accepted, cause); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.Sessions.Lead(w, authz.PathLogin, url.Values{session.FieldRequest: {v.request.ID}})
}

// again shows the realm's form once more. It asks the realm for it, without answers; a realm that has no form gets a page
// with nothing but a button.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, v *visit, n notice) {
	challenge, err := h.Judge.Ask(r, h.attempt(r, v))
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	if challenge == nil {
		challenge = &realm.Challenge{}
	}
	h.challenge(w, r, v, challenge, n)
}

// hint is what the form's user name is prefilled with: the application's suggestion, or who is signed in. Somebody who is
// to choose an account begins with an empty form.
func (v *visit) hint() string {
	if v.request.LoginHint != "" || v.request.Prompt.SelectAccount {
		return v.request.LoginHint
	}
	if v.request.Subject != "" && v.request.Subject != v.session.Subject {
		return ""
	}
	return v.session.Proofs[v.missing.Realm].Attributes[attributeLogin]
}
