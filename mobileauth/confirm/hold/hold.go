// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

const (
	// OperationHeader names the operation: in the request that is to pass by it, and in answers about it.
	OperationHeader = "Gatehouse-Operation"
	// NumberHeader is what a caller that waits has to show (RFC 8297), where a number is typed on the phone.
	NumberHeader = "Gatehouse-Number"
)

const (
	// DefaultBody is how large a body may be, in bytes, where the rule says nothing.
	DefaultBody = 64 << 10
	// MaxBody is how large a rule may let it be.
	MaxBody = 1 << 20
	// MaxPrefer is how long a caller may prefer to wait where the rule says nothing.
	MaxPrefer = time.Minute
	// MaxWait is how long a rule may have callers wait.
	MaxWait = operation.MaxTimeToLive
)

// Config describes a [Holder]. Store, Operations and Now are required.
type Config struct {
	Store      *confirm.Store
	Operations *operation.Store
	Now        func() time.Time
	// Logger gets what could not be done. Nil is none.
	Logger *slog.Logger
	Seats  Seats
	// Status bounds how often one user asks how an operation stands. Nil is no bound.
	Status *limit.Limiter
	// Page answers a browser, in which a person has sent a form or followed a link. Nil answers it as every other caller.
	Page func(http.ResponseWriter, *http.Request, *Page)
}

// Holder has requests confirmed. It is safe for concurrent use.
type Holder struct {
	config Config
	room   *room
}

// New returns a holder, or an error that names what is missing.
func New(c Config) (*Holder, error) {
	if c.Store == nil || c.Operations == nil || c.Now == nil {
		return nil, errors.New("creating a holder of requests: Store, Operations and Now are required")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Holder{config: c, room: newRoom(c.Seats)}, nil
}

// Waiting returns how many requests are held.
func (h *Holder) Waiting() int { return h.room.len() }

// Rule is what a route has confirmed, and how.
type Rule struct {
	// Name is different for rules that ask or show something different, and the same on every node.
	Name string
	// Type is the mobile type. Message is what the phone shows, in a language.
	Type     string
	Message  *confirm.Template
	Language string
	// Digits is how many digits are typed on the phone; zero is what is usual.
	Digits int
	// Headers are the fields that are bound beside those of the message.
	Headers []string
	// Body is how large a body may be. Zero is [DefaultBody].
	Body int64
	// Wait is how long a request is held for its answer. Callers may prefer less, or, where it is zero, up to [MaxPrefer].
	Wait time.Duration
}

// Caller is whoever sends a request, as the gate knows them.
type Caller struct {
	// Owner is who, without the rule. One without a user or a session has nobody to ask.
	confirm.Owner
	// ByCookie says that the credential is one which a browser sends by itself. The client is the site's then, which everybody has.
	ByCookie bool
	// Operations are the values of [OperationHeader] that the request came with.
	Operations []string
	// Site is the origin that it was sent to, and Asked its path and query as they came.
	Site, Asked string
	// StatusURL is what the id of an operation is put behind.
	StatusURL string
	// From is where it comes from.
	From      asking.Origin
	RequestID string
	// Good reports whether the credential is good still. It is asked before a request passes.
	Good func() bool
}

// Passed says by what a request passes.
type Passed struct {
	Operation operation.Operation
	// Digest is that of the body, as a field of RFC 9530 has it.
	Digest string
}

// attempt is one request.
type attempt struct {
	*Holder
	*Caller

	rule    *Rule
	w       http.ResponseWriter
	r       *http.Request
	request confirm.Request
	binding confirm.Binding
	visit   *visit               // nil where no page is wanted
	open    *operation.Operation // what the request is to wait for; nil where it is not
}

// Admit lets a request pass that was approved, and then the body of r is what was bound. Otherwise it has answered, and
// returns nil.
func (h *Holder) Admit(w http.ResponseWriter, r *http.Request, rule *Rule, c *Caller) *Passed {
	ctx := audit.WithActor(r.Context(), audit.Actor{
		By: "user:" + c.UserID, ClientID: c.ClientID, ClientIP: address(c), RequestID: c.RequestID,
	})
	a := &attempt{Holder: h, Caller: c, rule: rule, w: w, r: r}
	a.Rule = rule.Name
	if h.config.Page != nil && c.ByCookie && len(c.Operations) == 0 && navigates(r) {
		a.begin()
	}
	passed, refusal := a.run(ctx)
	switch {
	case refusal == nil:
		return passed
	case ctx.Err() != nil: // nobody is left to answer
		return nil
	case refusal.cause != nil && refusal.Status >= http.StatusInternalServerError:
		h.config.Logger.WarnContext(ctx, "having a request confirmed", "error", refusal.cause, "request_id", c.RequestID)
	}
	if a.visit != nil {
		refusal.announce(w.Header())
		h.config.Page(w, r, a.page(refusal))
		return nil
	}
	refusal.write(w)
	return nil
}

func address(c *Caller) string {
	if !c.From.Address.IsValid() {
		return ""
	}
	return c.From.Address.String()
}

// run judges the request, and has it wait between its steps. A request waits here and not inside a step, whose stack would be kept as
// long: many wait at once.
func (a *attempt) run(ctx context.Context) (*Passed, *problem) {
	passed, refusal := a.first(ctx)
	for a.open != nil {
		passed, refusal = a.hold(ctx)
	}
	return passed, refusal
}

// first takes the request as it came.
func (a *attempt) first(ctx context.Context) (*Passed, *problem) {
	if a.UserID == "" || a.Session == "" {
		return nil, &problem{Status: http.StatusForbidden, Code: codeNeedsUser, Detail: "only a user of this issuer can confirm a request"}
	}
	if len(a.Operations) > 1 {
		return nil, notConfirmable("more than one " + OperationHeader)
	}
	declared := slices.Concat(a.rule.Headers, a.rule.Message.Headers())
	if refusal := check(a.r, declared); refusal != nil {
		return nil, refusal
	}
	if a.ByCookie && a.visit == nil && elsewhere(a.r) {
		return nil, &problem{Status: http.StatusForbidden, Code: codeElsewhere, Detail: "only a person or a script of this site has anybody asked"}
	}
	body, refusal := read(a.r, cmp.Or(a.rule.Body, DefaultBody))
	if refusal != nil {
		return nil, refusal
	}
	a.request = confirm.Request{
		Method: a.r.Method, Origin: a.Site, Asked: a.Asked, Path: a.r.URL.EscapedPath(), Query: a.r.URL.RawQuery,
		Header: a.header, Body: body,
	}
	a.binding = confirm.Bind(&a.request, declared)
	switch {
	case a.visit != nil:
		return a.browse(ctx, declared)
	case len(a.Operations) == 1:
		return a.redeem(ctx, a.Operations[0])
	}
	return a.ask(ctx)
}

func (a *attempt) header(name string) []string { return a.r.Header[http.CanonicalHeaderKey(name)] }

// client is whose seats a caller takes beside those of the user; empty where the client is everybody's.
func (c *Caller) client() string {
	if c.ByCookie {
		return ""
	}
	return c.ClientID
}

// ask asks the user, and waits for the answer where that is wished.
func (a *attempt) ask(ctx context.Context) (*Passed, *problem) {
	question, err := a.question()
	if err != nil {
		return nil, notAsked(err)
	}
	o, _, err := a.config.Store.Start(ctx, question)
	if err != nil {
		return nil, notAsked(err)
	}
	return nil, a.waits(&o)
}

// question is what the user is asked about the request.
func (a *attempt) question() (confirm.Question, error) {
	message, err := a.rule.Message.Render(&a.request)
	return confirm.Question{
		Owner: a.Owner, Binding: a.binding, Type: a.rule.Type, Message: message, Language: a.rule.Language,
		Address: a.From.Address, UserAgent: a.From.UserAgent, Digits: a.rule.Digits,
		Common: a.ByCookie,
	}, err
}

// stale refuses a request whose token has ended since it was judged.
func (a *attempt) stale() *problem {
	if a.Good == nil || a.Good() {
		return nil
	}
	return &problem{Status: http.StatusUnauthorized, Code: codeToken, Detail: "the token has ended while the request was held"}
}

// redeem has the request pass by an operation that the caller names, or has waited for. The body, or the answer, may have been long
// on its way.
func (a *attempt) redeem(ctx context.Context, id string) (*Passed, *problem) {
	if refusal := a.stale(); refusal != nil {
		return nil, refusal
	}
	redeemed, err := a.config.Store.Redeem(ctx, id, a.Owner, a.binding)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case redeemed.Code == operation.Accepted:
		return &Passed{Operation: redeemed.Operation, Digest: confirm.ContentDigest(a.request.Body)}, nil
	case !redeemed.Fits || redeemed.Code != operation.Gone:
		return nil, refused()
	}
	o, err := a.config.Store.Find(ctx, id, a.Owner)
	switch {
	case err != nil:
		return nil, unavailable(err)
	case !o.State.Open():
		return nil, a.ended(&o)
	}
	return nil, a.waits(&o)
}

// wait returns how long this request is to be held.
func (a *attempt) wait() time.Duration {
	most := a.rule.Wait
	wish, wishes := preferred(a.r.Header)
	if !wishes {
		return most
	}
	if most == 0 {
		most = MaxPrefer
	}
	return min(wish, most)
}

// waits has the request wait for an operation, or says that it was asked about where nobody wishes to wait.
func (a *attempt) waits(o *operation.Operation) *problem {
	if a.wait() <= 0 {
		return a.asks(o)
	}
	a.open = o
	return nil
}

// hold waits for the answer. The seat, and with it the place of the request, is given back however it ends.
func (a *attempt) hold(ctx context.Context) (*Passed, *problem) {
	o := a.open
	a.open = nil
	leave, ok := a.room.take(a.client(), a.UserID, len(a.request.Body))
	if !ok {
		return nil, &problem{
			Status: http.StatusServiceUnavailable, Code: codeBusy, Detail: "too many requests wait; ask at status_url",
			after: 5 * time.Second, standing: a.stands(o),
		}
	}
	defer leave()
	if o.State.Open() {
		a.tell(o)
	}
	err := a.await(ctx, o, a.wait())
	switch {
	case err != nil:
		return nil, unavailable(err)
	case o.State.Open():
		return nil, a.asks(o)
	case o.State != operation.Approved:
		return nil, a.ended(o)
	}
	return a.redeem(ctx, o.ID)
}

// await waits until an operation is open no more, or for so long, and leaves in o how it stands then.
func (h *Holder) await(ctx context.Context, o *operation.Operation, wait time.Duration) (err error) {
	until := h.config.Now().Add(wait)
	for o.State.Open() && err == nil {
		left := until.Sub(h.config.Now())
		if left <= 0 {
			break
		}
		*o, err = h.config.Operations.Wait(ctx, o.ID, o.Version, left)
	}
	return err
}

// tell says what is waited for, to callers that show what comes before the answer (RFC 8297, RFC 9110 15.2).
func (a *attempt) tell(o *operation.Operation) {
	if !a.r.ProtoAtLeast(1, 1) {
		return
	}
	h := a.w.Header()
	h.Set(OperationHeader, o.ID)
	if o.Number != "" {
		h.Set(NumberHeader, o.Number)
	}
	a.w.WriteHeader(http.StatusEarlyHints)
	h.Del(OperationHeader)
	h.Del(NumberHeader)
}

// AskBy returns what a [confirm.Store] asks by: the type of the question, and nothing that it could fall back to. Over another
// channel nobody would sign what is shown.
func AskBy(service *asking.Service) func(context.Context, confirm.Operations, *confirm.Question) (operation.Operation, bool, error) {
	return func(ctx context.Context, over confirm.Operations, q *confirm.Question) (operation.Operation, bool, error) {
		return service.With(over).Start(ctx, asking.Request{
			Type: q.Type, Kind: operation.Authorisation, UserID: q.UserID, ClientID: q.ClientID, Message: q.Message,
			Language: q.Language, Origin: asking.Origin{Address: q.Address, UserAgent: q.UserAgent},
			Fallback: mobiletype.NoFallback, NumberMatch: q.Digits,
		})
	}
}
