// SPDX-License-Identifier: Apache-2.0

package confirming

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// refresh is how soon a page that waits is fetched anew where there is no script.
const refresh = 5 * time.Second

// openPages builds the pages that browsers are shown, with the first rule: most configurations have none. They live on the sites
// themselves, and so do the files that they need.
func (c *Confirming) openPages() (err error) {
	if c.pages != nil {
		return nil
	}
	c.pages, err = web.New(web.Config{Theme: c.parts.Theme, Base: strings.TrimSuffix(authz.PathSiteConfirm, "/"), Logger: c.parts.Logger})
	if err != nil {
		return fmt.Errorf("confirm: building its pages: %w", err)
	}
	return nil
}

// ServeFile answers a request for a file that a page needs. False is one for something else.
func (c *Confirming) ServeFile(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasPrefix(r.URL.Path, c.pages.StaticPath()) {
		return false
	}
	c.pages.Static().ServeHTTP(w, r)
	return true
}

// show answers a browser with a page.
func (c *Confirming) show(w http.ResponseWriter, r *http.Request, p *hold.Page) {
	if p.State == "" {
		c.pages.Render(w, r, p.Status, refusal(p))
		return
	}
	page := web.ConfirmPage{
		State: web.WaitState(p.State), Message: p.Message, Number: p.Number, Expires: p.Expires, RetryAfter: p.RetryAfter, Path: p.Path,
		AgainPath: p.AgainPath, Post: p.Post, WatchURL: p.StatusPath, Refresh: refresh,
	}
	if p.State == hold.StateAsked { // what was approved is not taken back
		page.CancelURL = p.StatusPath
	}
	for _, f := range p.Fields {
		page.Fields = append(page.Fields, web.Field{Name: f.Name, Value: f.Value})
	}
	c.pages.Render(w, r, p.Status, page)
}

// refusal says why nobody can be asked.
func refusal(p *hold.Page) web.ErrorPage {
	page := web.ErrorPage{Title: web.ConfirmEnded, RequestID: p.RequestID}
	switch {
	case p.Code == hold.CodeUnreachable:
		page.Message = web.ConfirmUnreachable
	case p.Code == hold.CodeBlocked:
		page.Message = web.ConfirmBlocked
	case p.Status == http.StatusNotFound:
		page.Title, page.Message = "", web.ErrorNotFound
	case p.Status == http.StatusRequestEntityTooLarge:
		page.Title, page.Message = "", web.ErrorTooLarge
	case p.Status >= http.StatusInternalServerError:
		page.Title, page.Message, page.RetryAfter = "", web.ErrorUnavailable, p.RetryAfter
	default:
		page.Message, page.Detail = web.ConfirmUnfit, p.Detail
		if p.Field != "" {
			page.Detail = p.Field + ": " + p.Detail
		}
	}
	return page
}
