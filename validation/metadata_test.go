// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/validation"
)

func TestMetadataURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, resource, want string // empty for an error
	}{
		{"RFC9728/3 path root", "https://api.example.com", "https://api.example.com/.well-known/oauth-protected-resource"},
		{"RFC9728/3 path trailing slash", "https://api.example.com/", "https://api.example.com/.well-known/oauth-protected-resource"},
		{"RFC9728/3 path inserted", "https://api.example.com/x", "https://api.example.com/.well-known/oauth-protected-resource/x"},
		{"RFC9728/3 path and query", "https://api.example.com/x?y=1", "https://api.example.com/.well-known/oauth-protected-resource/x?y=1"},
		{"port", "https://api.example.com:8443/x", "https://api.example.com:8443/.well-known/oauth-protected-resource/x"},
		{"escapes stay", "https://api.example.com/a%2Fb", "https://api.example.com/.well-known/oauth-protected-resource/a%2Fb"},
		{"development", "http://localhost:9000", "http://localhost:9000/.well-known/oauth-protected-resource"},
		{"RFC9728/1.2 http", "http://api.example.com", ""},
		{"RFC9728/1.2 fragment", "https://api.example.com/#x", ""},
		{"RFC9728/1.2 empty fragment", "https://api.example.com/#", ""},
		{"user information", "https://u@api.example.com/", ""},
		{"relative", "/x", ""},
		{"opaque", "https:api.example.com", ""},
		{"empty", "", ""},
		{"malformed", "https://[::1", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := validation.MetadataURL(test.resource)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestResourceMetadataDocument(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		metadata validation.ResourceMetadata
		want     string // empty for an error
	}{
		{
			"RFC9728/3.2 zero-value parameters are omitted", validation.ResourceMetadata{Resource: audience},
			`{"resource":"https://api.example.com","bearer_methods_supported":["header"]}`,
		},
		{
			"RFC9728/2 members", validation.ResourceMetadata{
				Resource: audience, AuthorizationServers: []string{issuer}, JWKSURI: audience + "/jwks",
				ScopesSupported: validation.Scopes{"accounts:read"}, BearerMethodsSupported: []string{"header"},
				ResourceSigningAlgs: []validation.Algorithm{validation.ES256}, ResourceName: "Accounts",
				ResourceDocumentation: audience + "/docs", ResourcePolicyURI: audience + "/policy", ResourceTermsOfServiceURI: audience + "/tos",
				AuthorizationDetailsTypes: []string{"payment"}, CertificateBoundAccessTokens: true,
				DPoPSigningAlgs: []validation.Algorithm{validation.ES256}, DPoPBoundAccessTokensRequired: true,
			},
			`{"resource":"https://api.example.com","authorization_servers":["https://auth.example.com"],` +
				`"jwks_uri":"https://api.example.com/jwks","scopes_supported":["accounts:read"],"bearer_methods_supported":["header"],` +
				`"resource_signing_alg_values_supported":["ES256"],"resource_name":"Accounts",` +
				`"resource_documentation":"https://api.example.com/docs","resource_policy_uri":"https://api.example.com/policy",` +
				`"resource_tos_uri":"https://api.example.com/tos","authorization_details_types_supported":["payment"],` +
				`"tls_client_certificate_bound_access_tokens":true,"dpop_signing_alg_values_supported":["ES256"],` +
				`"dpop_bound_access_tokens_required":true}`,
		},
		{"resource missing", validation.ResourceMetadata{AuthorizationServers: []string{issuer}}, ""},
		{"resource not https", validation.ResourceMetadata{Resource: "http://api.example.com"}, ""},
		{"issuer not https", validation.ResourceMetadata{Resource: audience, AuthorizationServers: []string{"http://auth.example.com"}}, ""},
		{"scope malformed", validation.ResourceMetadata{Resource: audience, ScopesSupported: validation.Scopes{"a b"}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := test.metadata.Document()
			if (err == nil) != (test.want != "") {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if _, herr := test.metadata.Handler(); (herr == nil) != (err == nil) {
				t.Errorf("the handler: %v", herr)
			}
		})
	}
}

func TestResourceMetadataHandler(t *testing.T) {
	t.Parallel()
	handler, err := validation.ResourceMetadata{Resource: audience, AuthorizationServers: []string{issuer}}.Handler()
	if err != nil {
		t.Fatal(err)
	}
	const document = `{"resource":"https://api.example.com","authorization_servers":["https://auth.example.com"],"bearer_methods_supported":["header"]}`
	tests := []struct {
		name, method string
		status       int
		body         string
	}{
		{"RFC9728/3.2 response", http.MethodGet, 200, document},
		{"head", http.MethodHead, 200, ""},
		{"post", http.MethodPost, 405, ""},
		{"delete", http.MethodDelete, 405, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := serve(handler, httptest.NewRequestWithContext(t.Context(), test.method, metadataURL, nil))
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d, %q", w.Code, w.Body)
			}
			if test.status == 405 {
				if w.Header().Get("Allow") != "GET, HEAD" {
					t.Errorf("got %v", w.Header())
				}
				return
			}
			for name, want := range map[string]string{
				"Content-Type": "application/json", "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
				"Cache-Control": "public, max-age=300",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: got %q", name, got)
				}
			}
		})
	}
}
