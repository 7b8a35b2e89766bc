// SPDX-License-Identifier: Apache-2.0

package account

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Paths of the pages about phones, below the issuer.
const (
	pathPhone = authz.PathAccount + "/phone"
	pathAdd   = authz.PathAccount + "/phones/add"
)

// Parameters of their addresses.
const (
	fieldPhone        = "id"
	fieldRemoving     = "remove"
	fieldRegistration = "registration"
)

// refreshEvery is how often a browser asks whether a phone has come.
const refreshEvery = 5 * time.Second

// acting says who does what the stores write down.
func (v *visit) acting(r *http.Request) context.Context {
	caller := httpx.CallerOf(r.Context())
	return audit.WithActor(r.Context(), audit.Actor{
		By: "user:" + v.session.Subject, ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	})
}

// hidden are the fields of every form: the token, and what the form is about.
func (v *visit) hidden(about ...web.Field) []web.Field {
	token := web.Field{Name: session.FieldStep, Value: v.browser.Token(session.StepAccount, "", v.session.ID)}
	return append([]web.Field{token}, about...)
}

// phones are what the account page shows, nothing where there are none to be had.
func (h *Handler) phones(ctx context.Context, v *visit) (*web.AccountPhones, error) {
	if h.Phones == nil {
		return nil, nil
	}
	owned, err := h.Phones.Of(ctx, v.session.Subject)
	if err != nil {
		return nil, err
	}
	shown := &web.AccountPhones{Disowned: owned.Disowned}
	for i := range owned.Phones {
		shown.Phones = append(shown.Phones, h.phone(&owned.Phones[i]))
	}
	for _, o := range owned.Operations {
		shown.Operations = append(shown.Operations, web.Operation(o))
	}
	if h.Registrations == nil {
		return shown, nil
	}
	for _, a := range owned.Apps {
		shown.Apps = append(shown.Apps, web.PhoneApp(a))
	}
	if owned.Adding != "" {
		shown.Adding = h.address(pathAdd, fieldRegistration, owned.Adding)
	}
	return shown, nil
}

func (h *Handler) phone(p *Phone) web.Phone {
	return web.Phone{
		ID: p.ID, Name: p.Name, Model: p.Model, App: p.App, Status: p.Status, Since: p.Since, Seen: p.Seen, Grade: p.Grade,
		Shown: p.Shown,
		URL:   h.address(pathPhone, fieldPhone, p.ID),
	}
}

// address is a page of ours with pairs of parameters.
func (h *Handler) address(path string, pairs ...string) string {
	params := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		params.Set(pairs[i], pairs[i+1])
	}
	return h.base + path + "?" + params.Encode()
}

// owned finds a phone among the user's own.
func (h *Handler) owned(ctx context.Context, v *visit, id string) (Phone, error) {
	owned, err := h.Phones.Of(ctx, v.session.Subject)
	if err != nil {
		return Phone{}, err
	}
	i := slices.IndexFunc(owned.Phones, func(p Phone) bool { return p.ID == id })
	if i < 0 {
		return Phone{}, ErrGone
	}
	return owned.Phones[i], nil
}

// showPhone shows one phone, or asks whether to remove it.
func (h *Handler) showPhone(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	p, err := h.owned(r.Context(), v, params.Get(fieldPhone))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	message := messages[params.Get(fieldDone)]
	h.Pages.Render(w, r, http.StatusOK, web.PhonePage{
		Phone: h.phone(&p), Removing: params.Get(fieldRemoving) != "",
		RemoveURL: h.address(pathPhone, fieldPhone, p.ID, fieldRemoving, "ask"), BackURL: h.base + authz.PathAccount,
		Action: h.base + pathPhone, Hidden: v.hidden(web.Field{Name: fieldPhone, Value: p.ID}),
		Message: message.text, Kind: message.kind,
	})
}

// changePhone renames a phone or, where that was asked and confirmed, removes it.
func (h *Handler) changePhone(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	id := params.Get(fieldPhone)
	done, err := donePhoneRenamed, error(nil)
	if remove := params.Get(web.RemovePhoneField); remove != "" {
		done, err = donePhoneRemoved, h.Phones.Remove(v.acting(r), v.session.Subject, remove)
	} else {
		err = h.Phones.Rename(v.acting(r), v.session.Subject, id, params.Get(web.NameField))
	}
	switch {
	case errors.Is(err, ErrName):
		h.Sessions.Lead(w, pathPhone, url.Values{fieldPhone: {id}, fieldDone: {donePhoneName}})
	case err != nil:
		h.fail(w, r, err)
	default:
		h.done(w, done, true)
	}
}

// add begins the registration of a phone.
func (h *Handler) add(w http.ResponseWriter, r *http.Request, v *visit, app string) {
	id, err := h.Registrations.Begin(v.acting(r), v.session.Subject, app)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.Sessions.Lead(w, pathAdd, url.Values{fieldRegistration: {id}})
}

// showAdding shows how far a registration is.
func (h *Handler) showAdding(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	reg, err := h.Registrations.Find(r.Context(), v.session.Subject, params.Get(fieldRegistration))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.Pages.Render(w, r, http.StatusOK, web.AddPhonePage{
		State: web.AddState(reg.Stage), App: reg.App, Phone: cmp.Or(reg.Phone, reg.App), Code: reg.Code, QR: reg.QR,
		Expires: reg.Expires, TriesLeft: reg.TriesLeft, Refresh: refreshEvery,
		SelfURL: h.address(pathAdd, fieldRegistration, reg.ID), BackURL: h.base + authz.PathAccount,
		Action: h.base + pathAdd, Hidden: v.hidden(web.Field{Name: fieldRegistration, Value: reg.ID}),
	})
}

// blanks are what people type between the digits that they read.
var blanks = strings.NewReplacer(" ", "", "\t", "", "\u00a0", "", "-", "")

// changeAdding takes the digits, or stops.
func (h *Handler) changeAdding(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	id := params.Get(fieldRegistration)
	reg, err := h.Registrations.Find(r.Context(), v.session.Subject, id)
	switch {
	case err != nil || !reg.Stage.open(): // what has ended is shown as it is
	case params.Get(web.StopField) != "":
		err = h.Registrations.Stop(v.acting(r), v.session.Subject, id)
	case reg.Stage != Waiting:
		err = h.Registrations.Confirm(v.acting(r), v.session.Subject, id, blanks.Replace(params.Get(web.DigitsField)))
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.Sessions.Lead(w, pathAdd, url.Values{fieldRegistration: {id}})
}

// fail says on the account page why nothing was done, where that is for the person to know.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	for _, known := range []struct {
		is   error
		done string
	}{{ErrGone, doneGone}, {ErrSingle, donePhoneSingle}, {ErrNotNow, donePhoneNotNow}} {
		if errors.Is(err, known.is) {
			h.done(w, known.done, true)
			return
		}
	}
	h.pages.Refuse(w, r, err)
}
