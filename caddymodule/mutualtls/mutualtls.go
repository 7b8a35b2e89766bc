// SPDX-License-Identifier: Apache-2.0

package mutualtls

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/authz/endpoints"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

// Config says where clients show certificates, and whose.
type Config struct {
	// The origin of the site whose connections are asked for a certificate, such as https://mtls.example.com. Default: the issuer's own.
	Origin string `json:"origin,omitempty"`
	// A PEM file with the certificate authorities that issue the certificates of tls_client_auth. The system's are never asked.
	CAFile string `json:"ca_file,omitempty"`
	// Whether TLS ends at a proxy in front, which passes on what its clients have shown (RFC 9440). It is believed where the server trusts it
	// (trusted_proxies), and has to remove what clients write into Client-Cert and Client-Cert-Chain themselves.
	FromProxy bool `json:"from_proxy,omitempty"`
}

// Client is what a client shows.
type Client struct {
	// The name in the certificates that it authenticates with. The authorities are those of mutual_tls.
	Issued *Name `json:"tls_client_auth,omitempty"`
	// PEM files with the certificates that it authenticates with, which need no authority: two while one is being replaced.
	Own []string `json:"self_signed_tls_client_auth,omitempty"`
	// Whether it gets no access tokens but those that are bound to the certificate of its connection.
	CertificateBound bool `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// Name is a name in a certificate.
type Name struct {
	// One of: subject_dn, san_dns, san_uri, san_ip, san_email.
	Kind string `json:"kind"`
	// The name, as it is written in full. A subject is written as RFC 4514 does: CN=pay,O=Example,C=CH.
	Value string `json:"value"`
}

func (n *Name) name() client.CertificateName {
	return client.CertificateName{Kind: client.NameKind(n.Kind), Value: n.Value}
}

// Check refuses an origin that is none. The errors do not name the option.
func (c *Config) Check(issuer string) error {
	if c == nil || c.Origin == "" {
		return nil
	}
	u, err := url.Parse(c.Origin)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || c.Origin != "https://"+u.Host:
		return fmt.Errorf("mutual_tls %q: expected an origin such as https://mtls.example.com", c.Origin)
	case strings.EqualFold(strings.TrimSuffix(issuer, authz.BasePath(issuer)), c.Origin):
		return fmt.Errorf("mutual_tls %q: that is the issuer's own origin: leave it out", c.Origin)
	}
	return nil
}

// Server returns what the server publishes about certificates; nil where there is nothing.
func (c *Config) Server() *endpoints.MutualTLS {
	if c == nil {
		return nil
	}
	m := &endpoints.MutualTLS{Origin: c.Origin, Methods: []string{string(authz.AuthSelfSignedTLS)}}
	if c.CAFile != "" {
		m.Methods = append(m.Methods, string(authz.AuthTLS))
	}
	return m
}

// Authenticates reports whether the client authenticates by certificates.
func (c *Client) Authenticates() bool { return c.Issued != nil || len(c.Own) > 0 }

// Check refuses what contradicts itself, and what the configuration has nothing for. It reads no file.
func (c *Client) Check(config *Config) error {
	switch {
	case config == nil && (c.Authenticates() || c.CertificateBound):
		return errors.New("it shows certificates: add \"mutual_tls\", which says where")
	case c.Issued != nil && len(c.Own) > 0:
		return errors.New("it has both tls_client_auth and self_signed_tls_client_auth: choose one")
	case c.Issued != nil && config.CAFile == "":
		return errors.New("tls_client_auth needs the authorities that issue certificates: add \"ca_file\" to mutual_tls")
	case c.Issued != nil:
		if err := c.Issued.name().Check(); err != nil {
			return fmt.Errorf("tls_client_auth: %w", err)
		}
	}
	return nil
}

// Apply gives a client the certificates that it authenticates with, from their files. One that shows none is left as it is.
func (c *Client) Apply(config *Config, to *authz.Client) error {
	if !c.Authenticates() {
		return nil
	}
	accepted := new(client.Certificates)
	if c.Issued != nil {
		roots, err := trust.Pool(config.CAFile)
		if err != nil {
			return fmt.Errorf("mutual_tls: %w", err)
		}
		to.Auth = authz.AuthTLS
		accepted.Roots, accepted.Name = roots, c.Issued.name()
	}
	for _, path := range c.Own {
		own, err := trust.Certificates(path)
		if err != nil {
			return fmt.Errorf("self_signed_tls_client_auth %q: %w", path, err)
		}
		to.Auth = authz.AuthSelfSignedTLS
		accepted.Own = append(accepted.Own, own...)
	}
	to.Certificates = accepted
	return nil
}
