// SPDX-License-Identifier: Apache-2.0

package site

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	loginTTL = 10 * time.Minute
	// maxLogins bounds the logins one browser has under way at a site: each is a cookie.
	maxLogins = 4
	maxReturn = 2 << 10
)

// Browsers share cookies between the ports of a host, so the name of every cookie holds the hash of the origin.
func sessionCookie(origin string) string { return prefix(origin) + "gh_site_" + short(origin) }

func loginPrefix(origin string) string { return prefix(origin) + "gh_login_" + short(origin) + "_" }

func loginCookie(origin, state string) string { return loginPrefix(origin) + short(state) }

// prefix pins a cookie to exactly one https host. Over http on a loopback host browsers do not accept it.
func prefix(origin string) string {
	if strings.HasPrefix(origin, "https:") {
		return "__Host-"
	}
	return ""
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:5])
}

func setCookie(w http.ResponseWriter, origin string, c *http.Cookie) {
	c.Path, c.HttpOnly, c.SameSite = "/", true, http.SameSiteLaxMode
	c.Secure = strings.HasPrefix(origin, "https:")
	http.SetCookie(w, c)
}

func clearCookie(w http.ResponseWriter, origin, name string) {
	setCookie(w, origin, &http.Cookie{Name: name, MaxAge: -1})
}

// cookieValue returns the value of the one cookie with the name; two of them are none, because only somebody who plants
// cookies from a neighbouring host makes two.
func cookieValue(r *http.Request, name string) string {
	if cookies := r.CookiesNamed(name); len(cookies) == 1 {
		return cookies[0].Value
	}
	return ""
}

// login is what a browser keeps while it is away at the issuer.
type login struct {
	State    string `json:"s"`
	Verifier string `json:"v"`
	Return   string `json:"r"`
}

func (l login) encode() string {
	data, err := json.Marshal(l)
	if err != nil {
		return "" // three strings always marshal
	}
	return base64.RawURLEncoding.EncodeToString(data)
}

func decodeLogin(value string) (login, bool) {
	var l login
	data, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(data, &l) != nil {
		return login{}, false
	}
	return l, l.State != "" && l.Verifier != "" && localPath(l.Return)
}

// localPath reports whether text is a path on this very site: it begins with exactly one slash, and holds nothing that a
// browser could read as another host.
func localPath(text string) bool {
	if len(text) > maxReturn || !strings.HasPrefix(text, "/") || strings.HasPrefix(text, "//") {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// dropOldLogins clears login cookies when a browser has too many under way.
func dropOldLogins(w http.ResponseWriter, r *http.Request, origin string) {
	var names []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, loginPrefix(origin)) {
			names = append(names, c.Name)
		}
	}
	if len(names) < maxLogins {
		return
	}
	for _, name := range names {
		clearCookie(w, origin, name)
	}
}

// ours begins, after what pins a cookie to a host, the name of every cookie of a site and of the issuer.
var ours = []string{"gh_site_", "gh_login_", "gatehouse-"}

func isOurs(name string) bool {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "__Host-"), "__Secure-")
	return slices.ContainsFunc(ours, func(begin string) bool { return strings.HasPrefix(name, begin) })
}

// StripCookies removes our own cookies from a request that goes upstream: the upstream is told who is asking, and has no
// use for what proves it. The issuer's are removed as well, which a browser sends where both are on one host, and those of
// neighbours, which it sends where they differ by their port alone.
func StripCookies(r *http.Request) {
	lines := r.Header["Cookie"]
	if !slices.ContainsFunc(lines, mayHoldOurs) {
		return
	}
	var kept []string
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimSpace(pair)
			name, _, _ := strings.Cut(pair, "=")
			if pair != "" && !isOurs(strings.TrimSpace(name)) {
				kept = append(kept, pair)
			}
		}
	}
	if len(kept) == 0 {
		delete(r.Header, "Cookie")
		return
	}
	r.Header["Cookie"] = []string{strings.Join(kept, "; ")}
}

func mayHoldOurs(line string) bool {
	return slices.ContainsFunc(ours, func(begin string) bool { return strings.Contains(line, begin) })
}
