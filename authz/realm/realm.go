// SPDX-License-Identifier: Apache-2.0

package realm

import (
	"context"
	"crypto/x509"
	"time"
)

// Realm is a named security check.
type Realm struct {
	Name          string
	Authenticator Authenticator
	LoginModule   LoginModule
	// MaxAge is how long a proof of this realm counts. It must be positive.
	MaxAge time.Duration
	// Timeout bounds one round, whatever its guests do: one that has not ended by then is a refusal with an error. It is at most
	// [MaxTimeout]. Default: the engine's.
	Timeout time.Duration
	// Audit records every attempt, accepted or refused.
	Audit bool
	// Users names the people that the login module's own ids belong to; see [Identity.ExternalID]. Realms that find the same
	// people in different ways share a name. Default: the realm's name.
	Users string
}

// Authenticator collects credentials. Implementations are safe for concurrent use and keep nothing between calls: what
// must survive to the next round goes into [Challenge.State].
type Authenticator interface {
	// Collect returns the credentials found in the input, or, when something is missing, the challenge that asks for it
	// and no credentials. An error means that collecting broke; the request is denied.
	Collect(ctx context.Context, in Input) (Credentials, *Challenge, error)
}

// LoginModule verifies credentials. Implementations are safe for concurrent use and bounded in time by ctx.
type LoginModule interface {
	// Verify judges the credentials. A refusal is a [Result], not an error. An error means that judging broke; the request
	// is denied. An unknown user, a user who may not log in and a wrong secret look and take the same.
	Verify(ctx context.Context, credentials Credentials) (Result, error)
}

// NeedsLogin is implemented by login modules that find a user by the login name that was typed and by nothing else, such as
// those that ask a directory which knows nothing of the issuer's users.
type NeedsLogin interface{ NeedsLogin() bool }

// ShowsTransaction is implemented by authenticators through which nobody answers without having been shown [Input.Transaction]: on a
// phone, on the page that has their fields, or by the app that renders them. What is proven through any other approves nothing.
type ShowsTransaction interface{ ShowsTransaction() bool }

// Approves reports whether an authenticator is one of those that [ShowsTransaction] is for.
func Approves(a any) bool {
	shows, ok := a.(ShowsTransaction)
	return ok && shows.ShowsTransaction()
}

// Input is what a caller presented in one round.
type Input struct {
	// Realm is the name of the realm that is tried, and Identifies tells that it is one of those that determine the user. The engine
	// fills them in.
	Realm      string
	Identifies bool
	// Request names the request that the answers are for, and Client is the application that it came from.
	Request string
	Client  Client
	// Fields are the submitted answers by field name; nil in the first round.
	Fields map[string]string
	// Headers are the request's header fields in canonical form, for authenticators that read one. Where a face knows the app by
	// its Authorization field, that is not among them: it is the app's and nobody's password.
	Headers map[string][]string
	// ClientIP is the address the server's operator trusts to be the caller's.
	ClientIP string
	// Proxied tells that the connection comes from a proxy that the operator trusts: only then a header may say who is asking.
	Proxied bool
	// Certificates is the caller's certificate with its chain, as the server has verified it; empty when it has not.
	Certificates []*x509.Certificate
	// Locale is the language the caller reads, as a BCP 47 tag; empty when nobody knows.
	Locale string
	// Subject is the user the security context already belongs to; empty when nobody is known yet.
	Subject string
	// Hint is the login name the application suggested (login_hint); it proves nothing.
	Hint string
	// NeedsLogin tells that the realm's login module cannot do without the login name, even of a user who is known.
	NeedsLogin bool
	// State is what the realm's previous challenge in this request kept.
	State []byte
	// Native tells that the answers come from an app that was let in to answer challenges by itself, and not from a page, which
	// anybody can fill in.
	Native bool
	// Transaction is what is approved with the proof; nil where it says no more than who somebody is.
	Transaction *Transaction
	// Spent tells that this challenge was answered before, whatever became of it. A realm that counts tries by what it keeps
	// takes no further answers to it, or many that are sent at once would all be the first.
	Spent bool
}

// Transaction is what a proof, given now, approves beside who somebody is: a payment, say (RFC 9396). An authenticator that can
// show something shows the message as it is, and has the answer bound to the details.
type Transaction struct {
	// Request is the one request that the approval is for.
	Request string
	// Message is plain text in the caller's language, fit to be shown (mobileauth/shown).
	Message string
	// Details is the authorization_details as granted: a JSON array.
	Details []byte
}

// Credentials is what an authenticator collected. It never reaches a log.
type Credentials struct {
	Values map[string]string
	// Identity is who the caller is by the authenticator's own knowledge, for one that judges by itself: a certificate that was
	// verified, a back end that has decided. No answer of a caller's gets into it.
	Identity *Identity
	// Refusal is the no of an authenticator that judges by itself. No login module is asked then.
	Refusal *Refusal
	// Realm is the name of the realm they were collected for; the engine fills it in, and the locale when it is empty.
	Realm    string
	ClientIP string
	Locale   string
	Subject  string
}

// Refusal is what an authenticator has against somebody. There is no way for it to accept anybody.
type Refusal struct {
	// Reason is for the audit trail alone and never shown.
	Reason string
	// RetryAfter says when the next attempt counts; zero when it is not a matter of time.
	RetryAfter time.Duration
	// Notice is what people are told; it never says why a secret was wrong.
	Notice *Notice
	// Blameless is what it says of a [Result].
	Blameless bool
}

// result is the refusal as a judgement.
func (r *Refusal) result() Result {
	status := Refused
	if r.RetryAfter > 0 {
		status = Throttled
	}
	return Result{Status: status, Reason: r.Reason, RetryAfter: r.RetryAfter, Notice: r.Notice, Blameless: r.Blameless}
}

// Challenge says what is missing, in terms any face can render.
type Challenge struct {
	// Fields are asked of the caller, in order.
	Fields []Field
	// Message is the key of a text shown above the fields, or the text itself; empty shows none.
	Message string
	// Further tells that the answers of the round before were good, and that this asks for more.
	Further bool
	// Refusal is what the authenticator has against the answers of the round before, though it asks for others: they were a guess,
	// which counts and is on the trail as if it had ended there. It is never shown.
	Refusal *Refusal
	// Refused is a text, or the key of one, that pages show instead of the usual one after a refusal, whatever was wrong.
	Refused string
	// Submit is the key of the text of the button under the fields, or the text itself; empty is the usual one. Apps do not see it.
	Submit string
	// Stuck tells that no answer from a page leads on: there is no button to send one.
	Stuck bool
	// Template names the operator's own page for the challenge; empty is the common one. Apps do not see it.
	Template string
	// Data says more to an app that has a screen of its own for this realm. Pages do not show it.
	Data map[string]string
	// Notice is shown above everything else.
	Notice *Notice
	// Wait tells that the challenge is answered elsewhere; nil for all others. Actions are what else can be done about it.
	Wait    *Wait
	Actions []Action
	// State is kept on the server and handed to the next round, unless it was kept for a user and another one, or nobody, is there
	// by then.
	State []byte
}

// Field is one thing asked of the caller.
type Field struct {
	Name         string
	Label        string // key of a text, or the text itself
	Type         string // an HTML input type; hidden for what goes back as it came, without being shown
	Value        string
	Autocomplete string
	InputMode    string
	Required     bool
}

// Notice is something that people are told whatever else happens: that there is an update, that an app is switched off.
type Notice struct {
	// ID tells notices apart, so that an app shows each once.
	ID string
	// Text is in the language of the caller.
	Text string
	// URL leads to what the notice speaks of; empty for none.
	URL string
}

// Status is how a login module judged.
type Status string

// Judgements of a login module.
const (
	Accepted  Status = "accepted"
	Refused   Status = "refused"
	Throttled Status = "throttled" // too many attempts; RetryAfter says when the next one counts
	Busy      Status = "busy"      // the server is at its limit and did not judge; RetryAfter says when to come back
)

// Result is a login module's judgement.
type Result struct {
	Status     Status
	Identity   Identity      // set when accepted
	RetryAfter time.Duration // set when throttled or busy
	// Reason is for the audit trail alone and never shown.
	Reason string
	// Account is, for the audit trail alone, the user that the credentials were about, whether or not they were good.
	Account string
	// Notice is what people are told with the judgement; it never says why a secret was wrong.
	Notice *Notice
	// Blameless says of a refusal that no secret was wrong: it is no guess, and counts against no address. When a version of an app
	// is switched off, thousands are refused at once, and many of them share an address.
	Blameless bool
}

// Identity is who a login module says the caller is.
type Identity struct {
	Subject string // stable and unique; empty for a realm that proves something but nobody's identity
	// ExternalID is what the user is called where the login module found him, by a module that does not know the issuer's
	// users. The engine finds the user it belongs to and sets the subject.
	ExternalID string
	Name       string   // for display
	AMR        []string // authentication methods (RFC 8176)
	Device     string   // the device that proved it, where there is one
	// Attestation says where the key of the device was shown to be: "hardware", "tee" or "software"; empty where that is not known.
	Attestation string
	Attributes  map[string]string // what later checks and messages may use
	// Application is the app that is being used, where that is what was judged.
	Application *Application
}

// Proof is the fact that a realm was satisfied.
type Proof struct {
	Realm   string    `json:"realm"`
	Subject string    `json:"subject,omitempty"`
	Name    string    `json:"name,omitempty"`
	AMR     []string  `json:"amr,omitempty"`
	Time    time.Time `json:"time"`
	Device  string    `json:"device,omitempty"`
	// Attestation says where the key of the device was shown to be when the proof was given; see [Identity.Attestation].
	Attestation string `json:"attestation,omitempty"`

	Attributes map[string]string `json:"attributes,omitempty"`
	// Application is the app that was being used, and Client the one client for whose requests such a proof counts: another client
	// is another app, also where one browser's session serves both.
	Application *Application `json:"application,omitempty"`
	Client      string       `json:"client,omitempty"`
	// Request is the one request whose details were approved with the proof (see [Transaction]); empty where there were none.
	Request string `json:"request,omitempty"`
	// Cutoffs is how many cut-offs the store had made when the proof began to be judged: with Time it says whether a revocation of
	// the device came after.
	Cutoffs uint64 `json:"cutoffs,omitempty"`
}

// NewProof returns the proof that an accepted result of the realm leaves at now.
func (r *Realm) NewProof(identity Identity, now time.Time) Proof {
	return Proof{
		Realm:      r.Name,
		Subject:    identity.Subject,
		Name:       identity.Name,
		AMR:        identity.AMR,
		Time:       now.UTC().Truncate(time.Millisecond),
		Device:     identity.Device,
		Attributes: identity.Attributes,

		Application: identity.Application,
		Attestation: identity.Attestation,
	}
}

// Proofs are the proofs of one security context by realm.
type Proofs map[string]Proof
