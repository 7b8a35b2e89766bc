// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Event is the audit event of an attempt.
const Event = "login.attempt"

// Reasons of a refusal that are found here and not by a login module.
const (
	// ReasonAnotherUser is for credentials that were good, but somebody else's.
	ReasonAnotherUser = "another_user"
	// ReasonManyRefused is for an attempt that is not judged, because its address was refused too often.
	ReasonManyRefused = "too_many_refused"
	// ReasonOvertaken is for somebody who was revoked while logging in.
	ReasonOvertaken = "revoked_meanwhile"
	// ReasonEnded is for somebody whose session or request ended while he was proving something for it.
	ReasonEnded = "ended_meanwhile"
	// ReasonUnkept is for somebody whose proof could not be stored.
	ReasonUnkept = "not_kept"
)

// Failed stands, for metrics and the trail, for an attempt that could not be judged.
const Failed = "error"

// Trail keeps the trail of attempts, for realms that have it switched on.
type Trail interface {
	// Record logs and stores an event.
	Record(ctx context.Context, e audit.Event) error
	// Prepare draws the id of an event, and Append stores it in the transaction that keeps what it tells of.
	Prepare(e audit.Event) audit.Event
	Append(tx storage.Tx, e audit.Event) error
	// Log logs an event that is not worth storing: anybody can be throttled as often as he likes.
	Log(ctx context.Context, e audit.Event)
}

// States keeps what challenges carry from one round to the next; [authz.Store] does.
type States interface {
	// KeepRealmState keeps a state as one that nobody has answered yet.
	KeepRealmState(ctx context.Context, request, realm string, state []byte) error
	// SpendRealmState records that the challenge with that state is being answered, and reports whether that is the first time.
	SpendRealmState(ctx context.Context, request, realm string, state []byte) (first bool, err error)
}

// Config describes a [Judge]. All fields but Observe and Limiter are required.
type Config struct {
	Engine *realm.Engine
	Trail  Trail
	States States
	Now    func() time.Time
	// Observe is told how each attempt at a realm ended, for metrics: as its login module judged, or [Failed].
	Observe func(realm, outcome string)
	// Limiter bounds, by address, how many attempts are refused: a login module counts by account, and sees nobody who tries
	// one password on many. Nil admits all.
	Limiter *limit.Limiter
}

// Judge has attempts judged. It keeps nothing in memory but what the limiter does, and is safe for concurrent use.
type Judge struct{ Config }

// New returns a judge, or an error when something is missing.
func New(c Config) (*Judge, error) {
	if c.Engine == nil || c.Trail == nil || c.States == nil || c.Now == nil {
		return nil, errors.New("building the judge of attempts: engine, trail, states and clock are required")
	}
	if c.Observe == nil {
		c.Observe = func(string, string) {}
	}
	return &Judge{c}, nil
}

// Visit is what is known when an attempt is made.
type Visit struct {
	Request authz.Request
	// Session is the zero value when nobody is known yet.
	Session authz.Session
	// Realm is the realm to prove.
	Realm string
	// Expected is the only user who may prove it; empty when anybody may.
	Expected string
	Hint     string
	Locale   string
	// Native tells that an app answers, at the endpoint for apps.
	Native bool
	// ClientName is what people know the request's client by; empty where there is none.
	ClientName string

	spent bool // the realm's last challenge was answered in this visit
}

// Outcome is what an attempt led to: a challenge, or a judgement.
type Outcome struct {
	// Challenge asks for what is missing; Result is then empty.
	Challenge *realm.Challenge
	Result    realm.Result
	// Proof is set when the result is an acceptance.
	Proof realm.Proof
	// Within puts an acceptance on the trail, in the transaction that stores the proof: one that nobody could find afterwards is none.
	// It is nil for a realm that keeps no trail.
	Within authz.Within
	// Another tells that the credentials were good, but those of a user other than the expected one.
	Another bool
	// Early tells that the proof names nobody and was judged in the knowledge of nobody: it waits with the request until somebody
	// proves who he is.
	Early bool

	entry audit.Event // that Within stores
}

// Address returns the part of the caller's address that one party has: by it attempts are counted.
func Address(r *http.Request) string { return limit.Address(httpx.CallerOf(r.Context()).ClientIP) }

// Counted is to be called once the proof of an acceptance has been stored: until then it is none.
func (j *Judge) Counted(r *http.Request, v *Visit, accepted Outcome) {
	j.Observe(v.Realm, string(realm.Accepted))
	if accepted.Within != nil {
		j.Trail.Log(r.Context(), accepted.entry)
	}
}

// Void is to be called with the reason why the proof of an acceptance could not be stored. It puts on the trail that the attempt led to
// nothing, and whose it was. Nil means that its user was revoked meanwhile, or what it was for has ended; any other reason is a fault
// and comes back, as does that of a trail that cannot be written.
func (j *Judge) Void(r *http.Request, v *Visit, accepted Outcome, cause error) error {
	void := realm.Result{Status: realm.Refused, Reason: ReasonEnded, Account: cmp.Or(accepted.Proof.Subject, v.Session.Subject)}
	switch {
	case errors.Is(cause, authz.ErrOvertaken):
		void.Reason = ReasonOvertaken
	case !authz.Gone(cause):
		j.Observe(v.Realm, Failed)
		void.Reason = ReasonUnkept
		if authz.Passing(cause) && !errors.Is(cause, storage.ErrConflict) {
			void.Status = "" // it is logged: the trail cannot be written either, or it is open what was
		}
		return errors.Join(cause, j.record(r, v, void))
	}
	j.Observe(v.Realm, string(realm.Refused))
	return j.record(r, v, void)
}

// Try makes an attempt. Fields are the answers given; nil asks what the realm wants to know, or proves one that asks
// nothing. An acceptance counts when its proof is stored: see [Judge.Counted] and [Judge.Void]. Any other judgement is on the trail
// before it is returned. An error means that the attempt could not be judged.
func (j *Judge) Try(r *http.Request, v *Visit, fields map[string]string) (Outcome, error) {
	address := Address(r)
	if wait := j.Limiter.Wait(address); wait > 0 {
		return j.throttle(r, v, fields, wait)
	}
	in := input(r, v, fields)
	if err := j.spend(r, v, &in); err != nil {
		return Outcome{}, j.failed(r, v, err)
	}
	tried, err := j.Engine.Try(r.Context(), v.Realm, in)
	if err != nil {
		return Outcome{}, j.failed(r, v, err)
	}
	if tried.Challenge != nil {
		return j.asked(r, v, tried.Challenge)
	}
	result := tried.Result
	another := result.Status == realm.Accepted && !v.fits(result.Identity)
	if another {
		result = realm.Result{Status: realm.Refused, Reason: ReasonAnotherUser, Account: result.Identity.Subject}
	}
	if result.Status == realm.Refused && !result.Blameless {
		j.Limiter.Count(address)
	}
	outcome, err := j.judged(r, v, result)
	outcome.Another = another && err == nil
	return outcome, err
}

// asked passes a challenge on. One that follows wrong answers is a refusal too: else whoever is asked again and again could guess
// for as long as the realm is patient, and begin anew then.
func (j *Judge) asked(r *http.Request, v *Visit, c *realm.Challenge) (Outcome, error) {
	if c.Refusal == nil {
		return Outcome{Challenge: c}, nil
	}
	if !c.Refusal.Blameless {
		j.Limiter.Count(Address(r))
	}
	if _, err := j.judged(r, v, realm.Result{Status: realm.Refused, Reason: c.Refusal.Reason}); err != nil {
		return Outcome{}, err
	}
	return Outcome{Challenge: c}, nil
}

// throttle judges nothing that an address presents which was refused too often, be it answers or what comes without being asked
// for, as in a header field. What the realm wants to know it is still told.
func (j *Judge) throttle(r *http.Request, v *Visit, fields map[string]string, wait time.Duration) (Outcome, error) {
	if fields == nil {
		challenge, err := j.Ask(r, v)
		if err != nil {
			return Outcome{}, j.failed(r, v, err)
		}
		if challenge != nil {
			return Outcome{Challenge: challenge}, nil
		}
	}
	return j.judged(r, v, realm.Result{Status: realm.Throttled, Reason: ReasonManyRefused, RetryAfter: wait})
}

// failed counts an attempt that could not be judged.
func (j *Judge) failed(r *http.Request, v *Visit, err error) error {
	j.Observe(v.Realm, Failed)
	return errors.Join(err, j.record(r, v, realm.Result{Reason: Failed}))
}

// Ask returns what the realm asks, without an attempt: nil when it asks nothing.
func (j *Judge) Ask(r *http.Request, v *Visit) (*realm.Challenge, error) {
	return j.Engine.Ask(r.Context(), v.Realm, input(r, v, nil))
}

// Watch waits until the realm's challenge says something else than it said, for most at most, and reports whether it does. It is
// for challenges that are answered elsewhere.
func (j *Judge) Watch(r *http.Request, v *Visit, since string, most time.Duration) (changed bool, err error) {
	return j.Engine.Watch(r.Context(), v.Realm, input(r, v, nil), since, most)
}

// Withdraw takes back what the realm's challenge began, when the request is given up.
func (j *Judge) Withdraw(r *http.Request, v *Visit) error {
	return j.Engine.Withdraw(r.Context(), v.Realm, input(r, v, nil))
}

// spend has the challenge that is answered, if it has kept anything, count as answered before anybody judges the answers: of
// many that come at once, with a guess each, one is the first.
func (j *Judge) spend(r *http.Request, v *Visit, in *realm.Input) error {
	if in.Fields == nil || in.State == nil {
		return nil
	}
	first, err := j.States.SpendRealmState(r.Context(), v.Request.ID, v.Realm, v.Request.RealmState[v.Realm])
	in.Spent, v.spent = !first, first
	return err
}

// Keep keeps what a challenge carries to the next round. Most carry nothing.
func (j *Judge) Keep(r *http.Request, v *Visit, c *realm.Challenge) error {
	if c == nil || c.State == nil {
		return nil
	}
	if kept, ok := v.state(); ok && bytes.Equal(c.State, kept) && !v.spent {
		return nil
	}
	return j.States.KeepRealmState(r.Context(), v.Request.ID, v.Realm, bind(v.subject(), c.State))
}

// bind says in a state whom the challenge that keeps it was made for: a user, whose id stands in front between two NULs. A state
// of a challenge for nobody stands alone, unless it begins with a NUL itself.
func bind(subject string, state []byte) []byte {
	if subject == "" && !bytes.HasPrefix(state, mark) {
		return state
	}
	return slices.Concat(mark, []byte(subject), mark, state)
}

var mark = []byte{0}

// state returns what the realm's last challenge kept, if it was made for nobody or for who is asked now. What one user was asked,
// such as for a code that was sent to him, is not for another to answer, nor for nobody whose proof anybody could take over.
func (v *Visit) state() ([]byte, bool) {
	kept := v.Request.RealmState[v.Realm]
	bound, marked := bytes.CutPrefix(kept, mark)
	if !marked {
		return kept, kept != nil
	}
	subject, state, ok := bytes.Cut(bound, mark)
	return state, ok && (len(subject) == 0 || string(subject) == v.subject())
}

// subject is the user whom the realm is asked about; empty when nobody is known.
func (v *Visit) subject() string {
	if v.Expected != v.Session.Subject {
		return ""
	}
	return v.Session.Subject
}

func (j *Judge) judged(r *http.Request, v *Visit, result realm.Result) (Outcome, error) {
	if result.Status == realm.Accepted {
		return j.accepted(r, v, result)
	}
	if err := j.record(r, v, result); err != nil {
		return Outcome{}, err
	}
	j.Observe(v.Realm, string(result.Status))
	return Outcome{Result: result}, nil
}

// accepted makes a proof of an acceptance, and has it put on the trail where it is stored.
func (j *Judge) accepted(r *http.Request, v *Visit, result realm.Result) (Outcome, error) {
	proven, ok := j.Engine.Realm(v.Realm)
	if !ok {
		return Outcome{}, errors.New("proving a realm that is not defined")
	}
	outcome := Outcome{Result: result, Proof: proven.NewProof(result.Identity, j.Now())}
	if outcome.Proof.Application != nil {
		outcome.Proof.Client = v.Request.ClientID
	}
	if v.Request.Transaction() != nil && realm.Approves(proven.Authenticator) {
		outcome.Proof.Request = v.Request.ID
	}
	// A session whose user the realm was not asked about cannot hold what it says of nobody: somebody else may be signing in.
	outcome.Early = outcome.Proof.Subject == "" && v.subject() == ""
	if proven.Audit {
		e := j.event(r, v, result)
		e.Outcome, e.Subject = audit.Accepted, cmp.Or(result.Identity.Subject, v.Session.Subject)
		e = j.Trail.Prepare(e.From(r.Context()))
		outcome.entry, outcome.Within = e, func(tx storage.Tx) error { return j.Trail.Append(tx, e) }
	}
	return outcome, nil
}

// input is what the realm may know of the caller.
func input(r *http.Request, v *Visit, fields map[string]string) realm.Input {
	caller := httpx.CallerOf(r.Context())
	in := realm.Input{
		Fields:       fields,
		Headers:      r.Header,
		ClientIP:     caller.ClientIP,
		Proxied:      caller.Proxied,
		Certificates: httpx.VerifiedChain(r),
		Locale:       v.Locale,
		Hint:         v.Hint,
		Native:       v.Native,
		Subject:      v.subject(),
		Request:      v.Request.ID,
		Client:       realm.Client{ID: v.Request.ClientID, Name: v.ClientName},
		Transaction:  v.Request.Transaction(),
	}
	if state, ok := v.state(); ok {
		in.State, in.Spent = state, v.Request.RealmSpent[v.Realm] || v.spent
	}
	return in
}

// fits reports whether an identity may prove the realm.
func (v *Visit) fits(identity realm.Identity) bool {
	return v.Expected == "" || identity.Subject == "" || identity.Subject == v.Expected
}

// record puts an attempt that was not accepted on the trail of a realm that keeps one. What was judged is stored; what was not, because
// of a limit or a fault, is logged.
func (j *Judge) record(r *http.Request, v *Visit, result realm.Result) error {
	if tried, ok := j.Engine.Realm(v.Realm); !ok || !tried.Audit {
		return nil
	}
	if result.Status != realm.Refused {
		j.Trail.Log(r.Context(), j.event(r, v, result))
		return nil
	}
	return j.Trail.Record(r.Context(), j.event(r, v, result))
}

// event describes a refusal.
func (j *Judge) event(r *http.Request, v *Visit, result realm.Result) audit.Event {
	caller := httpx.CallerOf(r.Context())
	return audit.Event{
		Name: Event, Outcome: audit.Refused, Reason: result.Reason, Subject: result.Account,
		ClientID: v.Request.ClientID, Realm: v.Realm, SessionID: v.Session.ID,
		ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	}
}
