// SPDX-License-Identifier: Apache-2.0

package metadata_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	issuer   = "https://auth.example.com"
	vendor   = "https://vendor.example.com"
	callback = "com.example.bank:/callback"
	bye      = "com.example.bank:/bye"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a reader and the keys of whoever is about.
type world struct {
	*metadata.Reader
	t      testing.TB
	device jose.PrivateKey
	vendor jose.PrivateKey
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB, alg jose.Algorithm) jose.PrivateKey {
	t.Helper()
	key, err := jose.GenerateKey(alg)
	must(t, err)
	return key
}

// terms are those of an app with everything.
func terms() client.Client {
	return client.Client{
		Name: "Example Bank", RedirectURIs: []string{callback, "https://app.example.com/cb"}, PostLogoutRedirectURIs: []string{bye},
		Grants: []client.GrantType{client.GrantAuthorizationCode, client.GrantRefreshToken, client.GrantClientCredentials},
		Scopes: oauth.Scopes{"openid", "read", "pay"}, DefaultScopes: oauth.Scopes{"openid", "read"}, DetailTypes: []string{"payment"},
		Audience: []string{"https://api.example.com"}, AccessTTL: 5 * time.Minute, RefreshTTL: time.Hour, RefreshIdleTTL: time.Hour,
	}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, device: newKey(t, jose.ES256), vendor: newKey(t, jose.ES256)}
	machine := terms()
	machine.Grants, machine.RedirectURIs, machine.PostLogoutRedirectURIs = []client.GrantType{client.GrantClientCredentials}, nil, nil
	app := terms()
	app.Native, app.FirstParty, app.RedirectURIs, app.PostLogoutRedirectURIs = true, true, nil, nil
	w.Reader = &metadata.Reader{
		Issuer:       issuer,
		Applications: []*metadata.Application{{ID: "bank", Terms: terms()}, {ID: "meter", Terms: machine}, {ID: "app", Terms: app}},
		Authorities: []*metadata.Authority{
			{Issuer: vendor, Keys: []jose.PublicKey{newKey(t, jose.EdDSA).Public(), w.vendor.Public()}, May: []string{"software_id", "software_version", "scope", "redirect_uris"},
				Applications: []string{"bank"}},
		},
		Algorithms: []jose.Algorithm{jose.ES256, jose.RS256},
		Now:        func() time.Time { return noon },
	}
	must(t, w.Check())
	return w
}

// object is a JSON object.
type object map[string]any

// with returns a copy with changes; nil takes a member away.
func (o object) with(more object) object {
	o = maps.Clone(o)
	for name, value := range more {
		if o[name] = value; value == nil {
			delete(o, name)
		}
	}
	return o
}

func (w *world) jwks(keys ...jose.PrivateKey) json.RawMessage {
	w.t.Helper()
	var public []jose.PublicKey
	for _, key := range keys {
		public = append(public, key.Public())
	}
	set, err := jose.MarshalSet(public)
	must(w.t, err)
	return set
}

// plain is the least that an instance of the bank's app says.
func (w *world) plain() object {
	return object{"software_id": "bank", "redirect_uris": []string{callback}, "jwks": w.jwks(w.device)}
}

func (w *world) encode(o object) []byte {
	w.t.Helper()
	data, err := json.Marshal(o)
	must(w.t, err)
	return data
}

// sign makes a software statement.
func (w *world) sign(key jose.PrivateKey, typ string, claims object) string {
	w.t.Helper()
	raw, err := jose.Sign(key, typ, w.encode(claims))
	must(w.t, err)
	return raw
}

// register reads and settles.
func (w *world) register(body []byte, admitted string) (metadata.Metadata, error) {
	told, err := w.Parse(body)
	if err != nil {
		return metadata.Metadata{}, err
	}
	return w.Settle(told, admitted)
}

// refuses checks the code of a refusal.
func refuses(t *testing.T, err error, want oauth.Code) {
	t.Helper()
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != want || e.HTTPStatus() != 400 {
		t.Errorf("the error is %v, want %s with 400", err, want)
	}
}

func TestRFC7591Defaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name     string
		say      object
		admitted string
		want     metadata.Metadata
	}{
		{"2 everything that is left out", w.plain(), "", metadata.Metadata{
			RedirectURIs: []string{callback}, TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
			Scope: "openid read pay", IDTokenAlg: "ES256", SoftwareID: "bank",
		}},
		{"2 everything that is said", w.plain().with(object{
			"redirect_uris": []string{"https://app.example.com/cb", callback, callback}, "post_logout_redirect_uris": []string{bye},
			"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
			"grant_types": []string{"refresh_token", "authorization_code"}, "response_types": []string{"code"}, "scope": "read openid",
			"authorization_details_types": []string{"payment"}, "id_token_signed_response_alg": "RS256", "client_name": "Alice's phone", "software_version": "2.1.0",
		}), "bank", metadata.Metadata{
			RedirectURIs: []string{"https://app.example.com/cb", callback}, PostLogoutRedirectURIs: []string{bye}, TokenAuthMethod: "private_key_jwt",
			TokenAuthAlg: "ES256", GrantTypes: []string{"refresh_token", "authorization_code"}, ResponseTypes: []string{"code"}, Scope: "read openid",
			DetailTypes: []string{"payment"}, IDTokenAlg: "RS256", ClientName: "Alice's phone", SoftwareID: "bank", SoftwareVersion: "2.1.0",
		}},
		{"2 what is not understood is ignored", w.plain().with(object{
			"client_uri": "https://evil.example", "logo_uri": "https://10.0.0.1/x", "contacts": []string{"a"}, "application_type": "web", "x": object{"y": 1},
			"client_id": "mine", "client_secret": "s", "registration_access_token": "t",
		}), "", metadata.Metadata{
			RedirectURIs: []string{callback}, TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
			Scope: "openid read pay", IDTokenAlg: "ES256", SoftwareID: "bank",
		}},
		{"2 null is absent", w.plain().with(object{"scope": json.RawMessage("null"), "jwks_uri": json.RawMessage("null"), "grant_types": json.RawMessage("null")}), "",
			metadata.Metadata{
				RedirectURIs: []string{callback}, TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
				Scope: "openid read pay", IDTokenAlg: "ES256", SoftwareID: "bank",
			}},
		{"the application of the token", w.plain().with(object{"software_id": nil}), "bank", metadata.Metadata{
			RedirectURIs: []string{callback}, TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
			Scope: "openid read pay", IDTokenAlg: "ES256", SoftwareID: "bank",
		}},
		{"2.1 a machine", object{"software_id": "meter", "jwks": w.jwks(w.device)}, "", metadata.Metadata{
			TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"client_credentials"}, ResponseTypes: []string{}, Scope: "openid read pay", IDTokenAlg: "ES256",
			SoftwareID: "meter",
		}},
		{"a native app is sent nowhere", object{"software_id": "app", "jwks": w.jwks(w.device)}, "", metadata.Metadata{
			TokenAuthMethod: "private_key_jwt", GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"}, Scope: "openid read pay",
			IDTokenAlg: "ES256", SoftwareID: "app",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := w.register(w.encode(tt.say), tt.admitted)
			must(t, err)
			if string(got.JWKS) != string(w.jwks(w.device)) {
				t.Errorf("the keys are %s", got.JWKS)
			}
			got.JWKS = nil
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("registered is (-want +got):\n%s", diff)
			}
		})
	}
}

// nameless takes the kid off keys.
func (w *world) nameless(keys ...jose.PrivateKey) json.RawMessage {
	w.t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	must(w.t, json.Unmarshal(w.jwks(keys...), &set))
	for _, key := range set.Keys {
		delete(key, "kid")
	}
	raw, err := json.Marshal(set)
	must(w.t, err)
	return raw
}

// TestKeysThatCost: an instance is a stranger's, and chooses what a check of its signature costs within bounds.
func TestKeysThatCost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	with := func(e string) json.RawMessage {
		return json.RawMessage(`{"keys":[{"kty":"RSA","alg":"RS256","n":"` + base64.RawURLEncoding.EncodeToString(own.N.Bytes()) + `","e":"` + e + `"}]}`)
	}
	one, two, other := newKey(t, jose.ES256), newKey(t, jose.ES256), newKey(t, jose.EdDSA)
	for name, tt := range map[string]struct {
		jwks json.RawMessage
		good bool
	}{
		"RSA":                            {with("AQAB"), true},
		"RSA with a large exponent":      {with("f____w"), false},
		"two with names":                 {w.jwks(one, two), true},
		"two of one algorithm, nameless": {w.nameless(one, two), false},
		"one of each, nameless":          {w.nameless(one, other), true},
		"one, nameless":                  {w.nameless(one), true},
	} {
		body, err := json.Marshal(w.plain().with(object{"jwks": tt.jwks}))
		must(t, err)
		told, err := w.Parse(body)
		must(t, err)
		if _, err = w.Settle(told, ""); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRFC7591Refusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	private, err := jose.MarshalPrivate(w.device)
	must(t, err)
	set := func(key string) json.RawMessage { return json.RawMessage(`{"keys":[` + key + `]}`) }
	var many []jose.PrivateKey
	for range 5 {
		many = append(many, newKey(t, jose.EdDSA))
	}
	const bad, uri = oauth.InvalidClientMetadata, oauth.InvalidRedirectURI
	for _, tt := range []struct {
		name     string
		change   object
		admitted string
		want     oauth.Code
	}{
		{"2 jwks and jwks_uri", object{"jwks_uri": "https://app.example.com/jwks"}, "", bad},
		{"5 jwks_uri inside", object{"jwks": nil, "jwks_uri": "http://169.254.169.254/"}, "", bad},
		{"2 no key", object{"jwks": nil}, "", bad},
		{"2 no key in the set", object{"jwks": set("")}, "", bad},
		{"2 keys that are none", object{"jwks": "https://app.example.com"}, "", bad},
		{"2 a private key", object{"jwks": set(string(private))}, "", bad},
		{"2 a symmetric key", object{"jwks": set(`{"kty":"oct","k":"AAAA"}`)}, "", bad},
		{"2 a key off its curve", object{"jwks": set(`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`)}, "", bad},
		{"2 a weak key", object{"jwks": set(`{"kty":"RSA","n":"AQAB","e":"AQAB"}`)}, "", bad},
		{"2 a key for encryption alone", object{"jwks": set(`{"kty":"EC","crv":"P-384","x":"AAAA","y":"AAAA"}`)}, "", bad},
		{"too many keys", object{"jwks": w.jwks(many...)}, "", bad},
		{"2 a public client", object{"token_endpoint_auth_method": "none"}, "", bad},
		{"2 a secret", object{"token_endpoint_auth_method": "client_secret_basic"}, "", bad},
		{"2 an algorithm that is not the key's", object{"token_endpoint_auth_signing_alg": "RS256"}, "", bad},
		{"2 none", object{"token_endpoint_auth_signing_alg": "none"}, "", bad},
		{"2 a symmetric algorithm", object{"token_endpoint_auth_signing_alg": "HS256"}, "", bad},
		{"2.1 code without authorization_code", object{"grant_types": []string{"client_credentials"}, "response_types": []string{"code"}}, "", bad},
		{"2.1 authorization_code without code", object{"response_types": []string{}}, "", bad},
		{"2.1 implicit", object{"grant_types": []string{"implicit"}, "response_types": []string{"token"}}, "", bad},
		{"2.1 token beside code", object{"response_types": []string{"code", "token"}}, "", bad},
		{"2.1 refresh_token alone", object{"grant_types": []string{"refresh_token"}}, "", bad},
		{"2 a grant beyond the application", object{"grant_types": []string{"authorization_code", "urn:openid:params:grant-type:ciba"}}, "", bad},
		{"2 a scope beyond the application", object{"scope": "openid admin"}, "", bad},
		{"2 a malformed scope", object{"scope": "openid  read"}, "", bad},
		{"RFC9396/10 a type beyond the application", object{"authorization_details_types": []string{"payment", "accounts"}}, "", bad},
		{"2 an algorithm of ID tokens that nobody has", object{"id_token_signed_response_alg": "PS256"}, "", bad},
		{"2 unsigned ID tokens", object{"id_token_signed_response_alg": "none"}, "", bad},
		{"2 a name that is not printable", object{"client_name": "a\u202eb"}, "", bad},
		{"2 a name that is too long", object{"client_name": strings.Repeat("é", 201)}, "", bad},
		{"2 a version that is not printable", object{"software_version": "1\n2"}, "", bad},
		{"2 no application", object{"software_id": nil}, "", bad},
		{"2 an unknown application", object{"software_id": "other"}, "", bad},
		{"2 an application that the token is not for", object{"software_id": "meter"}, "bank", bad},
		{"2 an application that is not there any more", object{"software_id": nil}, "gone", bad},
		{"2 a member of another type", object{"redirect_uris": callback}, "", bad},
		{"2 a member in another case", object{"Scope": "openid"}, "", bad},
		{"2 no redirect URI", object{"redirect_uris": nil}, "", uri},
		{"5 http", object{"redirect_uris": []string{"http://evil.example/"}}, "", uri},
		{"5 javascript", object{"redirect_uris": []string{"javascript:alert(1)"}}, "", uri},
		{"5 data", object{"redirect_uris": []string{"data:text/html,x"}}, "", uri},
		{"3.2.2 another redirect URI", object{"redirect_uris": []string{callback, "https://evil.example/cb"}}, "", uri},
		{"3.2.2 almost a redirect URI", object{"redirect_uris": []string{callback + "/"}}, "", uri},
		{"another place after logout", object{"post_logout_redirect_uris": []string{callback}}, "", uri},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := w.register(w.encode(w.plain().with(tt.change)), tt.admitted)
			refuses(t, err, tt.want)
			if diff := cmp.Diff(metadata.Metadata{}, got); diff != "" {
				t.Errorf("something comes with the error:\n%s", diff)
			}
		})
	}
	for _, body := range []string{"", "null", "[]", "{}{}", `{"scope":"a","scope":"b"}`, "{\"scope\":\"\xff\"}", "{" + strings.Repeat(" ", metadata.MaxBody) + "}"} {
		_, err := w.register([]byte(body), "")
		refuses(t, err, bad)
	}
}

func TestRFC7591Statement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said := object{"iss": vendor, "software_id": "bank", "software_version": "3"}
	stranger := newKey(t, jose.ES256)
	const unsound, unapproved = oauth.InvalidSoftwareStatement, oauth.UnapprovedSoftwareStatement
	for _, tt := range []struct {
		name   string
		key    jose.PrivateKey
		typ    string
		claims object
		want   oauth.Code
	}{
		{"2.3 as it should be", w.vendor, "", said, ""},
		{"2.3 typ", w.vendor, "JWT", said, ""},
		{"2.3 claims that are not understood", w.vendor, "", said.with(object{"jti": "x", "sub": "y", "logo_uri": "https://x"}), ""},
		{"2.3 for us", w.vendor, "", said.with(object{"aud": []string{"x", issuer}}), ""},
		{"2.3 not yet expired", w.vendor, "", said.with(object{"exp": noon.Unix() + 1}), ""},
		{"2.3 expired within the skew", w.vendor, "", said.with(object{"exp": noon.Unix() - 29}), ""},

		{"2.3 another key", stranger, "", said, unsound},
		{"2.3 no issuer", w.vendor, "", said.with(object{"iss": nil}), unapproved},
		{"2.3 another issuer", w.vendor, "", said.with(object{"iss": "https://evil.example"}), unapproved},
		{"RFC8725/3.11 an access token", w.vendor, "at+jwt", said, unsound},
		{"RFC8725/3.11 a client's assertion", w.vendor, "client-authentication+jwt", said, unsound},
		{"RFC8725/3.9 for another server", w.vendor, "", said.with(object{"aud": "https://other.example.com"}), unsound},
		{"expired", w.vendor, "", said.with(object{"exp": noon.Unix() - 30}), unsound},
		{"expired long ago", w.vendor, "", said.with(object{"exp": 0}), unsound},
		{"not yet valid", w.vendor, "", said.with(object{"nbf": noon.Unix() + 60}), unsound},
		{"from the future", w.vendor, "", said.with(object{"iat": noon.Unix() + 60}), unsound},
		{"no software", w.vendor, "", said.with(object{"software_id": nil}), unsound},
		{"a software that is null", w.vendor, "", said.with(object{"software_id": json.RawMessage("null")}), unsound},
		{"a software that is empty", w.vendor, "", said.with(object{"software_id": ""}), unsound},
		{"a member of another type", w.vendor, "", said.with(object{"software_version": 3}), unsound},
		{"another application", w.vendor, "", said.with(object{"software_id": "meter"}), unapproved},
		{"what it may not set", w.vendor, "", said.with(object{"grant_types": []string{"client_credentials"}}), unapproved},
		{"keys for everybody", w.vendor, "", said.with(object{"jwks": w.jwks(stranger)}), unapproved},
		{"keys elsewhere", w.vendor, "", said.with(object{"jwks_uri": "https://vendor.example.com/jwks"}), unapproved},
		{"a statement in it", w.vendor, "", said.with(object{"software_statement": "x"}), unapproved},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			raw := w.sign(tt.key, tt.typ, tt.claims)
			told, err := w.Parse(w.encode(w.plain().with(object{"software_statement": raw, "software_version": "1", "software_id": nil})))
			if tt.want != "" {
				refuses(t, err, tt.want)
				return
			}
			must(t, err)
			if told.Authority != vendor || told.SoftwareID != "bank" || told.SoftwareVersion != "3" || told.Statement != raw {
				t.Errorf("told is %+v", told)
			}
		})
	}
	for name, raw := range map[string]string{
		"not a JWT": "x", "unsigned": "eyJhbGciOiJub25lIn0.e30.", "too long": w.sign(w.vendor, "", said.with(object{"x": strings.Repeat("x", 8<<10)})),
	} {
		_, err := w.Parse(w.encode(w.plain().with(object{"software_statement": raw})))
		if err == nil {
			t.Errorf("%s passes", name)
		}
		refuses(t, err, unsound)
	}
}

// What a statement says goes before what the client says, also where that is less; and the application bounds both.
func TestStatementsWin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	say := func(claims object) ([]byte, string) {
		raw := w.sign(w.vendor, "", claims.with(object{"iss": vendor, "software_id": "bank"}))
		return w.encode(w.plain().with(object{"software_statement": raw, "scope": "openid pay", "redirect_uris": []string{callback, "https://app.example.com/cb"}})), raw
	}
	body, raw := say(object{"scope": "read", "redirect_uris": []string{callback}})
	got, err := w.register(body, "bank")
	must(t, err)
	if got.Scope != "read" || !slices.Equal(got.RedirectURIs, []string{callback}) || got.Statement != raw {
		t.Errorf("registered is %+v", got)
	}
	body, _ = say(object{"scope": "admin"})
	_, err = w.register(body, "")
	refuses(t, err, oauth.InvalidClientMetadata)
	body, _ = say(object{})
	_, err = w.register(body, "meter")
	refuses(t, err, oauth.InvalidClientMetadata)
}

func TestRFC7592Update(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	statement := w.sign(w.vendor, "", object{"iss": vendor, "software_id": "bank"})
	const bad = oauth.InvalidClientMetadata
	for _, tt := range []struct {
		name      string
		change    object
		authority string
		want      oauth.Code
	}{
		{"2.2 as it was returned", object{}, "", ""},
		{"2.2 null is absent", object{"client_secret": json.RawMessage("null")}, "", ""},
		{"2.2 a statement again", object{"software_statement": statement}, vendor, ""},
		{"2.2 a statement for the first time", object{"software_statement": statement}, "", ""},
		{"2.2 no client_id", object{"client_id": nil}, "", bad},
		{"2.2 another client_id", object{"client_id": "ins_b"}, "", bad},
		{"2.2 registration_access_token", object{"registration_access_token": "t"}, "", bad},
		{"2.2 registration_client_uri", object{"registration_client_uri": "https://x"}, "", bad},
		{"2.2 client_secret_expires_at", object{"client_secret_expires_at": 0}, "", bad},
		{"2.2 client_id_issued_at", object{"client_id_issued_at": 1}, "", bad},
		{"2.2 a secret of its own choice", object{"client_secret": "s"}, "", bad},
		{"2.2 jwks_uri", object{"jwks_uri": "https://x"}, "", bad},
		{"the statement is left out", object{}, vendor, oauth.InvalidSoftwareStatement},
		{"a statement of somebody else", object{"software_statement": statement}, "https://other.example.com", oauth.InvalidSoftwareStatement},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			told, err := w.ParseUpdate(w.encode(w.plain().with(object{"client_id": "ins_a"}).with(tt.change)), "ins_a", tt.authority)
			if tt.want != "" {
				refuses(t, err, tt.want)
				return
			}
			must(t, err)
			if _, err := w.Settle(told, "bank"); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := w.ParseUpdate([]byte("{"), "ins_a", ""); err == nil {
		t.Error("half an object is read")
	}
}

// What an instance has is what it registered and what its application may have by now, whichever is less.
func TestClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m, err := w.register(w.encode(w.plain().with(object{"scope": "read pay", "grant_types": []string{"authorization_code", "refresh_token"}, "id_token_signed_response_alg": "RS256",
		"authorization_details_types": []string{"payment"}, "post_logout_redirect_uris": []string{bye}})), "")
	must(t, err)
	c, ok, err := w.Client("ins_a", &m)
	must(t, err)
	if !ok {
		t.Fatal("there is no client")
	}
	must(t, c.Check())
	want := terms()
	want.ID, want.Auth, want.Registered, want.Keys, want.IDTokenAlg = "ins_a", client.AuthPrivateKeyJWT, true, []jose.PublicKey{w.device.Public()}, jose.RS256
	want.Scopes, want.DefaultScopes, want.RedirectURIs, want.Grants = oauth.Scopes{"read", "pay"}, oauth.Scopes{"read"}, []string{callback}, want.Grants[:2]
	if diff := cmp.Diff(want, c, cmp.Comparer(func(a, b jose.PublicKey) bool { return jose.Thumbprint(a) == jose.Thumbprint(b) })); diff != "" {
		t.Errorf("the client (-want +got):\n%s", diff)
	}

	less := terms()
	less.Scopes, less.DefaultScopes, less.Grants, less.RedirectURIs = oauth.Scopes{"openid", "read"}, oauth.Scopes{"openid"}, less.Grants[:1], []string{"https://app.example.com/cb"}
	less.DetailTypes, less.PostLogoutRedirectURIs = nil, nil
	w.Applications[0].Terms, w.Algorithms = less, []jose.Algorithm{jose.ES256}
	c, ok, err = w.Client("ins_a", &m)
	must(t, err)
	if !ok || c.Scopes.String() != "read" || len(c.DefaultScopes)+len(c.RedirectURIs)+len(c.DetailTypes)+len(c.PostLogoutRedirectURIs) != 0 || len(c.Grants) != 1 ||
		c.IDTokenAlg != jose.ES256 {
		t.Errorf("after the application may have less, the client is %+v", c)
	}
	if len(terms().Grants) != 3 || len(w.Applications[0].Terms.Scopes) != 2 {
		t.Error("the terms have changed with the client")
	}
	w.Applications = w.Applications[1:]
	if _, ok, err = w.Client("ins_a", &m); ok || err != nil {
		t.Errorf("without its application it is a client: %t, %v", ok, err)
	}
	m.SoftwareID, m.JWKS = "meter", json.RawMessage("{")
	if _, _, err = w.Client("ins_a", &m); err == nil {
		t.Error("a record that is damaged makes a client")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*metadata.Reader)
		want   string
	}{
		{"no issuer", func(r *metadata.Reader) { r.Issuer = "" }, "issuer"},
		{"no clock", func(r *metadata.Reader) { r.Now = nil }, "clock"},
		{"no application", func(r *metadata.Reader) { r.Applications = nil }, "application"},
		{"an application without a name", func(r *metadata.Reader) { r.Applications[0].ID = "" }, "name"},
		{"an application twice", func(r *metadata.Reader) { r.Applications[0].ID = "meter" }, "twice"},
		{"no grants", func(r *metadata.Reader) { r.Applications[0].Terms.Grants = nil }, "grants"},
		{"CIBA", func(r *metadata.Reader) { r.Applications[1].Terms.Grants = []client.GrantType{client.GrantCIBA} }, "phones"},
		{"introspection", func(r *metadata.Reader) { r.Applications[0].Terms.Introspect = true }, "introspect"},
		{"terms that contradict themselves", func(r *metadata.Reader) { r.Applications[0].Terms.RedirectURIs = nil }, "redirect_uri"},
		{"an authority without a name", func(r *metadata.Reader) { r.Authorities[0].Issuer = "" }, "iss"},
		{"an authority without a key", func(r *metadata.Reader) { r.Authorities[0].Keys = nil }, "key"},
		{"an authority twice", func(r *metadata.Reader) {
			second := *r.Authorities[0]
			r.Authorities = append(r.Authorities, &second)
		}, "twice"},
		{"a statement that sets keys", func(r *metadata.Reader) { r.Authorities[0].May = []string{"software_id", "jwks"} }, "jwks"},
		{"a statement about nothing", func(r *metadata.Reader) { r.Authorities[0].May = []string{"scope"} }, "software_id"},
		{"a statement for an unknown application", func(r *metadata.Reader) { r.Authorities[0].Applications = []string{"other"} }, "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.change(w.Reader)
			if err := w.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check = %v, want a word on %q", err, tt.want)
			}
		})
	}
	if slices.Contains(metadata.Settable(), "jwks") || !slices.Contains(metadata.Settable(), "scope") {
		t.Errorf("settable is %v", metadata.Settable())
	}
	if w := newWorld(t); !w.Knows("bank") || w.Knows("other") {
		t.Error("Knows knows others")
	}
}

// Whatever is sent: it is refused with one of the codes of RFC 7591 3.2.2, or what is registered makes a client that may be, with no more
// than its application has.
func FuzzMetadata(f *testing.F) {
	w := newWorld(f)
	f.Add(w.encode(w.plain()))
	f.Add(w.encode(w.plain().with(object{"scope": "openid read", "grant_types": []string{"client_credentials"}})))
	f.Add(w.encode(w.plain().with(object{"software_statement": w.sign(w.vendor, "", object{"iss": vendor, "software_id": "bank"})})))
	f.Add([]byte(`{"jwks":{"keys":[]},"redirect_uris":["` + callback + `"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := w.register(body, "")
		var e *oauth.Error
		switch {
		case errors.As(err, &e):
			known := []oauth.Code{oauth.InvalidClientMetadata, oauth.InvalidRedirectURI, oauth.InvalidSoftwareStatement, oauth.UnapprovedSoftwareStatement}
			if !slices.Contains(known, e.Code) || e.HTTPStatus() != 400 {
				t.Fatalf("refused with %v", err)
			}
			return
		case err != nil:
			t.Fatalf("not an OAuth error: %v", err)
		}
		c, ok, err := w.Client("ins_a", &m)
		if err != nil || !ok {
			t.Fatalf("registered and no client: %v", err)
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(m)
		must(t, err)
		same, err := w.register(again, c.Name)
		if err == nil {
			t.Fatalf("a name passes for an application: %+v", same)
		}
		if same, err = w.register(again, m.SoftwareID); err != nil {
			t.Fatalf("what was returned is not taken back: %v", err)
		}
		if diff := cmp.Diff(m, same); diff != "" {
			t.Fatalf("registered again it is another (-first +second):\n%s", diff)
		}
	})
}
