// SPDX-License-Identifier: Apache-2.0

package reading

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Limits on what a request says.
const (
	// MaxMessage is the length of the longest binding_message, in characters.
	MaxMessage = 50
	// maxHint bounds a login_hint, and maxCode a user_code, in bytes.
	maxHint, maxCode = 256, 128
	// minToken and maxToken bound a client_notification_token (CIBA 7.1): 22 characters of base64 have the 128 bits that it needs.
	minToken, maxToken = 22, 1024
)

// Reader reads requests. All fields are required. It is safe for concurrent use.
type Reader struct {
	// Issuer is the aud of what is signed for us.
	Issuer string
	Engine *realm.Engine
	// Realms are those that a phone proves by itself, the preferred one first.
	Realms []string
	// Terms are what each client is registered for, by its id.
	Terms map[string]*terms.Terms
	// Hints reads ID tokens that come back, and Once remembers which request objects were used.
	Hints Hints
	Once  Once
	Now   func() time.Time
}

// Hints reads ID tokens of this issuer.
type Hints interface {
	// Read returns what a token says. One that has expired is good.
	Read(ctx context.Context, idToken string) (authz.Hint, error)
}

// Once remembers what counts once. An [authz.Store] does.
type Once interface {
	// SpendAssertion reports whether the name was not used before; it is remembered until it expires.
	SpendAssertion(ctx context.Context, client, jti string, expires time.Time) (bool, error)
}

// Wanted is what a request asks for.
type Wanted struct {
	Scopes    oauth.Scopes
	ACRValues []string
	// Realm is the one to prove.
	Realm string
	Hint  Hint
	// Message is what people compare; it can be shown as it is.
	Message           string
	UserCode          string
	NotificationToken string
	// TTL is how long the client wants it to be answerable; zero where it does not say.
	TTL time.Duration
}

// UsesCodes reports whether a client is registered for user codes.
func (r *Reader) UsesCodes() bool {
	for _, t := range r.Terms {
		if t.UserCode {
			return true
		}
	}
	return false
}

// request is a request while it is read.
type request struct {
	*Reader
	ctx    context.Context
	client *authz.Client
	terms  *terms.Terms
	params oauth.Params
	wanted Wanted
}

// Read returns what an authenticated client asks for. The errors are *[oauth.Error].
func (r *Reader) Read(ctx context.Context, client *authz.Client, t *terms.Terms, p oauth.Params) (Wanted, error) {
	in := &request{Reader: r, ctx: ctx, client: client, terms: t, params: p}
	for _, read := range []func() error{
		in.readObject, in.refuseOthers, in.readScope, in.readNotification, in.readMessage, in.readCode, in.readExpiry, in.readHint, in.readRealm,
	} {
		if err := read(); err != nil {
			return Wanted{}, err
		}
	}
	return in.wanted, nil
}

func invalid(description string) error { return oauth.NewError(oauth.InvalidRequest, description) }

// refuseOthers refuses what narrows or moves a request in ways that have no effect here: a client that sends it counts on it.
func (in *request) refuseOthers() error {
	switch {
	case in.params.Get("authorization_details") != "":
		return oauth.NewError(oauth.InvalidAuthorizationDetails, "authorization_details are not taken at this endpoint")
	case in.params.Get("resource") != "":
		return oauth.NewError(oauth.InvalidTarget, "resource is not supported: the audience is that of the client")
	case in.params.Get("request_uri") != "":
		return invalid("request_uri is not supported: a request object stands in request")
	}
	return nil
}

// readScope settles what is asked for. Without openid there is no CIBA request (CIBA 7.1).
func (in *request) readScope() error {
	if in.params.Get("scope") == "" {
		return invalid("scope is required")
	}
	scopes, err := oauth.ParseScopes(in.params.Get("scope"))
	if err != nil {
		return err
	}
	if !in.client.May(authz.GrantRefreshToken) || !in.client.Scopes.Has(oauth.ScopeOfflineAccess) {
		scopes = scopes.Without(oauth.ScopeOfflineAccess)
	}
	switch {
	case !scopes.Has(oauth.ScopeOpenID):
		return oauth.NewError(oauth.InvalidScope, "openid must be among the scopes")
	case !scopes.Within(in.client.Scopes):
		return oauth.NewError(oauth.InvalidScope, "the client may not ask for one of the scopes")
	}
	in.wanted.Scopes = scopes
	return nil
}

// readNotification reads the token by which the client knows who tells it something.
func (in *request) readNotification() error {
	if !in.terms.Mode.Told() {
		return nil
	}
	token := in.params.Get("client_notification_token")
	switch {
	case token == "":
		return invalid("client_notification_token is required")
	case len(token) < minToken || len(token) > maxToken || !bearer(token):
		return invalid("client_notification_token is no bearer token of 22 to 1024 characters")
	}
	in.wanted.NotificationToken = token
	return nil
}

// bearer reports whether a text is a b64token (RFC 6750 2.1).
func bearer(text string) bool {
	body := strings.TrimRight(text, "=")
	return body != "" && !strings.ContainsFunc(body, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~+/", c))
	})
}

// readMessage reads what people compare on the two devices. Where they type no number it is what binds the two, and required.
func (in *request) readMessage() error {
	message, err := shown.Text("binding_message", in.params.Get("binding_message"), shown.Content{Most: MaxMessage})
	switch {
	case err != nil:
		return oauth.NewError(oauth.InvalidBindingMessage, "binding_message is longer than 50 characters or has one that is not shown").WithCause(err)
	case strings.Contains(message, shown.CodePlace):
		return oauth.NewError(oauth.InvalidBindingMessage, "binding_message has the place of a code, which phones leave out")
	case message == "" && in.terms.NoNumber:
		return oauth.NewError(oauth.InvalidBindingMessage, "binding_message is required, since no number is typed")
	}
	in.wanted.Message = message
	return nil
}

// readCode reads the user's code. A client that is not registered for codes may send none that means anything.
func (in *request) readCode() error {
	if !in.terms.UserCode {
		return nil
	}
	code := in.params.Get("user_code")
	switch {
	case code == "":
		return oauth.NewError(oauth.MissingUserCode, "user_code is required")
	case len(code) > maxCode:
		return oauth.NewError(oauth.InvalidUserCode, "user_code is wrong")
	}
	in.wanted.UserCode = code
	return nil
}

func (in *request) readExpiry() error {
	text := in.params.Get("requested_expiry")
	if text == "" {
		return nil
	}
	const digits = 9
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || seconds == 0 || len(text) > digits {
		return invalid("requested_expiry is not a positive number of seconds")
	}
	in.wanted.TTL = time.Duration(seconds) * time.Second
	return nil
}

// readRealm finds the one realm whose proof satisfies everything. The first acr value for which there is one counts.
func (in *request) readRealm() error {
	unmet := oauth.NewError(oauth.UnmetAuthentication, "what is asked for cannot be proven by a phone alone")
	asked := strings.Fields(in.params.Get("acr_values"))
	scopes := in.Engine.ForScopes(in.wanted.Scopes)
	if len(asked) == 0 {
		var ok bool
		if in.wanted.Realm, ok = in.one(scopes); !ok {
			return unmet
		}
		return nil
	}
	for _, acr := range asked {
		level, known := in.Engine.ForACR(acr)
		if name, ok := in.one(slices.Concat(scopes, level)); known && ok {
			in.wanted.Realm, in.wanted.ACRValues = name, []string{acr}
			return nil
		}
	}
	return unmet
}

// one returns the realm that alone meets all requirements: one that a phone proves and that determines the user. Where nothing is required
// it is the first of those.
func (r *Reader) one(requirements []realm.Requirement) (name string, ok bool) {
	able := func(name string) bool { return slices.Contains(r.Realms, name) && r.Engine.DeterminesUser(name) }
	for _, need := range requirements {
		if name = cmp.Or(name, need.Realm); name != need.Realm {
			return "", false
		}
	}
	if name == "" {
		i := slices.IndexFunc(r.Realms, able)
		if i < 0 {
			return "", false
		}
		name = r.Realms[i]
	}
	return name, able(name)
}
