// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"net/url"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

// SeeOther redirects with 303, after which no browser sends a body again (RFC 9700 4.12). The location may hold a code, so
// it is neither stored nor told to the next page.
func SeeOther(w http.ResponseWriter, location string) {
	httpx.NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

// Lead redirects to one of our own pages, by its path below the issuer. The location is relative to the origin, so that
// nothing a client sends, the Host header included, decides where it leads.
func (m *Manager) Lead(w http.ResponseWriter, path string, params url.Values) {
	SeeOther(w, m.Way(path, params))
}

// Way returns where [Manager.Lead] leads, for a page that does not redirect but links there.
func (m *Manager) Way(path string, params url.Values) string {
	way := m.base + path
	if len(params) > 0 {
		way += "?" + params.Encode()
	}
	return way
}

// Onward lists where a form may lead that ends in an answer to a client. Browsers hold every redirect that follows a form to
// the page's policy, and an application's callback often redirects once more, to another of its hosts. A protected site does
// not.
func Onward(client *authz.Client, uri string) []string {
	if client.Site {
		return []string{uri}
	}
	return []string{uri, "https:"}
}
