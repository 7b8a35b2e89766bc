// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

const (
	sessionName = "gatehouse-session"
	browserName = "gatehouse-browser"
	// maxCookie bounds what is looked at; both of our values are shorter.
	maxCookie = 128
	// tagLength is how much of the issuer's hash ends a cookie's name on a loopback host.
	tagLength = 8
)

// jar is how cookies of one issuer are named and marked.
type jar struct {
	session, browser string
	path             string
	secure           bool
}

// newJar follows RFC 6265bis 4.1.3: __Host- keeps a neighbouring host from planting a cookie, and where the issuer has a
// path __Secure- is as far as a browser goes. On plain http, which is a loopback host in development, neither is possible
// and the ports of a host share its cookies, so the name tells issuers apart.
func newJar(issuer string) jar {
	j := jar{session: sessionName, browser: browserName, path: "/", secure: strings.HasPrefix(issuer, "https://")}
	base := authz.BasePath(issuer)
	if base != "" {
		j.path = base
	}
	switch {
	case !j.secure:
		tag := "-" + strings.ToLower(randid.Hash(issuer))[:tagLength]
		j.session, j.browser = j.session+tag, j.browser+tag
	case base == "":
		j.session, j.browser = "__Host-"+j.session, "__Host-"+j.browser
	default:
		j.session, j.browser = "__Secure-"+j.session, "__Secure-"+j.browser
	}
	return j
}

// value returns the one cookie of that name, or nothing: of two, one was planted, and there is no telling which.
func (j jar) value(r *http.Request, name string) string {
	cookies := r.CookiesNamed(name)
	if len(cookies) != 1 || len(cookies[0].Value) > maxCookie {
		return ""
	}
	return cookies[0].Value
}

// set writes a cookie that lives as long as the browser runs; how long what it names lives is for the record to say. Lax,
// since an application's link to us is a navigation from another site.
func (j jar) set(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, j.cookie(name, value))
}

func (j jar) clear(w http.ResponseWriter, name string) {
	c := j.cookie(name, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}

func (j jar) cookie(name, value string) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: j.path, Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
