// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// State is how the question about a request stands, as a person is shown it.
type State string

// The states of a [Page].
const (
	StateFirst     State = "first" // nobody was asked yet
	StateAsked     State = "asked"
	StateApproved  State = "approved"
	StatePassed    State = "passed" // the approval was used
	StateDenied    State = "denied"
	StateNotMe     State = "not_me" // as the phone words it
	StateExpired   State = "expired"
	StateFailed    State = "failed"
	StateCancelled State = "cancelled"
	StateBusy      State = "busy" // nobody can be asked now
)

// Page is what a person is shown whose browser has sent a request that does not pass. A browser cannot name an operation: it sends the
// same request again, and that passes by its approval, once.
type Page struct {
	// Status, Code, Detail and Field are those of the problem that every other caller is answered with. RetryAfter goes with
	// [StateBusy].
	Status              int
	Code, Detail, Field string
	RetryAfter          time.Duration
	RequestID           string
	// State is empty where there is no question, and can be none.
	State State
	// Message is what the phone shows. Number is typed there until Expires.
	Message, Number string
	Expires         time.Time
	// Path is the path and query of the request, byte for byte; empty where it is not to be sent again. AgainPath has it asked about
	// once more, where the question has come to an end.
	Path, AgainPath string
	// Post says that the request was a form's, with these fields in this order.
	Post   bool
	Fields []Field
	// StatusPath tells how the question stands, and takes it back until something has passed; empty where there is nothing to wait for.
	StatusPath string
}

// mark stands, with the id of the operation that has come to an end, at the end of the query of a request that is to be asked about once
// more. It is no part of the request.
const mark = "_gatehouse=again."

// marked is a mark as it is written into a page.
var marked = regexp.MustCompile(`^` + regexp.QuoteMeta(mark) + `[A-Za-z0-9_-]{1,128}$`)

// visit is a request of a person's browser, which is answered with pages.
type visit struct {
	again   string // the operation after which the person has it asked about once more
	lost    bool   // the mark is not where it can be taken off
	message string
	fields  []Field
}

// navigates reports whether a person's browser goes to where the request leads, in a window of its own: what answers it is shown.
func navigates(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		to := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (to == "" || to == "document")
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// elsewhere reports whether a browser sends the request for a page of another origin, as a part of a page, such as an image, which
// whoever writes there may have put into it, or ahead of anybody; the gate lets all of them pass, since the request is said to change
// nothing.
func elsewhere(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "empty", "document": // an old browser, a script, a window
	default:
		return true
	}
	from := r.Header.Get("Sec-Fetch-Site")
	return from != "" && from != "same-origin" && from != "none" || ahead(r.Header)
}

// ahead reports whether a browser sends a request before anybody wants its answer.
func ahead(h http.Header) bool {
	return strings.HasPrefix(h.Get("Sec-Purpose"), "prefetch") || h.Get("Purpose") == "prefetch" || h.Get("X-Moz") == "prefetch"
}

// begin takes the mark off the request.
func (a *attempt) begin() {
	a.visit = new(visit)
	query := strings.IndexByte(a.Asked, '?')
	last := max(query, strings.LastIndexByte(a.Asked, '&'))
	if query < 0 || last < query || !marked.MatchString(a.Asked[last+1:]) {
		return
	}
	word := a.Asked[last+1:]
	a.Asked, a.visit.again = a.Asked[:last], strings.TrimPrefix(word, mark)
	a.visit.lost = !unmark(a.r.URL, word)
}

// unmark takes the mark off a URL, in which it need not stand at the end any more, nor at all where nothing is left of the query. It
// reports whether no part of the mark can be there still.
func unmark(u *url.URL, word string) bool {
	pairs := strings.Split(u.RawQuery, "&")
	i := slices.Index(pairs, word)
	if i < 0 {
		return u.RawQuery == ""
	}
	pairs = slices.Delete(pairs, i, i+1)
	u.RawQuery = strings.Join(pairs, "&")
	u.ForceQuery = u.RawQuery == "" && len(pairs) > 0 // there was a question mark before
	return true
}

// here reports whether a person has the browser come from a page of the site itself. A form does, or the gate had refused it. A link may
// stand anywhere, and whoever follows it is asked nothing on the phone before they have said so.
func (a *attempt) here() bool {
	if a.r.Method == http.MethodPost {
		return true
	}
	if ahead(a.r.Header) {
		return false
	}
	if from := a.r.Header.Get("Sec-Fetch-Site"); from != "" {
		return from == "same-origin"
	}
	from, err := url.Parse(a.r.Referer())
	return err == nil && from.Host != "" && strings.EqualFold(from.Scheme+"://"+from.Host, a.Site)
}

// browse has the request of a browser pass by the approval of the same request, or shows how the question about it stands. A question
// that has come to an end is shown, and begins anew only when the person says so of that very one: two windows, and a page that is loaded
// again, ask once. Nothing passes at an address with a mark, which the person may keep and come back to.
func (a *attempt) browse(ctx context.Context, declared []string) (*Passed, *problem) {
	if refusal := a.repeatable(declared); refusal != nil {
		return nil, refusal
	}
	question, err := a.question()
	if err != nil {
		return nil, notAsked(err)
	}
	a.visit.message = question.Message
	o, found, err := a.config.Store.Asked(ctx, &question)
	if err != nil {
		return nil, unavailable(err)
	}
	here, again := a.here(), a.visit.again
	switch state := a.stateOf(&o); {
	case found && (state == StateAsked || state == StateApproved && (!here || again != "")):
		return nil, a.asks(&o)
	case found && state == StateApproved:
		return a.redeem(ctx, o.ID)
	case !here:
		return nil, &problem{Status: http.StatusUnauthorized, Code: codeRequired, Detail: "nobody was asked yet"}
	case found && again != o.ID:
		return nil, a.ended(&o)
	}
	if o, _, err = a.config.Store.Start(ctx, question); err != nil {
		return nil, notAsked(err)
	}
	return nil, a.asks(&o)
}

// repeatable refuses a request that a browser does not send a second time as it was.
func (a *attempt) repeatable(declared []string) (refusal *problem) {
	for _, name := range declared {
		if fickle(name) && len(a.header(name)) > 0 {
			return notConfirmable(name + " is another one when a browser sends the request again")
		}
	}
	if strings.HasPrefix(a.Asked, "//") || !strings.HasPrefix(a.Asked, "/") || strings.ContainsFunc(a.Asked, unclean) {
		return notConfirmable("its address is not sent again as it is")
	}
	if a.visit.lost {
		return notConfirmable("its address was rewritten, and cannot be asked about once more")
	}
	if a.r.Method == http.MethodGet {
		if len(a.request.Body) > 0 {
			return notConfirmable("a link has no body")
		}
		return nil
	}
	fields, why := fieldsOf(a.r.Header, a.request.Body)
	if why != "" {
		return notConfirmable(why)
	}
	a.visit.fields = fields
	return nil
}

// unclean are characters that a browser writes in another way, or reads as another address.
func unclean(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }

// fickle reports whether a header field depends on how a browser has come to send a request.
func fickle(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "cache-control", "origin", "pragma", "priority", "purpose", "referer", "upgrade-insecure-requests":
		return true
	}
	return strings.HasPrefix(name, "sec-") || strings.HasPrefix(name, "if-")
}

// stateOf is how an operation stands, as a person is shown it.
func (h *Holder) stateOf(o *operation.Operation) State {
	switch o.State {
	case operation.Pending, operation.Delivered:
		return StateAsked
	case operation.Approved:
		if h.config.Now().Before(o.RedeemBy) {
			return StateApproved
		}
	case operation.Redeemed:
		return StatePassed
	case operation.Denied:
		if State(o.Reason) == StateNotMe {
			return StateNotMe
		}
		return StateDenied
	case operation.Failed:
		return StateFailed
	case operation.Cancelled:
		return StateCancelled
	}
	return StateExpired
}

// page is what the person is shown in the place of a problem.
func (a *attempt) page(p *problem) *Page {
	page := p.page(a.Caller)
	switch {
	case p.about != nil:
		a.show(page, p.about)
	case p.Code == codeRequired:
		page.State = StateFirst
	case p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable:
		page.State = StateBusy
	default:
		return page
	}
	if a.visit.message != "" { // it is known what is sent again
		page.Path, page.Post, page.Fields = a.Asked, a.r.Method == http.MethodPost, a.visit.fields
	}
	page.Message = a.visit.message
	return page
}

// show says on a page how an operation stands.
func (a *attempt) show(page *Page, o *operation.Operation) {
	page.State = a.stateOf(o)
	switch page.State {
	case StateAsked:
		page.Number, page.Expires = o.Number, o.AnswerBy
		page.StatusPath = a.statusPath(o.ID)
	case StateApproved:
		page.StatusPath = a.statusPath(o.ID)
	default:
		separator := "?"
		if strings.Contains(a.Asked, "?") {
			separator = "&"
		}
		page.AgainPath = a.Asked + separator + mark + o.ID
	}
}

func (p *problem) page(c *Caller) *Page {
	return &Page{Status: p.Status, Code: p.Code, Detail: p.Detail, Field: p.Field, RetryAfter: p.after, RequestID: c.RequestID}
}

func (c *Caller) statusPath(id string) string { return strings.TrimPrefix(c.StatusURL, c.Site) + id }

// takeBack takes back a question, or its approval where the page is from before that, and says how it stands then.
func (h *Holder) takeBack(r *http.Request, id string, c *Caller) *Page {
	ctx := r.Context()
	o, err := h.config.Store.Find(ctx, id, c.Owner)
	if err == nil {
		o, err = h.withdraw(ctx, &o)
	}
	if err != nil {
		refusal := notFound(err)
		if refusal.cause != nil {
			h.config.Logger.WarnContext(ctx, "taking a question back", "error", refusal.cause)
		}
		return refusal.page(c)
	}
	return &Page{Status: http.StatusOK, State: h.stateOf(&o)}
}
