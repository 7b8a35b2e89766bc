// SPDX-License-Identifier: Apache-2.0

package web

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// sample is a page to rehearse with and the controls that must come out inside a form that posts to action.
type sample struct {
	page     Page
	action   string
	controls []string
	shows    []string // texts and links
}

// samples fills every field of every page at least once, so that a template that reads a field finds it. Login pages with
// fields are in loginSamples.
func samples() []sample {
	at := time.Date(2026, time.March, 14, 9, 30, 0, 0, time.UTC)
	hidden := []Field{{Name: "sample_step", Value: "s1"}}
	scopes := []ScopeLine{{Name: "openid", Text: "Sample"}, {Name: "accounts:read"}}
	reauth := LoginPage{
		Action: "/sample", User: "Sample user", Message: MessageThrottled, RetryAfter: time.Minute,
		Title: "Sample title", Text: "Sample text", Submit: "Sample submit",
	}
	decision := []string{"sample_step", DecisionField + "=" + DecisionAllow, DecisionField + "=" + DecisionDeny}
	return append(slices.Concat(phoneSamples(at, hidden), certificateSamples(at, hidden), waitSamples(at, hidden), confirmSamples(at, hidden)), []sample{
		{page: reauth, action: "/sample"},
		{page: LoginPage{Action: "/sample"}, action: "/sample"},
		{
			page: ConsentPage{
				Client: "Sample app", User: "Sample user", Scopes: scopes, Action: "/sample", Hidden: hidden,
				Destination: "app.example",
			}, action: "/sample", controls: decision,
		},
		{page: ConsentPage{Client: "Sample app", Action: "/sample", Hidden: hidden}, action: "/sample", controls: decision},
		{page: ErrorPage{Message: ErrorClient, Detail: "Sample", RequestID: "req_1", BackURL: "/sample"}},
		{page: ErrorPage{Title: "Sample", Message: "Sample", Next: "Sample"}},
		{page: ErrorPage{}},
		{page: LogoutPage{User: "Sample", Client: "Sample", Action: "/sample", Hidden: hidden}, action: "/sample", controls: decision},
		{
			page:   ContinuePage{User: "Sample", Client: "Sample", Other: "Sample", Action: "/sample", Hidden: hidden},
			action: "/sample", controls: decision,
		},
		{page: ContinuePage{User: "Sample", Client: "Sample", Action: "/sample", Hidden: hidden}, action: "/sample", controls: decision},
		{
			page:  ToldPage{Notice: Notice{Text: "Sample notice", URL: "https://app.example/sample"}, ContinueURL: "/sample"},
			shows: []string{"Sample notice", "https://app.example/sample", "/sample"},
		},
		{page: ToldPage{Notice: Notice{Text: "Sample notice"}, ContinueURL: "/sample"}, shows: []string{"Sample notice", "/sample"}},
		{page: SignedOutPage{Client: "Sample", ContinueURL: "https://app.example/", LoginURL: "/sample"}},
		{page: SignedOutPage{}},
		{
			page:   FormPostPage{Client: "Sample", Action: "https://app.example/cb", Fields: hidden},
			action: "https://app.example/cb", controls: []string{"sample_step"},
		},
		{
			page: AccountPage{
				User: "Sample", Action: "/sample", Hidden: hidden, Message: MessageGone, Kind: KindSuccess,
				Sessions: []Session{
					{ID: "ses_1", Name: "Sample", Address: "192.0.2.1", Started: at, Seen: at, Current: true},
					{ID: "ses_2", Name: "Sample"},
				},
				Grants: []Grant{{ID: "gra_1", Client: "Sample", Scopes: scopes, Since: at}},
			},
			action: "/sample",
			controls: []string{
				"sample_step", EndSessionField + "=ses_1", EndSessionField + "=ses_2", RevokeGrantField + "=gra_1",
				EverywhereField + "=all",
			},
		},
		{page: APIPage{
			Title: "Sample", Lead: "Sample", Text: []string{"Sample"}, Server: "https://auth.example/api", Download: "/sample",
			Groups: []APIGroup{{Name: "Sample", Calls: []APICall{{
				ID: "sample", Method: "GET", Path: "/sample", Summary: "Sample", Text: "Sample", Scopes: []string{"a", "b"},
				Inputs: []APIMember{{Name: "sample", Type: "Sample", Text: "Sample", Required: true}}, Body: "Sample",
				BodyType: "application/json", Answers: []APIAnswer{{Status: "200", Text: "Sample", Body: "Sample"}},
			}}}},
			Schemas:  []APISchema{{Name: "Sample", Text: "Sample", Members: []APIMember{{Name: "sample", Schema: "Sample"}}}},
			Problems: []APIProblem{{Code: "sample", Status: "400", Title: "Sample"}},
		}},
		{page: APIPage{Download: "/sample"}},
		{page: AccountPage{User: "Sample", Action: "/sample"}, action: "/sample", controls: []string{EverywhereField + "=all"}},
	}...)
}

// rehearse renders every sample in every language and looks at what comes out. It also keeps the page that is sent
// when another one fails.
func (r *Renderer) rehearse(samples []sample) error {
	r.lastWords = make(map[string][]byte, len(r.locales.names))
	for _, locale := range r.locales.names {
		for _, s := range samples {
			var buf bytes.Buffer
			if _, err := r.execute(&buf, locale, s.page); err != nil {
				return err
			}
			if problem := inspect(&buf, s); problem != "" {
				return fmt.Errorf("inspecting %s in %s: %s: %w", fileOf(s.page.meta().template), locale, problem, errTheme)
			}
		}
		var buf bytes.Buffer
		if _, err := r.execute(&buf, locale, ErrorPage{}); err != nil {
			return err
		}
		r.lastWords[locale] = buf.Bytes()
	}
	return nil
}

// inspect says what is wrong with a rendered page, or nothing.
func inspect(page io.Reader, s sample) string {
	var action string
	var found []string
	tokens := html.NewTokenizer(page)
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return missing(s, found)
		case html.EndTagToken:
			if name, _ := tokens.TagName(); atom.Lookup(name) == atom.Form {
				action = ""
			}
		case html.TextToken:
			found = append(found, "text "+strings.TrimSpace(tokens.Token().Data))
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			if problem := blocked(token); problem != "" {
				return problem
			}
			if token.DataAtom == atom.Form && strings.EqualFold(attr(token, "method"), "post") {
				action = attr(token, "action")
				found = append(found, "form "+action)
			}
			if token.DataAtom == atom.A {
				found = append(found, "text "+attr(token, "href"))
			}
			if action != "" && action == s.action {
				found = append(found, controlNames(token)...)
			}
		}
	}
}

func missing(s sample, found []string) string {
	if s.action != "" && !slices.Contains(found, "form "+s.action) {
		return "there is no form that posts to the page's action"
	}
	for _, name := range s.controls {
		if !slices.Contains(found, name) {
			return fmt.Sprintf("the form leaves out %q", name)
		}
	}
	for _, text := range s.shows {
		if !slices.ContainsFunc(found, func(s string) bool { return strings.HasPrefix(s, "text ") && strings.Contains(s, text) }) {
			return fmt.Sprintf("the page leaves out what people are told: %q", text)
		}
	}
	if s.action != "" && !slices.Contains(found, "submit") {
		return "the form has no button"
	}
	return ""
}

// controlNames lists what a form control may be asked for as.
func controlNames(token html.Token) []string {
	if token.DataAtom != atom.Input && token.DataAtom != atom.Button {
		return nil
	}
	name, kind := attr(token, "name"), attr(token, "type")
	names := []string{name, name + "=" + attr(token, "value")}
	if kind == "submit" || (token.DataAtom == atom.Button && kind == "") {
		names = append(names, "submit")
	}
	return names
}

// blocked names what the content security policy would keep from working without anybody noticing.
func blocked(token html.Token) string {
	if token.DataAtom == atom.Style || (token.DataAtom == atom.Script && attr(token, "src") == "") {
		return fmt.Sprintf("inline <%s> is blocked by the content security policy", token.Data)
	}
	for _, a := range token.Attr {
		if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
			return fmt.Sprintf("attribute %q of <%s> is blocked by the content security policy", a.Key, token.Data)
		}
	}
	return ""
}

func attr(token html.Token, key string) string {
	for _, a := range token.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}
