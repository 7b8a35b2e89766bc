// SPDX-License-Identifier: Apache-2.0

package faces

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser is somebody's browser: it keeps the issuer's cookies and follows its redirects.
type Browser struct {
	t     testing.TB
	world http.Handler
	home  string // the issuer
	jar   http.CookieJar
	// Header is sent with every request.
	Header http.Header
}

// Browser returns a browser that was never here.
func (w *World) Browser(t testing.TB) *Browser {
	t.Helper()
	return BrowserOf(t, w, w.Issuer)
}

// BrowserOf returns a browser that talks to an issuer of its own.
func BrowserOf(t testing.TB, server http.Handler, issuer string) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{t: t, world: server, home: issuer, jar: jar, Header: http.Header{"User-Agent": {"Test/1"}}}
}

// Page is what a browser shows, or where it was sent.
type Page struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
	// At is the address it was loaded from.
	At string
	// Left is the address outside the issuer that the last redirect led to; empty while the browser is still here.
	Left *url.URL
	// Path lists the redirects followed.
	Path []string
}

// Send makes one request and follows no redirect. A form makes it a POST.
func (b *Browser) Send(method, address string, form url.Values) *Page {
	b.t.Helper()
	at, err := b.resolve(address)
	if err != nil {
		b.t.Fatal(err)
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, at.String(), body)
	maps.Copy(r.Header, b.Header)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range b.jar.Cookies(at) {
		r.AddCookie(c)
	}
	return b.Do(r)
}

// Do sends a request as it is and keeps the cookies of the answer.
func (b *Browser) Do(r *http.Request) *Page {
	b.t.Helper()
	rec := httptest.NewRecorder()
	b.world.ServeHTTP(rec, r)
	response := rec.Result()
	home, err := url.Parse(b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	b.jar.SetCookies(home.ResolveReference(r.URL), response.Cookies())
	return &Page{t: b.t, Status: rec.Code, Header: response.Header, Body: rec.Body.String(), At: r.URL.String()}
}

func (b *Browser) resolve(address string) (*url.URL, error) {
	home, err := url.Parse(b.home)
	if err != nil {
		return nil, err
	}
	return home.Parse(address)
}

// follow goes where a page redirects to, until it stays or leaves the issuer.
func (b *Browser) follow(p *Page) *Page {
	b.t.Helper()
	var path []string
	for range 10 {
		location := p.Header.Get("Location")
		if location == "" {
			p.Path = path
			return p
		}
		to, err := b.resolve(location)
		if err != nil {
			b.t.Fatal(err)
		}
		if !strings.HasPrefix(to.String(), b.home+"/") {
			p.Left, p.Path = to, path
			return p
		}
		path = append(path, to.Path)
		p = b.Send(http.MethodGet, to.String(), nil)
	}
	b.t.Fatalf("the browser is sent around: %v", path)
	return nil
}

// Get loads an address and follows redirects.
func (b *Browser) Get(address string) *Page {
	b.t.Helper()
	return b.follow(b.Send(http.MethodGet, address, nil))
}

// Post sends a form to an address and follows redirects.
func (b *Browser) Post(address string, form url.Values) *Page {
	b.t.Helper()
	return b.follow(b.Send(http.MethodPost, address, form))
}

// Authorize begins an authorization request.
func (b *Browser) Authorize(params map[string]string) *Page {
	b.t.Helper()
	return b.Get(b.home + "/authorize?" + Encode(params))
}

// Encode returns parameters as a query.
func Encode(params map[string]string) string {
	values := url.Values{}
	for name, value := range params {
		values.Set(name, value)
	}
	return values.Encode()
}

// Submit fills in the page's first form and sends it. Pairs of name and value are added to what the form holds.
func (b *Browser) Submit(p *Page, pairs ...string) *Page {
	b.t.Helper()
	action, form := p.Form()
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.Post(action, form)
}

// Login answers a login page.
func (b *Browser) Login(p *Page, login string) *Page {
	b.t.Helper()
	return b.Submit(p, "username", login, "password", Password)
}

// SignIn signs a user in by way of the first-party client and fails the test when that does not work.
func (b *Browser) SignIn(login string) {
	b.t.Helper()
	b.Login(b.Authorize(Params()), login).Code()
}

// Cookies returns the issuer's cookies by name.
func (b *Browser) Cookies() map[string]string {
	home, err := url.Parse(b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	cookies := map[string]string{}
	for _, c := range b.jar.Cookies(home) {
		cookies[c.Name] = c.Value
	}
	return cookies
}

// Plant puts the cookies of another browser into this one, as malware or a neighbour on the host might.
func (b *Browser) Plant(cookies map[string]string) {
	b.t.Helper()
	home, err := url.Parse(b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, value := range cookies {
		b.jar.SetCookies(home, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
	}
}

// Cookie returns the value of the cookie whose name holds part.
func (b *Browser) Cookie(part string) string {
	for name, value := range b.Cookies() {
		if strings.Contains(name, part) {
			return value
		}
	}
	return ""
}

// Form returns the page's first form: where it goes and what it holds. It fails the test when there is none.
func (p *Page) Form() (action string, fields url.Values) {
	p.t.Helper()
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		p.t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "form" {
			return attr(n, "action"), inputs(n)
		}
	}
	p.t.Fatalf("no form on the page at %s (%d, left %v):\n%s", p.At, p.Status, p.Left, p.Body)
	return "", nil
}

func inputs(form *html.Node) url.Values {
	fields := url.Values{}
	for n := range form.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") != "" {
			fields.Set(attr(n, "name"), attr(n, "value"))
		}
	}
	return fields
}

func attr(n *html.Node, name string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

// Fields returns the names of the inputs a person can fill in.
func (p *Page) Fields() []string {
	p.t.Helper()
	doc, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "input" && attr(n, "name") != "" && attr(n, "type") != "hidden" {
			names = append(names, attr(n, "name"))
		}
	}
	return names
}

// Answer returns the parameters with which the browser was sent back to the client, and fails the test when it was not.
func (p *Page) Answer() url.Values {
	p.t.Helper()
	if p.Left == nil {
		p.t.Fatalf("the browser is still at %s (%d, by %v):\n%s", p.At, p.Status, p.Path, p.Body)
	}
	return p.Left.Query()
}

// Code returns the authorization code of the answer and fails the test when there is none.
func (p *Page) Code() string {
	p.t.Helper()
	answer := p.Answer()
	if answer.Get("code") == "" {
		p.t.Fatalf("the answer is no code: %v", answer)
	}
	return answer.Get("code")
}
