// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/gatehouse-id/gatehouse/validation"
)

// An API behind the middleware: who calls without a token learns where to get one, who calls with one that has the scope
// gets in.
func ExampleMiddleware() {
	tokens, jwks := exampleIssuer()
	set, err := validation.ParseKeySet(jwks)
	if err != nil {
		fmt.Println(err)
		return
	}
	validator, err := validation.New(validation.Config{
		Issuer:   "https://auth.example.com",
		Audience: []string{"https://api.example.com"},
		Keys:     set, // or remote.NewKeys, which fetches them from the issuer
		Now:      time.Now,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := &validation.Policy{AllScopes: validation.Scopes{"accounts:read"}}
	protect := validation.Middleware(validator, policy, validation.Options{Realm: "accounts"})
	api := protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		principal, _ := validation.PrincipalFrom(r.Context())
		fmt.Fprintf(w, "hello %s", principal.Subject)
	}))

	for _, token := range []string{"", tokens("usr_1", "profile"), tokens("usr_1", "accounts:read profile")} {
		r := httptest.NewRequest(http.MethodGet, "https://api.example.com/accounts", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	// Output:
	// 401 Bearer realm="accounts"
	// 403 Bearer realm="accounts", error="insufficient_scope", error_description="the access token does not have the scopes this resource requires", scope="accounts:read"
	// 200
}

// A payment wants the phone to have been used in the last five minutes. The refusal says what to ask the authorization
// server for (RFC 9470).
func ExamplePolicy_Check() {
	policy := validation.Policy{
		AllScopes:    validation.Scopes{"payments:write"},
		Requirements: []validation.Requirement{{Realm: "phone", MaxAge: 5 * time.Minute}},
	}
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	principal := &validation.Principal{
		Scopes: validation.Scopes{"payments:write"},
		Realms: validation.Realms{{Realm: "password", At: now.Add(-time.Hour)}, {Realm: "phone", At: now.Add(-time.Hour)}},
	}
	err := policy.Check(principal, now)
	var refusal *validation.Error
	fmt.Println(errors.As(err, &refusal), refusal.Code, refusal.HTTPStatus())
	fmt.Println(validation.ChallengeFor(err))
	// Output:
	// true insufficient_user_authentication 401
	// Bearer error="insufficient_user_authentication", error_description="this resource requires a stronger or more recent authentication", acr_values="phone"
}

// The document that tells clients which authorization server the resource trusts (RFC 9728).
func ExampleResourceMetadata() {
	metadata := validation.ResourceMetadata{
		Resource:             "https://api.example.com/accounts",
		AuthorizationServers: []string{"https://auth.example.com"},
		ScopesSupported:      validation.Scopes{"accounts:read"},
	}
	document, err := metadata.Document()
	if err != nil {
		fmt.Println(err)
		return
	}
	location, err := validation.MetadataURL(metadata.Resource)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(location)
	fmt.Println(string(document))
	// Output:
	// https://api.example.com/.well-known/oauth-protected-resource/accounts
	// {"resource":"https://api.example.com/accounts","authorization_servers":["https://auth.example.com"],"scopes_supported":["accounts:read"],"bearer_methods_supported":["header"]}
}

// exampleIssuer stands for an authorization server: it returns a function that makes access tokens, and its key set. It
// uses nothing but the standard library, as any issuer in any language would use its own.
func exampleIssuer() (tokens func(subject, scope string) string, jwks []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil
	}
	encode := base64.RawURLEncoding.EncodeToString
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, nil
	}
	jwks = fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, encode(point[1:33]), encode(point[33:]))
	return func(subject, scope string) string {
		now := time.Now().Unix()
		signed := encode([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"1"}`)) + "." + encode(fmt.Appendf(nil,
			`{"iss":"https://auth.example.com","aud":"https://api.example.com","sub":%q,"client_id":"app","jti":"1","iat":%d,"exp":%d,"scope":%q}`,
			subject, now, now+300, scope))
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			return ""
		}
		return signed + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}, jwks
}
