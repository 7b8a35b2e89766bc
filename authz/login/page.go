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
	if v.missing.Request != "" { // whoever answers approves this, so it is shown whatever page the theme has for the realm
		page.Text, page.Template = v.request.Message, ""
	}
	page.Client, page.Cancel, page.FormTargets, page.User = v.parties()
	hidden, fields, err := show(c, n.fields)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	page.Hidden, page.Fields = append(page.Hidden, hidden...), fields
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

// parties are who asks, where that is given up and where its forms lead, and who is asked, as far as either is known.
func (v *visit) parties() (client string, cancel bool, formTargets []string, user string) {
	if v.client != nil {
		client, cancel, formTargets = v.client.DisplayName(), true, session.Onward(v.client, v.request.RedirectURI)
	}
	if v.session.ID != "" && v.expected == v.session.Subject {
		user = v.session.Name
	}
	return client, cancel, formTargets, user
}

// show turns the fields of a challenge into those of a page.
func show(c *realm.Challenge, typed map[string]string) (hidden, shown []web.Field, err error) {
	for _, f := range c.Fields {
		field, err := showField(f, typed)
		switch {
		case err != nil:
			return nil, nil, err
		case f.Type == typeHidden:
			hidden = append(hidden, field)
		default:
			shown = append(shown, field)
		}
	}
	return hidden, shown, nil
}

// showField turns a realm's field into the page's. What was typed stays, except for secrets.
func showField(f realm.Field, typed map[string]string) (web.Field, error) {
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
