// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"html"
	"html/template"
	"time"
)

// States of [ConfirmPage] beside those of [WaitPage].
const (
	ConfirmFirst    WaitState = "first"    // nobody was asked yet
	ConfirmApproved WaitState = "approved" // the request can be sent again
	ConfirmPassed   WaitState = "passed"   // the approval was used
	ConfirmBusy     WaitState = "busy"     // nobody can be asked now
)

// confirmStates says of each state whether there is anything to wait for.
var confirmStates = map[WaitState]bool{
	ConfirmFirst: false, ConfirmApproved: true, ConfirmPassed: false, ConfirmBusy: false, WaitAsked: true, WaitDenied: false, WaitNotMe: false,
	WaitExpired: false, WaitFailed: false, WaitCancelled: false,
}

// ConfirmPage stands in the place of the answer to a request that has to be confirmed elsewhere, such as on a phone, and has the
// browser send the same request again. What the request had in its form is in the page, and nowhere else. With script the page finds
// out by itself when there is news, and sends the request again.
type ConfirmPage struct {
	// Locale: see [LoginPage].
	Locale string
	State  WaitState
	// Message is what is asked, as it is shown elsewhere: plain text. Number is typed there. Empty leaves each out.
	Message, Number string
	// Expires is when the question cannot be answered any more. The zero time is left out.
	Expires time.Time
	// RetryAfter: see [LoginPage].
	RetryAfter time.Duration
	// Path is the path and query of the request, byte for byte; empty where it is not to be sent again. AgainPath has it asked about
	// once more.
	Path, AgainPath string
	// Post says that the request was that of a form, and Fields what it had, in its order.
	Post   bool
	Fields []Field
	// WatchURL answers with JSON how it stands, and CancelURL takes the question back. Both are paths of this origin, and empty where
	// there is nothing to watch or to take back.
	WatchURL, CancelURL string
	// Refresh is how soon a page that waits for an answer to a request without a form is fetched anew without script; zero is never.
	Refresh time.Duration
}

// The request may be answered with a redirect to anywhere, and its form is to say of itself where it comes from.
func (p ConfirmPage) meta() meta {
	return meta{
		template: "confirm", locale: p.Locale, targets: []string{anyHTTPS}, wait: p.RetryAfter, watches: p.Watched(), refers: true,
	}
}

func (p ConfirmPage) check() error {
	if _, known := confirmStates[p.State]; !known {
		return fmt.Errorf("checking the page that confirms: state %q: %w", p.State, errField)
	}
	for _, path := range []string{p.Path, p.AgainPath, p.WatchURL, p.CancelURL} {
		if path != "" && !localPath(path) {
			return fmt.Errorf("checking the page that confirms: %w", errAction)
		}
	}
	return checkHidden(p.Fields)
}

// Open reports whether the request can be sent again as it is.
func (p ConfirmPage) Open() bool { return confirmStates[p.State] }

// Watched is whether the page finds out by itself when there is news.
func (p ConfirmPage) Watched() bool { return p.WatchURL != "" && p.Path != "" && p.Open() }

// Refreshes is how soon the page is fetched anew without script; zero is never.
func (p ConfirmPage) Refreshes() time.Duration {
	if p.Post || !p.Watched() {
		return 0
	}
	return p.Refresh
}

// Next is where the page's main button leads; empty where there is none.
func (p ConfirmPage) Next() string {
	switch {
	case p.Open(), p.State == ConfirmFirst, p.State == ConfirmBusy:
		return p.Path
	}
	return p.AgainPath
}

// exact is an attribute with a path of this origin, byte for byte: html/template would write some of its characters in another way,
// and the path would be another one.
func exact(name, path string) template.HTMLAttr {
	if !localPath(path) {
		return ""
	}
	return template.HTMLAttr(name + `="` + html.EscapeString(path) + `"`) //nolint:gosec // G203: a path of this origin, escaped.
}

// Keys of what [ErrorPage] says of a request that nobody can be asked about.
const (
	ConfirmEnded       = "confirm.title.other"
	ConfirmUnreachable = "confirm.unreachable"
	ConfirmBlocked     = "confirm.blocked"
	ConfirmUnfit       = "confirm.unfit"
)

// confirmSamples fill every field of the page that confirms.
func confirmSamples(at time.Time, hidden []Field) []sample {
	var all []sample
	for state, open := range confirmStates {
		page := ConfirmPage{
			State: state, Message: "Sample message", Number: "42", Expires: at, Path: "/sample", AgainPath: "/sample", Post: true, Fields: hidden,
			WatchURL: "/sample/watch", CancelURL: "/sample/cancel", Refresh: time.Second,
		}
		s := sample{page: page, action: "/sample", controls: []string{"sample_step"}, shows: []string{"Sample message"}}
		link := page
		link.Post, link.Fields = false, nil
		shows := sample{page: link, shows: []string{"Sample message", "/sample"}}
		if open {
			s.shows, shows.shows = append(s.shows, "42"), append(shows.shows, "42")
		}
		all = append(all, s, shows)
	}
	return append(all, sample{page: ConfirmPage{State: WaitCancelled}})
}
