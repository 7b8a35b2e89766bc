// SPDX-License-Identifier: Apache-2.0

package login

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// eventAttempt is the audit event of an attempt.
const eventAttempt = "login.attempt"

// reasonAnotherUser is the reason of a refusal for credentials that were good, but somebody else's.
const reasonAnotherUser = "another_user"

// reasonOvertaken is the reason of a refusal for somebody who was revoked while logging in.
const reasonOvertaken = "revoked_meanwhile"

// attributeLogin is the attribute under which a proof tells the login name that was used.
const attributeLogin = "login"

// reasonManyRefused is the reason why an attempt is not judged when its address was refused too often.
const reasonManyRefused = "too_many_refused"

// outcomeError stands for an attempt that could not be judged.
const outcomeError = "error"

// notice is what the page says about an attempt that led nowhere.
type notice struct {
	status  int
	message string
	after   time.Duration
	// fields are the answers given; those that are no secrets are shown again.
	fields map[string]string
	// kind is how a message of the realm's own is meant.
	kind web.Kind
}

// round runs one round of the missing realm: the first when no answers were sent, else one that judges them.
func (h *Handler) round(w http.ResponseWriter, r *http.Request, v *visit, fields map[string]string) {
	if wait := h.Limiter.Wait(address(r)); wait > 0 && fields != nil {
		h.judge(w, r, v, realm.Result{Status: realm.Throttled, Reason: reasonManyRefused, RetryAfter: wait}, fields)
		return
	}
	attempt, err := h.Engine.Try(r.Context(), v.missing.Realm, h.input(r, v, fields))
	if err != nil {
		h.Observe(v.missing.Realm, outcomeError)
		h.pages.Refuse(w, r, errors.Join(err, h.record(r, v, realm.Result{Reason: outcomeError})))
		return
	}
	if attempt.Challenge != nil {
		asked := notice{status: http.StatusOK, kind: web.KindInfo}
		if fields != nil {
			asked.kind = web.KindError // there were answers, and they were not enough
		}
		h.challenge(w, r, v, attempt.Challenge, asked)
		return
	}
	h.judge(w, r, v, attempt.Result, fields)
}

// judge acts on a judgement.
func (h *Handler) judge(w http.ResponseWriter, r *http.Request, v *visit, result realm.Result, fields map[string]string) {
	told := notice{fields: fields, after: result.RetryAfter}
	switch result.Status {
	case realm.Accepted:
		if !v.fits(result.Identity) {
			result.Status, result.Reason, result.Account = realm.Refused, reasonAnotherUser, result.Identity.Subject
			told.status, told.message = http.StatusForbidden, web.MessageAnotherUser
			break
		}
		h.accept(w, r, v, result)
		return
	case realm.Throttled:
		told.status, told.message = http.StatusTooManyRequests, web.MessageThrottled
	case realm.Busy:
		told.status, told.message = http.StatusServiceUnavailable, web.MessageBusy
	case realm.Refused:
		told.status, told.message = http.StatusForbidden, web.MessageRefused
	default: // a guest that says nothing we know has not said yes
		result.Status = realm.Refused
		told.status, told.message = http.StatusForbidden, web.MessageRefused
	}
	h.Observe(v.missing.Realm, string(result.Status))
	if result.Status == realm.Refused {
		h.Limiter.Count(address(r))
	}
	if err := h.record(r, v, result); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.again(w, r, v, told)
}

// address is what refused attempts are counted by.
func address(r *http.Request) string { return limit.Address(httpx.CallerOf(r.Context()).ClientIP) }

// accept puts the proof into the session. The trail comes first: a login that nobody could find afterwards does not happen.
func (h *Handler) accept(w http.ResponseWriter, r *http.Request, v *visit, result realm.Result) {
	proven, ok := h.Engine.Realm(v.missing.Realm)
	if !ok {
		h.pages.Refuse(w, r, errors.New("proving a realm that is not defined"))
		return
	}
	if err := h.record(r, v, result); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	proof := proven.NewProof(result.Identity, h.Store.Now())
	if proof.Subject == "" && v.session.ID == "" {
		h.acceptEarly(w, r, v, proof)
		return
	}
	s, err := h.Sessions.Establish(w, r, session.Login{Proof: proof, Earlier: v.request.Proven, Began: v.began})
	switch {
	case errors.Is(err, authz.ErrOvertaken):
		h.overtaken(w, r, v, result)
	case errors.Is(err, session.ErrNobody):
		// The session ended while its user was proving more: begin with who the user is.
		h.seeOther(w, authz.PathLogin, url.Values{session.FieldRequest: {v.request.ID}})
	case err != nil:
		h.pages.Refuse(w, r, err)
	default:
		h.Observe(v.missing.Realm, string(realm.Accepted))
		v.session = s
		h.proceed(w, v, session.FieldStep, session.StepContinue)
	}
}

// overtaken refuses what was accepted a moment ago, on the trail as well: the user has been revoked since. Whoever it is
// begins anew, and is judged as things are now.
func (h *Handler) overtaken(w http.ResponseWriter, r *http.Request, v *visit, result realm.Result) {
	h.Observe(v.missing.Realm, string(realm.Refused))
	err := h.record(r, v, realm.Result{Status: realm.Refused, Reason: reasonOvertaken, Account: result.Identity.Subject})
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.seeOther(w, authz.PathLogin, url.Values{session.FieldRequest: {v.request.ID}})
}

// acceptEarly keeps a proof from before anybody was known, as that of an app, with the request: there is no session yet.
// It was judged in the knowledge of no user, so it may become anybody's.
func (h *Handler) acceptEarly(w http.ResponseWriter, r *http.Request, v *visit, proof realm.Proof) {
	if _, err := h.Store.ProveRequest(r.Context(), v.request.ID, proof); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	h.Observe(v.missing.Realm, string(realm.Accepted))
	h.proceed(w, v, session.FieldStep, session.StepContinue)
}

// again shows the realm's form once more. It asks the realm for it, without answers; a realm that has no form gets a page
// with nothing but a button.
func (h *Handler) again(w http.ResponseWriter, r *http.Request, v *visit, n notice) {
	attempt, err := h.Engine.Try(r.Context(), v.missing.Realm, h.input(r, v, nil))
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	challenge := attempt.Challenge
	if challenge == nil {
		challenge = &realm.Challenge{}
	}
	h.challenge(w, r, v, challenge, n)
}

func (h *Handler) input(r *http.Request, v *visit, fields map[string]string) realm.Input {
	caller := httpx.CallerOf(r.Context())
	in := realm.Input{
		Fields:       fields,
		Headers:      r.Header,
		ClientIP:     caller.ClientIP,
		Proxied:      caller.Proxied,
		Certificates: httpx.VerifiedChain(r),
		Locale:       h.Pages.Locale(v.request.UILocales, r.Header.Get("Accept-Language")),
		Hint:         v.hint(),
		State:        v.request.RealmState[v.missing.Realm],
	}
	if v.session.Subject != "" && v.expected == v.session.Subject {
		in.Subject = v.session.Subject
	}
	return in
}

// fits reports whether an identity may prove the realm.
func (v *visit) fits(identity realm.Identity) bool {
	return v.expected == "" || identity.Subject == "" || identity.Subject == v.expected
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

// record puts an attempt on the trail of a realm that keeps one. What was judged is stored; what was not, because of a limit
// or a fault, is logged.
func (h *Handler) record(r *http.Request, v *visit, result realm.Result) error {
	if tried, ok := h.Engine.Realm(v.missing.Realm); !ok || !tried.Audit {
		return nil
	}
	caller := httpx.CallerOf(r.Context())
	e := audit.Event{
		Name: eventAttempt, Outcome: audit.Refused, Reason: result.Reason, Subject: result.Account,
		ClientID: v.request.ClientID, Realm: v.missing.Realm, SessionID: v.session.ID,
		ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	}
	switch result.Status {
	case realm.Accepted:
		e.Outcome = audit.Accepted
		e.Subject = cmp.Or(result.Identity.Subject, v.session.Subject)
	case realm.Refused:
	default:
		h.Trail.Log(r.Context(), e)
		return nil
	}
	return h.Trail.Record(r.Context(), e)
}
