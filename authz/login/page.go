// SPDX-License-Identifier: Apache-2.0

package login

import (
	"cmp"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// challenge keeps what the realm wants back and shows what it asks.
func (h *Handler) challenge(w http.ResponseWriter, r *http.Request, v *visit, c *realm.Challenge, n notice) {
	if err := h.Judge.Keep(r, h.attempt(r, v), c); err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	if c.Wait != nil {
		h.waiting(w, r, v, c, n)
		return
	}
	page := web.LoginPage{
		Choices:    choices(c),
		Locale:     v.request.UILocales,
		Action:     h.base + authz.PathLogin,
		Hidden:     h.hidden(v),
		RetryAfter: n.after,
		Template:   c.Template,
	}
	page.Notice = told(c, n)
	if v.client != nil {
		page.Client, page.Cancel = v.client.DisplayName(), true
		page.FormTargets = session.Onward(v.client, v.request.RedirectURI)
	}
	if v.session.ID != "" && v.expected == v.session.Subject {
		page.User = v.session.Name
	}
	for _, f := range c.Fields {
		field, err := show(f, n.fields)
		if err != nil {
			h.pages.Refuse(w, r, err)
			return
		}
		if f.Type == typeHidden {
			page.Hidden = append(page.Hidden, field)
		} else {
			page.Fields = append(page.Fields, field)
		}
	}
	page.Submit, page.Stuck = c.Submit, c.Stuck
	if len(page.Fields) == 0 {
		page.Submit = cmp.Or(c.Submit, web.LabelAgain)
	}
	page.Message, page.Kind = h.message(v, c, n)
	h.Pages.Render(w, r, n.status, page)
}

// hidden are the fields by which the page is known.
func (h *Handler) hidden(v *visit) []web.Field {
	return []web.Field{
		{Name: session.FieldRequest, Value: v.request.ID},
		{Name: session.FieldStep, Value: v.browser.Token(v.step(), v.request.ID, v.session.ID)},
	}
}

// told is what stands above everything else.
func told(c *realm.Challenge, n notice) *web.Notice {
	told := cmp.Or(n.besides, c.Notice)
	if told == nil {
		return nil
	}
	return &web.Notice{Text: told.Text, URL: told.URL}
}

// typeHidden is the type of a field that goes back as it came.
const typeHidden = "hidden"

// show turns a realm's field into the page's. What was typed stays, except for secrets.
func show(f realm.Field, typed map[string]string) (web.Field, error) {
	switch f.Name {
	case session.FieldRequest, session.FieldStep, web.CancelField:
		return web.Field{}, fmt.Errorf("showing the field %q: the page uses that name itself", f.Name)
	}
	shown := web.Field{
		Name: f.Name, Label: f.Label, Type: f.Type, Value: f.Value,
		Autocomplete: f.Autocomplete, InputMode: f.InputMode, Required: f.Required,
	}
	if value, ok := typed[f.Name]; ok && f.Type != typeHidden {
		shown.Value = value
	}
	if f.Type == "password" {
		shown.Value = ""
	}
	return shown, nil
}

// message is what the attempt led to, else what the realm says, else why somebody who is signed in is asked at all.
func (h *Handler) message(v *visit, c *realm.Challenge, n notice) (string, web.Kind) {
	told := n.message
	if n.kind == web.KindError && c.Message == "" {
		told = web.MessageRefused // it asks again, and has no words of its own for why
	}
	switch {
	case told == web.MessageRefused:
		return cmp.Or(c.Refused, told), web.KindError
	case told != "":
		return told, web.KindError
	case c.Message != "":
		return c.Message, n.kind
	case v.session.ID == "" || v.request.Prompt.SelectAccount:
		return "", ""
	case v.request.Subject != "" && v.request.Subject != v.session.Subject:
		return "", ""
	case !h.Judge.Engine.DeterminesUser(v.missing.Realm):
		return web.MessageInsufficient, web.KindInfo
	case v.request.Prompt.Login:
		return web.MessageReauthPrompt, web.KindInfo
	}
	if _, stale := v.session.Proofs[v.missing.Realm]; stale {
		return web.MessageReauthAge, web.KindInfo
	}
	return web.MessageInsufficient, web.KindInfo
}
