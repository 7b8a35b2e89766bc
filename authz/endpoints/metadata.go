// SPDX-License-Identifier: Apache-2.0

package endpoints

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

// publicFor is for how long the metadata and the keys may be kept: well below the time for which a key is published before
// it signs.
const publicFor = "public, max-age=3600"

var errNoKeys = errors.New("the signing keys are not loaded yet")

// document is the metadata (OpenID Connect Discovery 3, RFC 8414 2, RFC 9126 5, RFC 9701 7, OpenID CIBA Core 4,
// draft-ietf-oauth-first-party-apps-04 8). It names what works and nothing else; what is absent would be true by default is said
// to be false.
type document struct {
	Issuer                string `json:"issuer"`
	AuthorizationEndpoint string `json:"authorization_endpoint"`
	ChallengeEndpoint     string `json:"authorization_challenge_endpoint"`
	PushedEndpoint        string `json:"pushed_authorization_request_endpoint"`
	TokenEndpoint         string `json:"token_endpoint"`
	JWKSURI               string `json:"jwks_uri"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	EndSessionEndpoint    string `json:"end_session_endpoint"`
	RegistrationEndpoint  string `json:"registration_endpoint,omitempty"`

	Scopes        oauth.Scopes           `json:"scopes_supported,omitempty"`
	Claims        []string               `json:"claims_supported"`
	ACRValues     []string               `json:"acr_values_supported,omitempty"`
	UILocales     []string               `json:"ui_locales_supported,omitempty"`
	ResponseTypes []string               `json:"response_types_supported"`
	ResponseModes []string               `json:"response_modes_supported"`
	GrantTypes    []string               `json:"grant_types_supported,omitempty"`
	DetailTypes   []string               `json:"authorization_details_types_supported,omitempty"` // RFC 9396 10
	SubjectTypes  []string               `json:"subject_types_supported"`
	Challenges    []string               `json:"code_challenge_methods_supported"`
	DPoPAlgs      []validation.Algorithm `json:"dpop_signing_alg_values_supported,omitempty"` // RFC 9449 5.1

	CertificateBound bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"` // RFC 8705 3.3
	Aliases          *aliases `json:"mtls_endpoint_aliases,omitempty"`

	IDTokenAlgs []validation.Algorithm `json:"id_token_signing_alg_values_supported"`

	TokenAuth           []string               `json:"token_endpoint_auth_methods_supported"`
	TokenAlgs           []validation.Algorithm `json:"token_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuth   []string               `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAlgs   []validation.Algorithm `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	IntrospectionSigned []validation.Algorithm `json:"introspection_signing_alg_values_supported"`
	RevocationAuth      []string               `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgs      []validation.Algorithm `json:"revocation_endpoint_auth_signing_alg_values_supported"`

	BackchannelEndpoint string                 `json:"backchannel_authentication_endpoint,omitempty"`
	BackchannelModes    []string               `json:"backchannel_token_delivery_modes_supported,omitempty"`
	BackchannelAlgs     []validation.Algorithm `json:"backchannel_authentication_request_signing_alg_values_supported,omitempty"`
	BackchannelCode     *bool                  `json:"backchannel_user_code_parameter_supported,omitempty"`

	ClaimsParameter     bool `json:"claims_parameter_supported"`
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
	IssParameter        bool `json:"authorization_response_iss_parameter_supported"`
}

// aliases are the endpoints where clients show their certificates (RFC 8705 5).
type aliases struct {
	Token         string `json:"token_endpoint"`
	Pushed        string `json:"pushed_authorization_request_endpoint"`
	Challenge     string `json:"authorization_challenge_endpoint"`
	Introspection string `json:"introspection_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Userinfo      string `json:"userinfo_endpoint"`
	Backchannel   string `json:"backchannel_authentication_endpoint,omitempty"`
}

// protocolClaims are in the tokens; those of the profile scopes come from userinfo.
var protocolClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}

// assertionAlgs are those a client's assertion may be signed with.
var assertionAlgs = []validation.Algorithm{validation.ES256, validation.EdDSA, validation.RS256, validation.PS256}

func (h *Handler) document() document {
	confidential := []string{string(authz.AuthClientSecretBasic), string(authz.AuthClientSecretPost), string(authz.AuthPrivateKeyJWT)}
	if m := h.Metadata.MutualTLS; m != nil {
		confidential = append(confidential, m.Methods...)
	}
	all := append(confidential[:len(confidential):len(confidential)], string(authz.AuthNone))
	claims := protocolClaims
	for _, scope := range h.Metadata.Scopes {
		claims = append(claims[:len(claims):len(claims)], scopeClaims[scope]...)
	}
	d := document{
		Issuer:                h.Issuer,
		AuthorizationEndpoint: h.Issuer + authz.PathAuthorize,
		ChallengeEndpoint:     h.Issuer + authz.PathChallenge,
		PushedEndpoint:        h.Issuer + authz.PathPushed,
		TokenEndpoint:         h.Issuer + authz.PathToken,
		JWKSURI:               h.Issuer + authz.PathJWKS,
		UserinfoEndpoint:      h.Issuer + authz.PathUserinfo,
		IntrospectionEndpoint: h.Issuer + authz.PathIntrospect,
		RevocationEndpoint:    h.Issuer + authz.PathRevoke,
		EndSessionEndpoint:    h.Issuer + authz.PathLogout,
		Scopes:                h.Metadata.Scopes,
		Claims:                claims,
		ACRValues:             h.Metadata.ACRValues,
		UILocales:             h.Pages.Locales(),
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query", "form_post"},
		GrantTypes:            h.Metadata.GrantTypes,
		DetailTypes:           h.Metadata.DetailTypes,
		SubjectTypes:          []string{"public"},
		Challenges:            []string{oauth.MethodS256},
		IDTokenAlgs:           h.Keys.Algorithms(),
		TokenAuth:             all, TokenAlgs: assertionAlgs,
		IntrospectionAuth: confidential, IntrospectionAlgs: assertionAlgs,
		IntrospectionSigned: h.Keys.Algorithms(),
		RevocationAuth:      all, RevocationAlgs: assertionAlgs,
		IssParameter: true,
	}
	if proofs := h.Clients.Proofs; proofs != nil {
		d.DPoPAlgs = proofs.Algs()
	}
	if h.Metadata.Registration {
		d.RegistrationEndpoint = h.Issuer + authz.PathRegister
	}
	if b := h.Metadata.Backchannel; b != nil {
		d.BackchannelEndpoint, d.BackchannelModes = h.Issuer+authz.PathBackchannel, b.Modes
		d.BackchannelAlgs, d.BackchannelCode = assertionAlgs, &b.UserCode
	}
	if m := h.Metadata.MutualTLS; m != nil {
		d.CertificateBound, d.Aliases = true, h.aliases(m.Origin)
	}
	return d
}

// aliases are those at another origin; nil where it is the issuer's own.
func (h *Handler) aliases(origin string) *aliases {
	if origin == "" {
		return nil
	}
	base := origin + authz.BasePath(h.Issuer)
	a := &aliases{
		Token: base + authz.PathToken, Pushed: base + authz.PathPushed, Challenge: base + authz.PathChallenge,
		Introspection: base + authz.PathIntrospect, Revocation: base + authz.PathRevoke, Userinfo: base + authz.PathUserinfo,
	}
	if h.Metadata.Backchannel != nil {
		a.Backchannel = base + authz.PathBackchannel
	}
	return a
}

// metadata answers with the one document, at every path it has.
func (h *Handler) metadata(w http.ResponseWriter, r *http.Request) {
	if httpx.CORS(w, r, http.MethodGet) || !httpx.Allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	if len(h.Keys.Algorithms()) == 0 {
		httpx.WriteError(w, r, oauth.Unavailable(errNoKeys), h.Logger)
		return
	}
	body, err := json.Marshal(h.document())
	if err != nil {
		httpx.WriteError(w, r, oauth.Internal(err), h.Logger)
		return
	}
	writePublic(w, r, body)
}

// jwks answers with the published keys (OpenID Connect Core 10.1.1, 10.2.1).
func (h *Handler) jwks(w http.ResponseWriter, r *http.Request) {
	if httpx.CORS(w, r, http.MethodGet) || !httpx.Allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	body := h.Keys.JWKS()
	if body == nil {
		httpx.WriteError(w, r, oauth.Unavailable(errNoKeys), h.Logger)
		return
	}
	writePublic(w, r, body)
}

// writePublic answers with a document that anybody may keep for a while, or with 304 to who has it (RFC 9110 13.1.2).
func writePublic(w http.ResponseWriter, r *http.Request, body []byte) {
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	h := w.Header()
	h.Set("Cache-Control", publicFor)
	h.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	httpx.WriteBody(w, http.StatusOK, body)
}

// matches reports whether a list of entity tags holds the tag, by weak comparison.
func matches(list, tag string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}
