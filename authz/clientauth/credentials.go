// SPDX-License-Identifier: Apache-2.0

package clientauth

import (
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// credentials is what a request presents. It never reaches a log.
type credentials struct {
	method    authz.AuthMethod
	clientID  string
	secret    string
	assertion assertion
	chain     []*x509.Certificate // of the connection, the sender's own first
	browser   bool                // the request is a browser's
}

// read finds the one method that a request uses.
func read(h http.Header, p oauth.Params) (credentials, error) {
	lines := h["Authorization"]
	secret, token := p.Get("client_secret"), p.Get("client_assertion")
	signed := token != "" || p.Get("client_assertion_type") != ""
	used := len(lines)
	if secret != "" {
		used++
	}
	if signed {
		used++
	}
	if used > 1 {
		return credentials{}, oauth.NewError(oauth.InvalidRequest, "more than one way of client authentication is used")
	}
	switch {
	case len(lines) == 1:
		return readBasic(lines[0], p.Get("client_id"))
	case signed:
		return readAssertion(token, p)
	case p.Get("client_id") == "":
		return credentials{method: authz.AuthNone}, refused(ErrNoCredentials)
	case secret != "":
		return credentials{method: authz.AuthClientSecretPost, clientID: p.Get("client_id"), secret: secret}, nil
	}
	return credentials{method: authz.AuthNone, clientID: p.Get("client_id")}, nil
}

// readBasic reads an Authorization header: both parts are form-urlencoded before they are joined (RFC 6749 2.3.1). A
// client_id in the body is superfluous then, and must be the same.
func readBasic(line, clientID string) (credentials, error) {
	c := credentials{method: authz.AuthClientSecretBasic}
	scheme, encoded, ok := strings.Cut(line, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return c, refused(errBasic)
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return c, refused(errBasic)
	}
	name, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return c, refused(errBasic)
	}
	if c.clientID, err = url.QueryUnescape(name); err != nil {
		return c, refused(errBasic)
	}
	if c.secret, err = url.QueryUnescape(secret); err != nil {
		return c, refused(errBasic)
	}
	if clientID != "" && clientID != c.clientID {
		return c, oauth.NewError(oauth.InvalidRequest, "client_id names another client than the Authorization header")
	}
	return c, nil
}
