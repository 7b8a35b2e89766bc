// SPDX-License-Identifier: Apache-2.0

package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// MetadataPath is where the metadata of a resource is published, before the resource's own path (RFC 9728 3).
const MetadataPath = "/.well-known/oauth-protected-resource"

// ResourceMetadata is what a resource publishes about itself (RFC 9728 2): which authorization servers it trusts and which
// scopes it knows. Empty members are left out.
type ResourceMetadata struct {
	// Resource is the identifier of the resource: an https URL without fragment. Clients compare it with the URL they used.
	Resource             string   `json:"resource"`
	AuthorizationServers []string `json:"authorization_servers,omitempty"`
	JWKSURI              string   `json:"jwks_uri,omitempty"`
	ScopesSupported      Scopes   `json:"scopes_supported,omitempty"`
	// BearerMethodsSupported is where the resource takes tokens from. Default: header, which is all that [FromRequest] does.
	BearerMethodsSupported        []string    `json:"bearer_methods_supported,omitempty"`
	ResourceSigningAlgs           []Algorithm `json:"resource_signing_alg_values_supported,omitempty"`
	ResourceName                  string      `json:"resource_name,omitempty"`
	ResourceDocumentation         string      `json:"resource_documentation,omitempty"`
	ResourcePolicyURI             string      `json:"resource_policy_uri,omitempty"`
	ResourceTermsOfServiceURI     string      `json:"resource_tos_uri,omitempty"`
	AuthorizationDetailsTypes     []string    `json:"authorization_details_types_supported,omitempty"`
	CertificateBoundAccessTokens  bool        `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPSigningAlgs               []Algorithm `json:"dpop_signing_alg_values_supported,omitempty"`
	DPoPBoundAccessTokensRequired bool        `json:"dpop_bound_access_tokens_required,omitempty"`
}

// Document returns the metadata as JSON, or an error when a URL in it is none that may be published.
func (m ResourceMetadata) Document() ([]byte, error) {
	if _, err := resourceURL(m.Resource); err != nil {
		return nil, fmt.Errorf("describing the resource %q: %w", m.Resource, err)
	}
	for _, issuer := range m.AuthorizationServers {
		if _, err := resourceURL(issuer); err != nil {
			return nil, fmt.Errorf("describing the authorization server %q: %w", issuer, err)
		}
	}
	if i := slices.IndexFunc(m.ScopesSupported, func(s string) bool { return !oauth.ValidScope(s) }); i >= 0 {
		return nil, fmt.Errorf("describing the scope %q: it is malformed", m.ScopesSupported[i])
	}
	if m.BearerMethodsSupported == nil {
		m.BearerMethodsSupported = []string{"header"}
	}
	return json.Marshal(m)
}

// Handler serves the metadata to anyone, also to scripts of other origins: it is meant to be found.
func (m ResourceMetadata) Handler() (http.Handler, error) {
	document, err := m.Document()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			header.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		header.Set("Content-Type", "application/json")
		header.Set("Content-Length", strconv.Itoa(len(document)))
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Cache-Control", "public, max-age=300")
		if r.Method == http.MethodGet {
			_, _ = w.Write(document) // nobody is left to tell
		}
	}), nil
}

// MetadataURL returns where the metadata of a resource belongs: the well-known path stands between the host and the path
// of the resource, and a path that is only a slash falls away (RFC 9728 3.1).
func MetadataURL(resource string) (string, error) {
	u, err := resourceURL(resource)
	if err != nil {
		return "", fmt.Errorf("locating the metadata of %q: %w", resource, err)
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	location := u.Scheme + "://" + u.Host + MetadataPath + path
	if u.RawQuery != "" {
		location += "?" + u.RawQuery
	}
	return location, nil
}

// resourceURL reads an identifier: https, or http on a loopback host for development, without user and fragment (RFC 9728
// 1.2).
func resourceURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.User != nil:
		return nil, errors.New("it is not an absolute URL")
	case strings.Contains(text, "#"):
		return nil, errors.New("it has a fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !oauth.IsLoopback(u.Hostname())):
		return nil, errors.New("it is not https")
	}
	return u, nil
}
