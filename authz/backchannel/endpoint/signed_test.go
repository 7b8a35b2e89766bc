// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/tokens"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
)

// object is a good request object of a client; the changes replace its claims, and nil takes one out.
func (w *world) object(client string, changes map[string]any) map[string]any {
	now := w.clock.Now()
	claims := map[string]any{
		"iss": client, "aud": issuer, "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": randid.New("j"),
		"scope": "openid accounts:read", "login_hint": "alice", "binding_message": "W4SCT",
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (w *world) signed(key jose.PrivateKey, typ string, claims map[string]any) string {
	w.Helper()
	payload, err := json.Marshal(claims)
	check(w.T, err)
	token, err := jose.Sign(key, typ, payload)
	check(w.T, err)
	return token
}

// Section 7.1.1: what a signed request says counts, whoever sends it.
func TestSignedRequest(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"signer", "free"} { // one that must sign and one that may
		for _, typ := range []string{"", "JWT", "oauth-authz-req+jwt"} {
			w := newWorld(t)
			object := w.object(client, map[string]any{"requested_expiry": 300, "acr_values": "silver"})
			a := w.post(w.ask, client, values("request", w.signed(w.ring.client, typ, object))).ok(t)
			q := w.phone.last(t)
			if a.ExpiresIn != 300 || q.Message != "W4SCT" || q.Subject != alice || q.Realm != "phone" {
				t.Errorf("%s, %q: asked is %+v", client, typ, q)
			}
			w.phone.approve()
			w.fetch(client, a.AuthReqID).ok(t)
		}
	}
}

// What a signed request may not be. None of it asks anybody.
func TestRFC9101(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		client  string
		changes map[string]any
		code    string
	}{
		{"7.1.1 iss missing", "signer", map[string]any{"iss": nil}, "invalid_request"},
		{"7.1.1 iss of another client", "signer", map[string]any{"iss": "free"}, "invalid_request"},
		{"10.8 sub as in an assertion", "signer", map[string]any{"sub": "signer"}, "invalid_request"},
		{"7.1.1 aud missing", "signer", map[string]any{"aud": nil}, "invalid_request"},
		{"7.1.1 aud of another server", "signer", map[string]any{"aud": "https://other.example.com"}, "invalid_request"},
		{"7.1.1 aud that begins alike", "signer", map[string]any{"aud": issuer + "/"}, "invalid_request"},
		{"7.1.1 exp missing", "signer", map[string]any{"exp": nil}, "invalid_request"},
		{"7.1.1 expired", "signer", map[string]any{"exp": -31}, "invalid_request"},
		{"7.1.1 good for too long", "signer", map[string]any{"exp": 3602}, "invalid_request"},
		{"7.1.1 nbf missing", "signer", map[string]any{"nbf": nil}, "invalid_request"},
		{"7.1.1 not good yet", "signer", map[string]any{"nbf": 32}, "invalid_request"},
		{"7.1.1 iat missing", "signer", map[string]any{"iat": nil}, "invalid_request"},
		{"7.1.1 made in the future", "signer", map[string]any{"iat": 32}, "invalid_request"},
		{"7.1.1 jti missing", "signer", map[string]any{"jti": nil}, "invalid_request"},
		{"7.1.1 jti too long", "signer", map[string]any{"jti": strings.Repeat("j", 513)}, "invalid_request"},
		{"7.1.1 a request in a request", "signer", map[string]any{"request": "x.y.z"}, "invalid_request"},
		{"7.1.1 a parameter that is no text", "signer", map[string]any{"scope": []string{"openid"}}, "invalid_request"},
		{"7.1.1 a parameter that is null", "signer", map[string]any{"requested_expiry": json.RawMessage("null")}, "invalid_request"},
		{"7.1.1 a parameter with a line break", "signer", map[string]any{"login_hint": "alice\nbob"}, "invalid_request"},
		{"7.1.1 a parameter too long", "signer", map[string]any{"login_hint": strings.Repeat("a", oauth.MaxParam+1)}, "invalid_request"},
		{"7.1.1 an expiry that is none", "signer", map[string]any{"requested_expiry": 1.5}, "invalid_request"},
		{"7.1.1 a negative expiry", "signer", map[string]any{"requested_expiry": -5}, "invalid_request"},
		{"7.1.1 details", "signer", map[string]any{"authorization_details": "[]"}, "invalid_authorization_details"},
		{"7.1 scope of others", "signer", map[string]any{"scope": "openid admin"}, "invalid_scope"},
		{"7.1 two hints", "signer", map[string]any{"id_token_hint": "x"}, "invalid_request"},
		{"7.1 no hint", "signer", map[string]any{"login_hint": nil}, "invalid_request"},
		{"13 binding message", "signer", map[string]any{"binding_message": strings.Repeat("x", 51)}, "invalid_binding_message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for _, name := range []string{"exp", "nbf", "iat"} { // seconds from now
				if n, given := tt.changes[name].(int); given {
					tt.changes[name] = w.clock.Now().Add(time.Duration(n) * time.Second).Unix()
				}
			}
			w.post(w.ask, tt.client, values("request", w.signed(w.ring.client, "JWT", w.object(tt.client, tt.changes)))).refused(t, 400, tt.code)
			if len(w.phone.questions) != 0 {
				t.Error("somebody was asked")
			}
		})
	}
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stranger, err := jose.GenerateKey(jose.ES256)
	check(t, err)
	other, err := jose.GenerateKey(jose.EdDSA)
	check(t, err)
	good := w.signed(w.ring.client, "JWT", w.object("signer", nil))
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	hmac := encode([]byte(`{"alg":"HS256"}`)) + "." + parts[1] + "." + encode(make([]byte, 32))
	for name, request := range map[string]string{
		"another key":        w.signed(stranger, "JWT", w.object("signer", nil)),
		"another algorithm":  w.signed(other, "JWT", w.object("signer", nil)),
		"the issuer's key":   w.signed(w.ring.own, "JWT", w.object("signer", nil)),
		"an access token":    w.signed(w.ring.client, "at+jwt", w.object("signer", nil)),
		"a client assertion": w.signed(w.ring.client, "client-authentication+jwt", w.object("signer", nil)),
		"a logout token":     w.signed(w.ring.client, "logout+jwt", w.object("signer", nil)),
		"no signature":       encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"a MAC":              hmac,
		"a changed payload":  parts[0] + "." + encode([]byte(`{"scope":"openid"}`)) + "." + parts[2],
		"a cut signature":    good[:len(good)-2],
		"an encrypted one":   good + ".x.y",
		"no token":           "nonsense",
	} {
		w.post(w.ask, "signer", values("request", request)).refused(t, 400, "invalid_request")
		if len(w.phone.questions) != 0 {
			t.Fatalf("%s: somebody was asked", name)
		}
	}
	for _, beside := range []string{"scope", "login_hint", "binding_message", "user_code", "requested_expiry", "client_notification_token", "acr_values"} {
		w.post(w.ask, "signer", values("request", w.signed(w.ring.client, "JWT", w.object("signer", nil)), beside, "openid")).refused(t, 400, "invalid_request")
	}
	w.post(w.ask, "poll", values("request", good)).refused(t, 400, "invalid_request") // it has no key
	w.post(w.ask, "signer", values("request", good)).ok(t)
}

// A request object counts once, for as long as it is good, to the last fraction of a second; another client's jti is another.
func TestRequestObjectsCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exp := float64(w.clock.Now().Unix()) + 60.9
	object := w.signed(w.ring.client, "JWT", w.object("signer", map[string]any{"exp": exp, "jti": "one"}))
	w.post(w.ask, "signer", values("request", object)).ok(t)
	w.post(w.ask, "signer", values("request", object)).refused(t, 400, "invalid_request")
	w.clock.Advance(90*time.Second + 950*time.Millisecond) // with the skew
	w.post(w.ask, "signer", values("request", object)).refused(t, 400, "invalid_request")
	w.clock.Advance(time.Minute)
	w.post(w.ask, "signer", values("request", object)).refused(t, 400, "invalid_request")
	if len(w.phone.questions) != 1 {
		t.Errorf("%d questions", len(w.phone.questions))
	}
	w.post(w.ask, "free", values("request", w.signed(w.ring.client, "JWT", w.object("free", map[string]any{"jti": "one"})))).ok(t)
}

// idToken is an ID token that was issued to a client.
func (w *world) idToken(client string, change func(*authz.Grant)) string {
	w.Helper()
	now := w.clock.Now()
	g := authz.NewGrant(now, time.Hour)
	g.Subject, g.Scopes = alice, oauth.Scopes{"openid"}
	g.Authn = realm.Authentication{Subject: alice, ACR: "password", AuthTime: now, Realms: map[string]time.Time{"password": now}}
	if change != nil {
		change(&g)
	}
	raw, err := w.issuing.ID(tokens.ID{Client: &authz.Client{ID: client, AccessTTL: time.Minute}, Grant: &g})
	check(w.T, err)
	return raw
}

// Section 7.1 and 14: an ID token names its user to the client that it was issued to, for a while, and not from the user's own device.
func TestIDTokenHint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		hint   func(*world) string
		after  time.Duration
		status int
		code   string
	}{
		{"of this client", func(w *world) string { return w.idToken("poll", nil) }, 0, 200, ""},
		{"expired", func(w *world) string { return w.idToken("poll", nil) }, 24 * time.Hour, 200, ""},
		{"too old", func(w *world) string { return w.idToken("poll", nil) }, 31 * 24 * time.Hour, 400, "invalid_request"},
		{"14 of another client", func(w *world) string { return w.idToken("ping", nil) }, 0, 400, "invalid_request"},
		{"RFC10027 5 of an app on the phone", func(w *world) string {
			return w.idToken("poll", func(g *authz.Grant) {
				g.Authn.Application = &realm.Application{ID: "bank", Platform: "ios", Version: "1"}
			})
		}, 0, 403, "access_denied"},
		{"of nobody any more", func(w *world) string { return w.idToken("poll", func(g *authz.Grant) { g.Subject = "usr_gone" }) }, 0, 200, ""},
		{"an access token", func(w *world) string {
			a := w.begin("poll").ok(w.T)
			w.phone.approve()
			return w.fetch("poll", a.AuthReqID).ok(w.T).Access
		}, 0, 400, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			hint := tt.hint(w)
			w.clock.Advance(tt.after)
			got := w.begin("poll", "login_hint", "", "id_token_hint", hint)
			if tt.code != "" {
				got.refused(t, tt.status, tt.code)
				return
			}
			got.ok(t)
			if q := w.phone.last(t); tt.name != "of nobody any more" && q.Subject != alice {
				t.Errorf("asked is %q", q.Subject)
			}
		})
	}
}

// Section 7.1 and 14: a hint of a known issuer, or of the client itself, names a user by a subject identifier (RFC 9493 3).
func TestLoginHintToken(t *testing.T) {
	t.Parallel()
	const friend = "https://hints.example.com"
	sub := func(pairs ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for _, tt := range []struct {
		name    string
		iss     string
		id      any
		changes map[string]any
		subject string
		code    string
	}{
		{"of the client", "free", sub("format", "opaque", "id", "alice"), nil, alice, ""},
		{"of a friend", friend, sub("format", "iss_sub", "iss", issuer, "sub", alice), nil, alice, ""},
		{"by email", friend, sub("format", "email", "email", "alice@example.com"), nil, alice, ""},
		{"by phone of nobody", friend, sub("format", "phone_number", "phone_number", "+31612345678"), nil, "", ""},
		{"aud among others", friend, sub("format", "opaque", "id", "alice"), map[string]any{"aud": []string{"https://x", issuer}}, alice, ""},
		{"another issuer's subject", friend, sub("format", "iss_sub", "iss", friend, "sub", alice), nil, "", "invalid_request"},
		{"a form that is not known", friend, sub("format", "account", "uri", "acct:alice"), nil, "", "invalid_request"},
		{"nobody named", friend, sub("format", "opaque", "id", ""), nil, "", "invalid_request"},
		{"no identifier", friend, nil, nil, "", "invalid_request"},
		{"too long", friend, sub("format", "opaque", "id", strings.Repeat("a", 257)), nil, "", "invalid_request"},
		{"a name with a control character", friend, sub("format", "opaque", "id", "alice\x00"), nil, "", "invalid_request"},
		{"of a stranger", "https://stranger.example.com", sub("format", "opaque", "id", "alice"), nil, "", "invalid_request"},
		{"of another client", "signer", sub("format", "opaque", "id", "alice"), nil, "", "invalid_request"},
		{"aud of another server", friend, sub("format", "opaque", "id", "alice"), map[string]any{"aud": "https://x"}, "", "invalid_request"},
		{"no exp", friend, sub("format", "opaque", "id", "alice"), map[string]any{"exp": nil}, "", "invalid_request"},
		{"not good yet", friend, sub("format", "opaque", "id", "alice"), map[string]any{"nbf": 32}, "", "invalid_request"},
		{"13 expired", friend, sub("format", "opaque", "id", "alice"), map[string]any{"exp": -31}, "", "expired_login_hint_token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			claims := map[string]any{"iss": tt.iss, "aud": issuer, "exp": w.clock.Now().Add(time.Minute).Unix()}
			if tt.id != nil {
				claims["sub_id"] = tt.id
			}
			for name, value := range tt.changes {
				if n, seconds := value.(int); seconds {
					value = w.clock.Now().Add(time.Duration(n) * time.Second).Unix()
				}
				claims[name] = value
			}
			maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
			key := w.ring.client
			if tt.iss == friend {
				key = w.ring.own
			}
			got := w.begin("free", "login_hint", "", "login_hint_token", w.signed(key, "JWT", claims))
			if tt.code != "" {
				got.refused(t, 400, tt.code)
				return
			}
			got.ok(t)
			if q := w.phone.last(t); q.Subject != tt.subject {
				t.Errorf("asked is %q", q.Subject)
			}
		})
	}
}

// A hint that the client signed for one purpose is nothing for another, and one signed with the wrong key names nobody.
func TestLoginHintTokenSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := map[string]any{
		"iss": "https://hints.example.com", "aud": issuer, "exp": w.clock.Now().Add(time.Minute).Unix(),
		"sub_id": map[string]string{"format": "opaque", "id": "alice"},
	}
	for _, hint := range []string{
		w.signed(w.ring.client, "JWT", claims), // the client's key for the friend's name
		w.signed(w.ring.own, "at+jwt", claims), w.signed(w.ring.own, "oauth-authz-req+jwt", claims), "x", "..",
	} {
		w.begin("free", "login_hint", "", "login_hint_token", hint).refused(t, 400, "invalid_request")
	}
	w.begin("poll", "login_hint", "", "login_hint_token", w.signed(w.ring.own, "JWT", claims)).refused(t, 400, "invalid_request") // nobody's friend
	if len(w.phone.questions) != 0 {
		t.Error("somebody was asked")
	}
}
