// SPDX-License-Identifier: Apache-2.0

package reading

import (
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Kind is by what a hint names a user.
type Kind string

// The kinds of hints.
const (
	// ByLogin is what a person or an application knows the user by: a login name, or the user's id.
	ByLogin Kind = "login"
	// BySubject is the user's id.
	BySubject Kind = "subject"
	// ByEmail and ByPhone are attributes of the user.
	ByEmail Kind = "email"
	ByPhone Kind = "phone_number"
)

// Hint names a user. It proves nothing.
type Hint struct {
	Kind  Kind
	Value string
}

// maxAge is how old an ID token may be that comes back as a hint: it may have expired, and not have become a name for good.
const maxAge = 30 * 24 * time.Hour

// readHint reads the one hint (CIBA 7.1).
func (in *request) readHint() (err error) {
	given := 0
	for _, name := range []string{"login_hint", "login_hint_token", "id_token_hint"} {
		if in.params.Get(name) != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("exactly one of login_hint, login_hint_token and id_token_hint is required")
	case in.params.Get("id_token_hint") != "":
		return in.readIDToken()
	case in.params.Get("login_hint_token") != "":
		return in.readHintToken()
	case len(in.params.Get("login_hint")) > maxHint:
		return invalid("login_hint is too long")
	}
	in.wanted.Hint = Hint{Kind: ByLogin, Value: in.params.Get("login_hint")}
	return nil
}

// readIDToken takes an ID token that was issued to this client, not too long ago. That of a session in an app on the user's phone is
// refused: who is asked there would approve what begins on the very same device (RFC 10027 5).
func (in *request) readIDToken() error {
	refused := oauth.NewError(oauth.InvalidRequest, "id_token_hint is not an ID token that this client was issued lately")
	hint, err := in.Hints.Read(in.ctx, in.params.Get("id_token_hint"))
	switch {
	case err != nil:
		return refused.WithCause(err)
	case hint.ClientID != in.client.ID || in.Now().Sub(hint.IssuedAt) > maxAge:
		return refused
	case hint.Application:
		return oauth.NewError(oauth.AccessDenied, "the user is signed in on the device that would be asked: use the authorization challenge endpoint there")
	}
	in.wanted.Hint = Hint{Kind: BySubject, Value: hint.Subject}
	return nil
}

var errHintKey = errors.New("nobody whose hints are believed has signed it")

// readHintToken takes a token that names the user by a subject identifier (RFC 9493), signed by the client or by an issuer whom it is
// registered to bring hints of.
func (in *request) readHintToken() error {
	refused := oauth.NewError(oauth.InvalidRequest, "login_hint_token is not valid")
	token, err := jose.Parse(in.params.Get("login_hint_token"))
	if err != nil {
		return refused.WithCause(err)
	}
	var c struct {
		Issuer   string   `json:"iss"`
		Audience audience `json:"aud"`
		ID       subject  `json:"sub_id"`
		times
	}
	if err := token.Claims(&c); err != nil {
		return refused.WithCause(err)
	}
	keys := in.terms.HintIssuers[c.Issuer]
	if c.Issuer == in.client.ID {
		keys = in.client.Keys
	}
	at := float64(in.Now().Unix())
	switch typ := token.Header.Typ; {
	case !slices.ContainsFunc(keys, func(k jose.PublicKey) bool { return token.Verify(k) == nil }):
		return refused.WithCause(errHintKey)
	case typ != "" && !jose.EqualTyp(typ, "JWT"):
		return refused.WithCause(errTyp)
	case !c.Audience.has(in.Issuer):
		return refused.WithCause(errAudience)
	case c.Expires <= 0 || c.NotBefore > at+skew.Seconds() || c.IssuedAt > at+skew.Seconds():
		return refused.WithCause(errLife)
	case c.Expires <= at-skew.Seconds():
		return oauth.NewError(oauth.ExpiredLoginHintToken, "login_hint_token has expired")
	}
	hint, ok := c.ID.hint(in.Issuer)
	if !ok {
		return refused
	}
	in.wanted.Hint = hint
	return nil
}

// subject is a subject identifier (RFC 9493 3).
type subject struct {
	Format  string `json:"format"`
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	ID      string `json:"id"`
	Email   string `json:"email"`
	Phone   string `json:"phone_number"`
}

// hint returns whom an identifier names; false when it has a form that is not known here.
func (s *subject) hint(issuer string) (h Hint, ok bool) {
	switch s.Format {
	case "iss_sub":
		h = Hint{BySubject, s.Subject}
		if s.Issuer != issuer {
			return Hint{}, false
		}
	case "opaque":
		h = Hint{ByLogin, s.ID}
	case "email":
		h = Hint{ByEmail, s.Email}
	case "phone_number":
		h = Hint{ByPhone, s.Phone}
	}
	return h, h.Value != "" && len(h.Value) <= maxHint && printable(h.Value)
}
