// SPDX-License-Identifier: Apache-2.0

package account

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
)

// Values of fieldDone.
const (
	doneSession = "session"
	doneGrant   = "grant"
	doneGone    = "gone"

	donePhoneRenamed = "phone_renamed"
	donePhoneRemoved = "phone_removed"
	donePhoneName    = "phone_name"
	donePhoneSingle  = "phone_single"
	donePhoneNotNow  = "phone_not_now"

	doneCertificate = "certificate"
)

// messages are what the page says after a change. Anything else that stands in the address says nothing.
var messages = map[string]struct {
	text string
	kind web.Kind
}{
	doneSession: {web.MessageSessionEnded, web.KindSuccess},
	doneGrant:   {web.MessageGrantRevoked, web.KindSuccess},
	doneGone:    {web.MessageGone, web.KindInfo},

	donePhoneRenamed: {web.MessagePhoneRenamed, web.KindSuccess},
	donePhoneRemoved: {web.MessagePhoneRemoved, web.KindSuccess},
	donePhoneName:    {web.MessagePhoneName, web.KindError},
	donePhoneSingle:  {web.MessagePhoneSingle, web.KindInfo},
	donePhoneNotNow:  {web.MessagePhoneNotNow, web.KindError},

	doneCertificate: {web.MessageCertificateRemoved, web.KindSuccess},
}

func (h *Handler) show(w http.ResponseWriter, r *http.Request, v *visit, params oauth.Params) {
	sessions, err := h.Store.SessionsOf(r.Context(), v.session.Subject)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	held, err := h.permissions(r.Context(), v.session.Subject)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	grants, err := h.lines(r.Context(), held, h.Pages.Locale("", r.Header.Get("Accept-Language")))
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	phones, err := h.phones(r.Context(), v)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	certificates, err := h.certificates(r.Context(), v)
	if err != nil {
		h.pages.Refuse(w, r, err)
		return
	}
	message := messages[params.Get(fieldDone)]
	h.Pages.Render(w, r, http.StatusOK, web.AccountPage{
		User:         v.session.Name,
		Sessions:     list(sessions, v.session.ID),
		Grants:       grants,
		Action:       h.base + authz.PathAccount,
		Hidden:       v.hidden(),
		Phones:       phones,
		Certificates: certificates,
		Message:      message.text,
		Kind:         message.kind,
	})
}

// list shows this session first and then the others, the one used last in front.
func list(sessions []authz.Session, current string) []web.Session {
	slices.SortStableFunc(sessions, func(a, b authz.Session) int {
		return cmp.Or(later(b.ID == current, a.ID == current), b.SeenAt.Compare(a.SeenAt))
	})
	var shown []web.Session
	for _, s := range sessions {
		shown = append(shown, web.Session{
			ID: s.ID, Name: device(s.UserAgent), Address: s.ClientIP,
			Started: s.CreatedAt, Seen: s.SeenAt, Current: s.ID == current,
		})
	}
	return shown
}

// permission is what one client may do for the user, whether by tokens at hand or by a remembered agreement.
type permission struct {
	scopes oauth.Scopes
	since  time.Time
}

func (p permission) with(scopes oauth.Scopes, since time.Time) permission {
	p.scopes = p.scopes.Union(scopes)
	if p.since.IsZero() || since.Before(p.since) {
		p.since = since
	}
	return p
}

// permissions returns what the user's clients may do, by client. Protected sites are left out: they hold nothing but the
// session, which is listed itself.
func (h *Handler) permissions(ctx context.Context, subject string) (map[string]permission, error) {
	grants, err := h.Store.GrantsOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	consents, err := h.Store.ConsentsOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	held := map[string]permission{}
	for _, g := range grants {
		if client, ok := h.Clients.Find(g.ClientID); !ok || !client.Site {
			held[g.ClientID] = held[g.ClientID].with(g.Scopes, g.CreatedAt)
		}
	}
	for _, c := range consents {
		held[c.ClientID] = held[c.ClientID].with(c.Scopes, c.GrantedAt)
	}
	return held, nil
}

func (h *Handler) lines(ctx context.Context, held map[string]permission, locale string) ([]web.Grant, error) {
	var shown []web.Grant
	for id, p := range held {
		grant := web.Grant{ID: id, Client: id, Since: p.since}
		client, err := h.Clients.Lookup(ctx, id)
		switch {
		case err == nil:
			grant.Client = client.DisplayName()
		case !authz.Gone(err):
			return nil, err
		case strings.HasPrefix(id, authz.InstancePrefix):
			continue // it has gone for good, and what the user agreed to with it
		}
		for _, scope := range p.scopes {
			text := cmp.Or(h.ScopeTexts[scope], h.Pages.ScopeText(locale, scope))
			grant.Scopes = append(grant.Scopes, web.ScopeLine{Name: scope, Text: text})
		}
		shown = append(shown, grant)
	}
	slices.SortFunc(shown, func(a, b web.Grant) int {
		return cmp.Or(strings.Compare(a.Client, b.Client), strings.Compare(a.ID, b.ID))
	})
	return shown, nil
}
