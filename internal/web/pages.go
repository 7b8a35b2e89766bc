// SPDX-License-Identifier: Apache-2.0

package web

import "time"

// Page is what [Renderer.Render] takes. The page structs of this package implement it and nothing else can.
type Page interface {
	meta() meta
	check() error
}

// meta is what the renderer asks of a page.
type meta struct {
	template string
	locale   string
	// targets lists the URIs outside this origin that the page's form may lead to.
	targets []string
	// wait is for the Retry-After header.
	wait time.Duration
	// watches lets the page's script ask this origin for news.
	watches bool
	// refers lets the site know that a request comes from the page, as it knows of its own pages.
	refers bool
}

// Names and values of the buttons. A form sends the name of the button that was pressed.
const (
	// CancelField is sent, with the same word as its value, by the cancel button of [LoginPage].
	CancelField = "cancel"
	// DecisionField is sent by [ConsentPage], [ContinuePage] and [LogoutPage], with DecisionAllow or DecisionDeny as its value.
	DecisionField = "decision"
	// DecisionAllow grants the access, goes on as somebody, or confirms signing out.
	DecisionAllow = "allow"
	// DecisionDeny refuses the access, does not go on, or stays signed in.
	DecisionDeny = "deny"
	// EndSessionField is sent by [AccountPage] with the ID of the session to end.
	EndSessionField = "end_session"
	// RevokeGrantField is sent by [AccountPage] with the ID of the grant to revoke.
	RevokeGrantField = "revoke_grant"
	// EverywhereField is sent by [AccountPage], with the value "all", to end every session.
	EverywhereField = "everywhere"
)

// Kind says how a message is meant.
type Kind string

// The kinds of message. The zero Kind is an error.
const (
	KindError   Kind = "error"
	KindInfo    Kind = "info"
	KindSuccess Kind = "success"
)

// Keys of messages for [LoginPage] and [AccountPage]. A message may also be any literal text.
const (
	// MessageRefused is the one answer to wrong credentials, whatever was wrong with them.
	MessageRefused = "login.refused"
	// MessageThrottled tells the time to wait, from RetryAfter.
	MessageThrottled = "login.throttled"
	// MessageBusy is for a server that cannot check a password now.
	MessageBusy = "login.busy"
	// MessageExpired is for a form that was sent too late, or twice.
	MessageExpired = "login.expired"
	// MessageAnotherUser is for right credentials of somebody else, where a certain user has to confirm.
	MessageAnotherUser = "login.another_user"
	// MessageAnswered is for answers to a question of before, or that were sent twice.
	MessageAnswered = "login.answered"
	// MessageMissing is for a form with an empty field.
	MessageMissing = "login.missing"
	// MessageApplication is for somebody who comes with a browser where only an app can answer.
	MessageApplication = "login.application"
	// MessageVersion is for somebody whose app says that it is a version which is not let in.
	MessageVersion = "login.version"
	// MessageHeader is for somebody who has not come through the proxy that says who it is.
	MessageHeader = "login.header"
	// MessageCertificate is for a browser without a client certificate that is accepted.
	MessageCertificate = "login.certificate"
	// MessageLTPA is for somebody whom no server of WebSphere's kind has logged in.
	MessageLTPA = "login.ltpa"
	// MessageReauthAge is for a login that is too old for what is asked (max_age).
	MessageReauthAge = "reauth.age"
	// MessageReauthPrompt is for an app that asked for a new login (prompt=login).
	MessageReauthPrompt = "reauth.prompt"
	// MessageInsufficient is for a login that proves too little for what is asked (RFC 9470).
	MessageInsufficient = "reauth.insufficient"
	// MessageSessionEnded confirms that one session was ended.
	MessageSessionEnded = "account.session_ended"
	// MessageGrantRevoked confirms that an app lost its access.
	MessageGrantRevoked = "account.grant_revoked"
	// MessageGone is for a session or grant that had already ended.
	MessageGone = "account.gone"
)

// Keys of labels that login forms share.
const (
	// LabelAgain is for the button of a form that asks nothing.
	LabelAgain = "login.again"
	// LabelContinue is for the button of a form that may not be the last.
	LabelContinue = "login.continue"
	LabelUsername = "field.username"
	LabelPassword = "field.password"
)

// Field is one input of a form, or one hidden value when only Name and Value matter.
type Field struct {
	// Name is what the form sends it as. It must not be empty, or "cancel".
	Name string
	// Label is a key of the catalogue or literal text.
	Label string
	// Type is text (the default), password, email, tel, url or number.
	Type string
	// Value fills the input. It is never written for a password.
	Value string
	// Autocomplete is the HTML autofill token. The default for a password is current-password.
	Autocomplete string
	// InputMode hints at the keyboard of a phone: numeric, email and so on.
	InputMode string
	// Help is a key or literal text under the label.
	Help string
	// Error is a key or literal text that says what is wrong with this field.
	Error string
	// Required has the browser refuse an empty field.
	Required bool
}

// LoginPage asks for credentials. It is driven by its fields, so that every security check can bring its own.
// Its buttons send nothing (go on) or [CancelField].
type LoginPage struct {
	// Locale is the request's ui_locales. The Accept-Language header decides when it names no language of ours.
	Locale string
	// Template names a file of the theme's folder templates/login, which is the page then. Empty is the common page.
	Template string
	// Notice is shown above everything but the title.
	Notice *Notice
	// Title, Text and Submit are keys or literal text. By default the page says "Sign in".
	Title, Text, Submit string
	// Client is the name of the app that the person goes on to. Empty leaves the line out.
	Client string
	// User fixes who signs in, for a renewed or stronger login.
	User string
	// Action is the path that the form posts to.
	Action string
	Hidden []Field
	Fields []Field
	// Message is a key or literal text, Kind how it is meant.
	Message string
	Kind    Kind
	// RetryAfter fills the waiting time of MessageThrottled, and the Retry-After header of a 429 or 503.
	RetryAfter time.Duration
	// Choices are buttons that do something else, below the others.
	Choices []Choice
	// Cancel adds the cancel button.
	Cancel bool
	// Stuck leaves the other button out: nothing that is sent from this page leads on.
	Stuck bool
	// FormTargets are the URIs that the answer to this form may redirect to. Chromium holds every redirect that
	// follows a form to the page's form-action, so a redirect URI missing here is blocked after the post. The word
	// "https:" allows every HTTPS origin, for apps that redirect onwards to another one.
	FormTargets []string
}

// ScopeLine is one permission.
type ScopeLine struct {
	// Name is the scope as the protocol spells it.
	Name string
	// Text says what it allows, see [Renderer.ScopeText]. Empty shows the name instead.
	Text string
}

// ConsentPage asks whether an app may have what it asks for. Its buttons send [DecisionField].
type ConsentPage struct {
	// Locale: see [LoginPage].
	Locale string
	Client string
	// User is who is signed in.
	User   string
	Scopes []ScopeLine
	// Details are sentences that say what is asked for in detail. They are plain text.
	Details []string
	// Destination is the host that the person is sent to afterwards. Empty leaves the line out.
	Destination string
	Action      string
	Hidden      []Field
	// FormTargets: see [LoginPage].
	FormTargets []string
}

// Keys of the errors that [ErrorPage] explains by itself.
const (
	ErrorRequest      = "error.request"
	ErrorClient       = "error.client"
	ErrorRedirectURI  = "error.redirect_uri"
	ErrorExpired      = "error.expired"
	ErrorCookie       = "error.cookie"
	ErrorForbidden    = "error.forbidden"
	ErrorInsufficient = "error.insufficient"
	ErrorNotFound     = "error.not_found"
	ErrorMethod       = "error.method"
	ErrorTooLarge     = "error.too_large"
	ErrorThrottled    = "error.throttled"
	ErrorUnavailable  = "error.unavailable"
	ErrorServer       = "error.server"
)

// ErrorPage is for what must not be told by a redirect, above all before client and redirect URI are known to be good.
type ErrorPage struct {
	// Locale: see [LoginPage].
	Locale string
	// Message is one of the Error constants, which bring a title, an explanation and a next step, or a key or
	// literal text that explains. Empty is ErrorServer.
	Message string
	// Title and Next replace those of the message. They are keys or literal text.
	Title, Next string
	// Detail is for whoever runs the app. It must be safe to show to anybody.
	Detail string
	// RequestID finds the log line.
	RequestID string
	// BackURL is offered as a way back when it is a path of this origin or an http or https URI.
	BackURL string
	// RetryAfter sets the Retry-After header of a 429 or 503.
	RetryAfter time.Duration
}

// LogoutPage asks before it signs anybody out (RP-Initiated Logout, section 2). Its buttons send [DecisionField].
type LogoutPage struct {
	// Locale: see [LoginPage].
	Locale string
	User   string
	// Client is the name of the app that asked. Empty leaves the line out.
	Client string
	Action string
	Hidden []Field
	// FormTargets: see [LoginPage].
	FormTargets []string
}

// ContinuePage asks whether a browser is to be signed in as the person who is signed in in an app. Its buttons send [DecisionField].
type ContinuePage struct {
	// Locale: see [LoginPage].
	Locale string
	// User is who is signed in in the app, and Client the app.
	User, Client string
	// Other is who is signed in in the browser, and will not be afterwards. Empty leaves the line out.
	Other  string
	Action string
	Hidden []Field
	// FormTargets: see [LoginPage].
	FormTargets []string
}

// ToldPage shows what people are told by a check that they have passed, on their way onwards.
type ToldPage struct {
	// Locale: see [LoginPage].
	Locale string
	// Notice is required.
	Notice Notice
	// ContinueURL is the path that leads on. It is required.
	ContinueURL string
}

// SignedOutPage is the end of a session.
type SignedOutPage struct {
	// Locale: see [LoginPage].
	Locale string
	// Client and ContinueURL are the app to go back to. Both or neither.
	Client, ContinueURL string
	// LoginURL signs in again. Empty leaves the link out.
	LoginURL string
}

// FormPostPage carries an authorization response to the app's redirect URI (OAuth 2.0 Form Post Response Mode).
// A script submits it; without script there is a button.
type FormPostPage struct {
	// Locale: see [LoginPage].
	Locale string
	Client string
	// Action is the redirect URI, http or https.
	Action string
	// Fields are the parameters of the response.
	Fields []Field
	// FormTargets are further URIs that the app's answer may redirect to: see [LoginPage].
	FormTargets []string
}

// Session is one place where a person is signed in.
type Session struct {
	ID string
	// Name says what it is, "Firefox on Linux".
	Name string
	// Address is where it was seen last. Empty leaves it out.
	Address string
	// Started and Seen are shown in UTC, or in the reader's time zone with script. The zero time is left out.
	Started, Seen time.Time
	// Current marks the session that looks at the page.
	Current bool
}

// Grant is an app's standing permission.
type Grant struct {
	ID     string
	Client string
	Scopes []ScopeLine
	// Since is when it was given.
	Since time.Time
}

// AccountPage shows a person's sessions and permissions, each with a button that ends it. Its buttons send
// [EndSessionField], [RevokeGrantField] or [EverywhereField].
type AccountPage struct {
	// Locale: see [LoginPage].
	Locale   string
	User     string
	Sessions []Session
	Grants   []Grant
	// Phones are left out where they are nil. Their buttons send [AddPhoneField].
	Phones *AccountPhones
	// Certificates are left out where they are nil.
	Certificates *AccountCertificates

	Action string
	Hidden []Field
	// Message is a key or literal text, Kind how it is meant.
	Message string
	Kind    Kind
}

func (p LoginPage) meta() meta {
	template := loginTemplate
	if p.Template != "" {
		template = loginsDir + "/" + p.Template
	}
	return meta{template: template, locale: p.Locale, targets: p.FormTargets, wait: p.RetryAfter}
}

func (p ConsentPage) meta() meta {
	return meta{template: "consent", locale: p.Locale, targets: p.FormTargets}
}

func (p ErrorPage) meta() meta {
	return meta{template: "error", locale: p.Locale, wait: p.RetryAfter}
}

func (p LogoutPage) meta() meta {
	return meta{template: "logout", locale: p.Locale, targets: p.FormTargets}
}

func (p ContinuePage) meta() meta {
	return meta{template: "continue", locale: p.Locale, targets: p.FormTargets}
}

func (p ToldPage) meta() meta { return meta{template: "told", locale: p.Locale} }

func (p SignedOutPage) meta() meta {
	return meta{template: "signedout", locale: p.Locale}
}

func (p FormPostPage) meta() meta {
	targets := append([]string{p.Action}, p.FormTargets...)
	return meta{template: "formpost", locale: p.Locale, targets: targets}
}

func (p AccountPage) meta() meta {
	return meta{template: "account", locale: p.Locale}
}
