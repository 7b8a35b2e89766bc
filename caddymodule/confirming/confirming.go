// SPDX-License-Identifier: Apache-2.0

package confirming

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/site"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth/asking"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/validation"
)

// Limits of what one client, and one user, may have others asked, and of how often a user asks how it stands.
const (
	clientBurst, clientEvery = 600, 100 * time.Millisecond
	userBurst, userEvery     = 20, 6 * time.Second
	statusBurst, statusEvery = 60, time.Second
	limiterKeys              = 100_000
)

// Parts is what requests are confirmed with. All fields but Theme are required.
type Parts struct {
	Issuer string
	DB     storage.DB
	Phones *phones.Phones
	Trail  *audit.Trail
	Now    func() time.Time
	Logger *slog.Logger
	// Theme is laid over the pages. Nil leaves them as they are.
	Theme fs.FS
}

// Confirming has the requests of all rules of a configuration confirmed. It is safe for concurrent use.
type Confirming struct {
	parts  Parts
	holder *hold.Holder
	pages  *web.Renderer // nil while there is no rule
}

// New builds it. It reads and writes nothing.
func New(p Parts) (*Confirming, error) {
	limiters := make([]*limit.Limiter, 3)
	for i, c := range []limit.Config{
		{Burst: clientBurst, Every: clientEvery}, {Burst: userBurst, Every: userEvery}, {Burst: statusBurst, Every: statusEvery},
	} {
		c.Keys, c.Now = limiterKeys, p.Now
		var err error
		if limiters[i], err = limit.New(c); err != nil {
			return nil, fmt.Errorf("confirming: %w", err)
		}
	}
	store, err := confirm.New(confirm.Config{
		DB: p.DB, Operations: p.Phones.Operations(), Ask: hold.AskBy(p.Phones.Asking()), Audit: p.Trail, Now: p.Now,
		Window: operation.MaxTimeToLive, Clients: limiters[0], Users: limiters[1],
	})
	if err != nil {
		return nil, fmt.Errorf("confirming: %w", err)
	}
	c := &Confirming{parts: p}
	c.holder, err = hold.New(hold.Config{
		Store: store, Operations: p.Phones.Operations(), Now: p.Now, Logger: p.Logger, Status: limiters[2], Page: c.show,
	})
	if err != nil {
		return nil, fmt.Errorf("confirming: %w", err)
	}
	return c, nil
}

// Rule is a rule by which requests are confirmed.
type Rule struct {
	confirming *Confirming
	rule       *hold.Rule
}

// Rule returns the rule of a configuration that was checked. Besides is what the route asks for beside a confirmation: an approval
// under a rule that asks for something else is none.
func (c *Confirming) Rule(config *Config, besides any) (*Rule, error) {
	rule, err := config.rule(besides)
	if err != nil {
		return nil, err
	}
	if err := c.openPages(); err != nil {
		return nil, err
	}
	return &Rule{confirming: c, rule: rule}, nil
}

// Incoming is a request that the gate has let pass.
type Incoming struct {
	Principal *validation.Principal
	// BySession says that it was the site's cookie.
	BySession bool
	// Origin is the origin that it was sent to.
	Origin string
	// Operations are the values of the header field that names an operation, as they came.
	Operations []string
	// Again has the gate judge the request once more. Who asks how an operation stands needs it not.
	Again func() site.Decision
}

// Admit lets a request pass that its user has approved, and says what that was. Where it does not it has answered, and returns nil.
func (r *Rule) Admit(w http.ResponseWriter, req *http.Request, in *Incoming) *tokens.Confirmed {
	caller := r.confirming.caller(req, in)
	caller.Good = func() bool {
		d := in.Again()
		return !d.Done && d.Err == nil && d.Principal != nil && d.Principal.Subject == in.Principal.Subject
	}
	passed := r.confirming.holder.Admit(w, req, r.rule, caller)
	if passed == nil {
		return nil
	}
	return &tokens.Confirmed{
		Operation: passed.Operation.ID, Device: passed.Operation.AnsweredBy, Method: req.Method, URI: req.URL.RequestURI(), Digest: passed.Digest,
	}
}

// ServeStatus answers how an operation stands.
func (c *Confirming) ServeStatus(w http.ResponseWriter, r *http.Request, id string, in *Incoming) {
	c.holder.ServeStatus(w, r, id, c.caller(r, in))
}

// caller returns who sends a request: a user of ours, or nobody who could be asked.
func (c *Confirming) caller(r *http.Request, in *Incoming) *hold.Caller {
	caller := &hold.Caller{
		ByCookie: in.BySession, Operations: in.Operations, Site: in.Origin, Asked: asked(r), StatusURL: in.Origin + authz.PathSiteConfirm,
		RequestID: requestID(r.Context()), From: asking.Origin{UserAgent: r.UserAgent()},
	}
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		if address, err := netip.ParseAddr(ip); err == nil {
			caller.From.Address = address
		}
	}
	p := in.Principal
	if p == nil || p.Issuer != c.parts.Issuer || p.GrantID == "" {
		return caller // another issuer's user may have the name of one of ours; a client by itself is no user
	}
	caller.Owner = confirm.Owner{UserID: p.Subject, ClientID: p.ClientID, Session: "grant:" + p.GrantID}
	if p.SessionID != "" {
		caller.Session = "session:" + p.SessionID
	}
	return caller
}

// asked returns the path and query as they came, before Caddy rewrote them.
func asked(r *http.Request) string {
	if original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && original.RequestURI != "" {
		return original.RequestURI
	}
	return r.URL.RequestURI()
}

// requestID ties an answer to its log lines.
func requestID(ctx context.Context) string {
	repl, ok := ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	id, _ := repl.GetString("http.request.uuid")
	return id
}

// nobody takes what is answered and tells nobody.
type nobody struct{ header http.Header }

// Nobody returns a writer that nobody reads: for a decision that is only looked at.
func Nobody() http.ResponseWriter { return &nobody{header: http.Header{}} }

// Header returns fields that are not sent.
func (n *nobody) Header() http.Header { return n.header }

// Write takes everything.
func (*nobody) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader takes any status.
func (*nobody) WriteHeader(int) {}
