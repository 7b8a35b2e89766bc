// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/view"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// showOperation returns an operation as the caller sees it.
func (c *call) showOperation(o *operation.Operation) view.Operation {
	return view.Of(o, view.To{Mine: o.ClientID == c.caller.ClientID, Issuer: c.api.config.Issuer, Prefix: c.api.prefix})
}

func (c *call) sendOperation(status int, o operation.Operation) error {
	return c.sendVersion(status, o.Version, c.showOperation(&o))
}

// sees reports whether the caller may know of an operation.
func (c *call) sees(o *operation.Operation) bool {
	return o.ClientID == c.caller.ClientID || c.caller.Scopes.Has(ScopeAllOperations)
}

// seesUserOf reports whether the caller may know of an operation that it is a certain user's.
func (c *call) seesUserOf(o *operation.Operation) bool { return c.sees(o) && !o.Nameless() }

// operationOf returns the operation of the path, if the caller may know of it.
func (a *API) operationOf(c *call) (operation.Operation, error) {
	o, err := a.config.Operations.Get(c.r.Context(), c.r.PathValue("operation"))
	if err == nil && !c.sees(&o) {
		return operation.Operation{}, storage.ErrNotFound
	}
	return o, err
}

// newOperation is the body of a call that asks a person.
type newOperation struct {
	UserID          string            `json:"user_id"`
	UserExternalRef string            `json:"user_external_ref"`
	DeviceID        string            `json:"device_id"`
	Application     string            `json:"application"`
	ExternalID      string            `json:"external_id"`
	Methods         []string          `json:"methods"`
	Context         operation.Context `json:"context"`
	TimeToLive      *int              `json:"time_to_live"`
	NumberMatch     *int              `json:"number_match"`
	CallbackURL     string            `json:"callback_url"`
	byType
}

// startOperation starts an operation of the kind in the path.
func (a *API) startOperation(c *call) error {
	switch kind := operation.Kind(c.r.PathValue("operation")); kind {
	case operation.Registration:
		return a.startRegistration(c)
	case operation.Authentication, operation.Authorisation, operation.Signature:
		return a.ask(c, kind)
	}
	if strings.HasPrefix(c.r.PathValue("operation"), "op_") {
		c.w.Header().Set("Allow", http.MethodGet)
		return wire.New(wire.MethodNotAllowed, "")
	}
	return wire.New(wire.NotFound, "there is no such kind of operation")
}

func (a *API) ask(c *call, kind operation.Kind) error {
	key, err := wire.IdempotencyKey(c.r)
	if err != nil {
		return err
	}
	var in newOperation
	if err := c.body(&in); err != nil {
		return err
	}
	userID, err := a.askedUser(c.r.Context(), in.UserID, in.UserExternalRef, in.Type)
	if err != nil {
		return err
	}
	start := operation.Start{
		Kind: kind, UserID: userID, DeviceID: in.DeviceID, Application: in.Application, ClientID: c.caller.ClientID,
		ExternalID: in.ExternalID, IdempotencyKey: key, Methods: in.Methods, Context: in.Context, Callback: in.CallbackURL,
		Traceparent: c.trace.Parent,
	}
	if start.TimeToLive, err = seconds(in.TimeToLive); err != nil {
		return err
	}
	if start.NumberMatch, err = digits(in.NumberMatch); err != nil {
		return err
	}
	if err := a.checkCallback(c, in.CallbackURL); err != nil {
		return err
	}
	var o operation.Operation
	var created bool
	switch {
	case in.Type == "" && in.byType != (byType{}):
		return wire.New(wire.InvalidValue, "only a type is asked in these ways").With("type", "want the mobile type")
	case in.Type == "":
		o, created, err = a.config.Operations.Start(c.r.Context(), start)
	case len(in.Methods) > 0:
		return wire.New(wire.InvalidValue, "").With("methods", "the type says how it is answered")
	default:
		o, created, err = a.askByType(c, start, &in.byType)
	}
	if err != nil {
		return err
	}
	return c.sendOperation(c.started(o.ID, created), o)
}

// started sets the headers of a start and returns its status: 200 when the same request was made before.
func (c *call) started(id string, created bool) int {
	c.w.Header().Set("Location", c.r.URL.Path[:strings.LastIndexByte(c.r.URL.Path, '/')+1]+id)
	if created {
		return http.StatusCreated
	}
	c.w.Header().Set("Idempotent-Replayed", "true")
	return http.StatusOK
}

// nobody is a user who is not there: what a reference that nobody has stands for, where the answer is the same for both.
const nobody = "usr_nobody"

// askedUser finds out who is asked. A reference that nobody has is refused like a user who cannot be asked. A type may be one that
// is put to whoever scans it, so with one nobody need be named.
func (a *API) askedUser(ctx context.Context, id, ref, typ string) (string, error) {
	switch {
	case id == "" && ref == "" && typ != "":
		return "", nil
	case (id == "") == (ref == ""):
		return "", wire.New(wire.InvalidValue, "say who is asked").With("user_id", "want either user_id or user_external_ref")
	case id != "":
		return id, nil
	}
	u, err := a.config.Users.ByExternalRef(ctx, ref)
	switch {
	case errors.Is(err, storage.ErrNotFound) && typ != "":
		return nobody, nil
	case errors.Is(err, storage.ErrNotFound):
		return "", operation.ErrUser
	}
	return u.ID, err
}

// seconds reads a time to live. What is too long the operation refuses itself.
func seconds(n *int) (time.Duration, error) {
	const most = int(operation.MaxTimeToLive / time.Second)
	switch {
	case n == nil:
		return 0, nil
	case *n < 1 || *n > most:
		return 0, wire.New(wire.InvalidValue, "").With("time_to_live", "want 1 to "+strconv.Itoa(most)+" seconds")
	}
	return time.Duration(*n) * time.Second, nil
}

// digits reads how many digits are to be typed: 0 is none, and nothing said is the default.
func digits(n *int) (int, error) {
	switch {
	case n == nil:
		return 0, nil
	case *n == 0:
		return operation.NoNumber, nil
	case *n < operation.MinNumber || *n > operation.MaxNumber:
		return 0, wire.New(wire.InvalidValue, "").With("number_match", "want 0, or 2 to 8 digits")
	}
	return *n, nil
}

func (a *API) checkCallback(c *call, url string) error {
	if url == "" {
		return nil
	}
	refused := wire.New(wire.InvalidValue, "callback URLs are those that the operator has listed for the client")
	if a.config.Callbacks == nil {
		return refused.With("callback_url", "no callback is configured")
	}
	if err := a.config.Callbacks.Allowed(c.caller.ClientID, url); err != nil {
		return refused.With("callback_url", "is not one of them").Because(err)
	}
	return nil
}

func (a *API) listOperations(c *call) error {
	query, p, err := c.paged("user_id", "external_id")
	if err != nil {
		return err
	}
	user, external := query["user_id"], query["external_id"]
	if (user == "") == (external == "") {
		return wire.New(wire.InvalidParameter, "search by user_id or by external_id")
	}
	read := func(after string) ([]operation.Operation, error) {
		if user != "" {
			return a.config.Operations.ListByUser(c.r.Context(), user, after, p.Limit)
		}
		return a.config.Operations.ByExternalID(c.r.Context(), c.caller.ClientID, external, after, p.Limit)
	}
	may := c.sees
	if user != "" {
		may = c.seesUserOf
	}
	seen, more, err := c.seen(p, may, read)
	if err != nil {
		return err
	}
	answer := struct {
		Operations []view.Operation `json:"operations"`
		Next       string           `json:"next,omitempty"`
	}{Operations: []view.Operation{}}
	for i := range seen {
		answer.Operations = append(answer.Operations, c.showOperation(&seen[i]))
	}
	if more {
		answer.Next = wire.Cursor(p.List, seen[len(seen)-1].ID)
	}
	return c.send(http.StatusOK, answer)
}

// seen reads a page of those operations that the caller may know of, and whether there are more of them. The others leave no
// trace: neither in the cursor, nor in that a page is short, nor in that it has a next.
func (c *call) seen(p wire.Page, may func(*operation.Operation) bool, read func(after string) ([]operation.Operation, error)) (
	seen []operation.Operation, more bool, err error,
) {
	for after := p.After; ; {
		found, err := read(after)
		if err != nil {
			return nil, false, err
		}
		for i := range found {
			if !may(&found[i]) {
				continue
			}
			if len(seen) == p.Limit {
				return seen, true, nil
			}
			seen = append(seen, found[i])
		}
		if len(found) < p.Limit {
			return seen, false, nil
		}
		after = found[len(found)-1].ID
	}
}

// showOperation tells where an operation stands. With wait it answers when the operation has ended, or, where the request says
// which version it knows, when there is another; at the latest when the time is over.
func (a *API) showOperation(c *call) error {
	query, err := c.params("wait", "version")
	if err != nil {
		return err
	}
	wait, err := waitOf(query["wait"])
	if err != nil {
		return err
	}
	known, err := versionParam(query["version"])
	if err != nil {
		return err
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	if wait > 0 {
		if o, err = a.await(c, o, known, wait); err != nil {
			return err
		}
	}
	return c.sendOperation(http.StatusOK, o)
}

// await waits for what showOperation says. Where too many wait already, the caller gets what there is and is told to come back.
func (a *API) await(c *call, o operation.Operation, known uint64, wait time.Duration) (operation.Operation, error) {
	until := a.config.Now().Add(wait)
	for o.State.Open() && (known == 0 || o.Version <= known) {
		left := until.Sub(a.config.Now())
		if left <= 0 {
			break
		}
		next, err := a.config.Operations.Wait(c.r.Context(), o.ID, o.Version, left)
		if errors.Is(err, operation.ErrBusy) {
			c.w.Header().Set("Retry-After", "2")
			return next, nil
		}
		if err != nil {
			return o, err
		}
		if next.Version == o.Version && next.State == o.State {
			return next, nil // the time is over
		}
		o = next
	}
	return o, nil
}

var validWait = regexp.MustCompile(`^([0-9]{1,4})s?$`)

// waitOf reads how long a request waits: seconds, with or without the unit. More than [operation.MaxWait] is that.
func waitOf(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	match := validWait.FindStringSubmatch(text)
	if match == nil {
		return 0, wire.New(wire.InvalidParameter, "").With("wait", "want seconds, such as 30s")
	}
	n, err := strconv.Atoi(match[1])
	return min(time.Duration(n)*time.Second, operation.MaxWait), err
}

func versionParam(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	version, err := strconv.ParseUint(text, 10, 63)
	if err != nil || version == 0 {
		return 0, wire.New(wire.InvalidParameter, "").With("version", "want the version of the operation that you know")
	}
	return version, nil
}

func (a *API) cancelOperation(c *call) error {
	in := reasoned{Reason: "client"}
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	if o, err = a.end(c, o, in.Reason); err != nil {
		return err
	}
	return c.sendOperation(http.StatusOK, o)
}

// redeemOperation uses an approval up. Only the client that started the operation may, whatever its scopes.
func (a *API) redeemOperation(c *call) error {
	if err := c.optionalBody(&struct{}{}); err != nil {
		return err
	}
	o, err := a.operationOf(c)
	if err != nil {
		return err
	}
	if o.ClientID != c.caller.ClientID {
		return wire.New(wire.InvalidState, "only the client that started an operation redeems it")
	}
	outcome, err := a.config.Operations.Redeem(c.r.Context(), o.ID, c.caller.ClientID)
	switch {
	case err != nil:
		return err
	case outcome.Code != operation.Accepted:
		return wire.New(wire.InvalidState, "the operation is not approved, or was redeemed, or it is too late, or it is the server that redeems it")
	}
	return c.sendOperation(http.StatusOK, outcome.Operation)
}

// standing is what counts for and against a user.
type standing struct {
	Open         []string  `json:"open"`
	Failures     int       `json:"failures"`
	BlockedUntil time.Time `json:"blocked_until,omitzero"`
	Blocked      bool      `json:"blocked"`
	NotMe        bool      `json:"not_me"`
	Pushes       int       `json:"pushes"`
}

func (a *API) showStanding(c *call) error {
	if _, err := c.params(); err != nil {
		return err
	}
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	s, err := a.config.Operations.Standing(c.r.Context(), u.ID)
	if err != nil {
		return err
	}
	open, err := a.openTo(c, s.Open)
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, standing{
		Open: open, Failures: s.Failures, BlockedUntil: s.BlockedUntil, Blocked: s.Barred || !s.BlockedUntil.IsZero(),
		NotMe: s.NotMe, Pushes: s.Pushes,
	})
}

// openTo returns those of a user's open operations that the caller may know of.
func (a *API) openTo(c *call, ids []string) ([]string, error) {
	open := []string{}
	for _, id := range ids {
		o, err := a.config.Operations.Get(c.r.Context(), id)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case c.seesUserOf(&o):
			open = append(open, id)
		}
	}
	return open, nil
}

// unblockUser forgets wrong answers, and that the user said that somebody else begins operations.
func (a *API) unblockUser(c *call) error {
	var in reasoned
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	u, err := a.config.Users.Get(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	if err := a.config.Operations.Unblock(c.r.Context(), u.ID, in.Reason); err != nil {
		return err
	}
	return c.sendNothing(http.StatusNoContent)
}
