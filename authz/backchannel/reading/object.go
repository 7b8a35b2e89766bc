// SPDX-License-Identifier: Apache-2.0

package reading

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// parameters are those of a request (CIBA 7.1). In a signed request they stand in the object and nowhere else (7.1.1).
var parameters = []string{
	"scope", "client_notification_token", "acr_values", "login_hint_token", "id_token_hint", "login_hint", "binding_message", "user_code",
	"requested_expiry", "authorization_details", "resource", "request_uri",
}

const (
	// skew is how far a client's clock may be off, and maxLife how long what it has signed may be good.
	skew    = 30 * time.Second
	maxLife = time.Hour
	// maxID bounds a jti.
	maxID = 512
)

var (
	errKey      = errors.New("no key of the client has signed it with its algorithm")
	errTyp      = errors.New("its typ is that of another kind of token")
	errIssuer   = errors.New("iss is not the client, or sub is")
	errAudience = errors.New("aud is not the issuer")
	errLife     = errors.New("it has no exp, iat and nbf, is not good now, or for too long")
	errID       = errors.New("it has no jti, or too long a one")
	errReplayed = errors.New("it was used before")
	errMember   = errors.New("a parameter in it is neither text nor, where it may be, a number")
)

// readObject puts what a signed request says in the place of the parameters. Its errors are for the log: the client hears the same.
func (in *request) readObject() error {
	raw := in.params.Get("request")
	if raw == "" {
		if in.terms.Signed != "" {
			return invalid("the client is registered for signed requests: request is required")
		}
		return nil
	}
	for _, name := range parameters {
		if _, beside := in.params[name]; beside {
			return invalid("a parameter stands beside the request object")
		}
	}
	params, err := in.object(raw)
	var known *oauth.Error
	switch {
	case errors.As(err, &known):
		return known
	case err != nil:
		return oauth.NewError(oauth.InvalidRequest, "the request object is not valid").WithCause(err)
	}
	in.params = params
	return nil
}

// times are the claims of time that what is signed for us has.
type times struct {
	Expires   float64 `json:"exp"`
	NotBefore float64 `json:"nbf"`
	IssuedAt  float64 `json:"iat"`
}

// good reports whether a signed request counts now: it says when it begins and ends, and not too long lies between.
func (t times) good(now time.Time) bool {
	at := float64(now.Unix())
	return t.NotBefore > 0 && t.IssuedAt > 0 && t.NotBefore <= at+skew.Seconds() && t.IssuedAt <= at+skew.Seconds() &&
		t.Expires > at-skew.Seconds() && t.Expires-t.NotBefore <= maxLife.Seconds()
}

// object verifies a request object and returns its parameters: the signature first, then what it says, and last that it is new.
func (in *request) object(raw string) (oauth.Params, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, err
	}
	var c struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience audience        `json:"aud"`
		ID       string          `json:"jti"`
		Request  json.RawMessage `json:"request"`
		times
	}
	typ := token.Header.Typ
	switch {
	case in.terms.Signed != "" && token.Header.Alg != in.terms.Signed,
		!slices.ContainsFunc(in.client.Keys, func(k jose.PublicKey) bool { return token.Verify(k) == nil }):
		return nil, errKey
	case typ != "" && !jose.EqualTyp(typ, "JWT") && !jose.EqualTyp(typ, "oauth-authz-req+jwt"):
		return nil, errTyp
	}
	if err := token.Claims(&c); err != nil {
		return nil, err
	}
	switch {
	case c.Issuer != in.client.ID || c.Subject == in.client.ID: // a request is no assertion, nor the other way round (RFC 9101 10.8)
		return nil, errIssuer
	case !c.Audience.has(in.Issuer):
		return nil, errAudience
	case !c.good(in.Now()):
		return nil, errLife
	case c.ID == "" || len(c.ID) > maxID:
		return nil, errID
	case c.Request != nil:
		return nil, errMember
	}
	params, err := members(token)
	if err != nil {
		return nil, err
	}
	// A part of a second in exp counts as a whole one: what is remembered is remembered for as long as it is good.
	fresh, err := in.Once.SpendAssertion(in.ctx, in.client.ID, "request "+c.ID, time.Unix(int64(c.Expires)+1, 0).Add(skew))
	switch {
	case err != nil:
		return nil, authz.Failure(err)
	case !fresh:
		return nil, errReplayed
	}
	return params, nil
}

// members returns the parameters of a request object. They are text; an expiry may be a number as well (CIBA 7.1.1).
func members(token jose.Token) (oauth.Params, error) {
	var all map[string]json.RawMessage
	if err := token.Claims(&all); err != nil {
		return nil, err
	}
	params := oauth.Params{}
	for _, name := range parameters {
		value, there := all[name]
		if !there {
			continue
		}
		var text string
		var number json.Number
		switch {
		case json.Unmarshal(value, &text) == nil && value[0] == '"':
		case name == "requested_expiry" && json.Unmarshal(value, &number) == nil && number != "":
			text = number.String()
		default:
			return nil, errMember
		}
		if text != "" && (len(text) > oauth.MaxParam || !printable(text)) {
			return nil, errMember
		}
		params[name] = text
	}
	return params, nil
}

// printable holds what is signed to what a form may hold.
func printable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] == 0x7f {
			return false
		}
	}
	return true
}

// audience is a string or a list of strings (RFC 7519 4.1.3).
type audience []string

// UnmarshalJSON reads either.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

func (a audience) has(issuer string) bool { return slices.Contains(a, issuer) }
