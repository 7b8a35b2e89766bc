// SPDX-License-Identifier: Apache-2.0

package client

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Registration makes this installation of an app a client of its own, with a key of its own (RFC 7591). Key and Keep are required, and
// InitialToken or Metadata's "software_statement" where the server does not admit anyone.
type Registration struct {
	// Key signs for this installation (private_key_jwt, ES256). It is drawn on the device, lasts as long as the installation and never
	// leaves it.
	Key *ecdsa.PrivateKey
	// Instance is what Keep was given last; the zero value where this installation has not registered.
	Instance Instance
	// Keep puts an instance where the next start of the app finds it, and nobody else does. It is called before the instance is used; with
	// an error of it the instance is given up.
	Keep func(ctx context.Context, i Instance) error
	// InitialToken is the initial access token that the operator has issued.
	InitialToken string
	// Attest has, unless nil, the platform say where the key is and that the app is genuine, for servers that want to see it, and Platform
	// is how the server calls that platform, such as "ios".
	Attest   Attester
	Platform string
	// Metadata is what the app says of itself: "software_id", "redirect_uris", "scope" and the like (RFC 7591 2). The key is added to it.
	Metadata map[string]any
}

// Attester returns what a platform says of an app and of a key, as an object with a "format". Evidence about a key is made for challenge,
// with which an Android key is made, and all other evidence for bound, the clientDataHash of App Attest and the nonce of Play Integrity.
type Attester func(ctx context.Context, challenge, bound []byte, key crypto.PublicKey) (json.RawMessage, error)

// Instance is what the server has registered. Token is a secret: with it the registration is read and ended (RFC 7592).
type Instance struct {
	ClientID string `json:"client_id"`
	Token    string `json:"registration_access_token"`
	URI      string `json:"registration_client_uri"`
}

func (r *Registration) check() error {
	if r.Key == nil || r.Key.Curve != elliptic.P256() || r.Keep == nil {
		return errors.New("building a client: a registration needs a key on P-256 and somewhere to keep what comes of it")
	}
	return nil
}

// identify adds to a form who is asking: the client id, and the assertion of an installation that is a client of its own. One that is
// none yet registers first.
func (c *Client) identify(ctx context.Context, form url.Values) error {
	r := c.config.Registration
	if r == nil {
		form.Set("client_id", c.config.ClientID)
		return nil
	}
	if c.instance.ClientID == "" {
		if err := c.register(ctx); err != nil {
			return err
		}
	}
	assertion, err := c.assertion()
	if err != nil {
		return err
	}
	form.Set("client_id", c.instance.ClientID)
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return nil
}

// register registers the installation and has the outcome kept.
func (c *Client) register(ctx context.Context) error {
	known, err := c.discover(ctx)
	if err != nil {
		return err
	}
	if known.Register == "" {
		return errors.New("the server registers nobody")
	}
	r := c.config.Registration
	said := map[string]any{"token_endpoint_auth_method": "private_key_jwt"}
	for name, value := range r.Metadata {
		said[name] = value
	}
	key, err := publicKey(r.Key)
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	key["alg"], key["use"] = "ES256", "sig"
	said["jwks"] = map[string]any{"keys": []any{key}}
	if err := c.attest(ctx, known.Register, said); err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	body, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, known.Register, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if r.InitialToken != "" {
		request.Header.Set("Authorization", "Bearer "+r.InitialToken)
	}
	var i Instance
	if err := c.send(request, &i); err != nil {
		return fmt.Errorf("registering: %w", err)
	}
	if i.ClientID == "" {
		return errors.New("registering: the server has named no client")
	}
	if i.URI != "" && !strings.HasPrefix(i.URI, strings.TrimSuffix(c.config.Issuer, "/")+"/") {
		return errors.New("registering: the server names a registration that is not its own") // which would be sent the token
	}
	if err := r.Keep(ctx, i); err != nil {
		return fmt.Errorf("keeping what was registered: %w", err)
	}
	c.instance = i
	return nil
}

// attest has the platform vouch for a challenge of the server, and adds what it says. A server that sets none does not want it.
func (c *Client) attest(ctx context.Context, endpoint string, said map[string]any) error {
	r := c.config.Registration
	if r.Attest == nil {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/challenge", http.NoBody)
	if err != nil {
		return err
	}
	if r.InitialToken != "" {
		request.Header.Set("Authorization", "Bearer "+r.InitialToken)
	}
	var asked struct {
		Challenge string `json:"challenge"`
	}
	var e *Error
	if err := c.send(request, &asked); errors.As(err, &e) && e.Status == http.StatusNotFound {
		return nil
	} else if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(r.Key.Public())
	if err != nil {
		return err
	}
	name := sha256.Sum256(der)
	text := "gatehouse registration v1\n" + strings.TrimSuffix(c.config.Issuer, "/") + "\n" + asked.Challenge
	alone, bound := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(text+"\n"+b64.EncodeToString(name[:])))
	evidence, err := r.Attest(ctx, alone[:], bound[:], r.Key.Public())
	if err != nil {
		return fmt.Errorf("having the platform vouch for a key: %w", err)
	}
	said["attestation"] = map[string]any{"platform": r.Platform, "challenge": asked.Challenge, "evidence": evidence}
	return nil
}

// Instance returns what is registered of this installation; the zero value where nothing is.
func (c *Client) Instance(ctx context.Context) (i Instance, err error) {
	_, err = c.exclusively(ctx, func() (Tokens, error) {
		i = c.instance
		return Tokens{}, nil
	})
	return i, err
}

// forgotten reports whether an error means that the server does not know this installation any more, because it was deleted or lay unused
// for too long. "invalid_client" alone does not: a clock that is off leads to it as well. So the server is asked for the registration,
// and only that it does not know that is believed (RFC 7592 2.1). Then the installation is none any more, and what it was issued is
// forgotten: whoever goes on registers again.
func (c *Client) forgotten(ctx context.Context, err error) bool {
	var e *Error
	if c.config.Registration == nil || c.instance.ClientID == "" || !errors.As(err, &e) || e.Code != "invalid_client" || !c.unknown(ctx) {
		return false
	}
	c.instance, c.session = Instance{}, ""
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = Tokens{}
	return true
}

// unknown asks the server whether it knows the registration.
func (c *Client) unknown(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.instance.URI, http.NoBody)
	if err != nil || c.instance.URI == "" {
		return false
	}
	request.Header.Set("Authorization", "Bearer "+c.instance.Token)
	var e *Error
	return errors.As(c.send(request, nil), &e) && e.Status == http.StatusUnauthorized
}

// Deregister has the server forget this installation, and with it everything that it was issued (RFC 7592 2.3). It may register again.
func (c *Client) Deregister(ctx context.Context) error {
	_, err := c.exclusively(ctx, func() (Tokens, error) {
		r := c.config.Registration
		if r == nil || c.instance.ClientID == "" {
			return Tokens{}, nil
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodDelete, c.instance.URI, http.NoBody)
		if err != nil {
			return Tokens{}, fmt.Errorf("ending the registration: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+c.instance.Token)
		if err := c.send(request, nil); err != nil {
			return Tokens{}, fmt.Errorf("ending the registration: %w", err)
		}
		c.mu.Lock()
		c.tokens, c.session, c.instance = Tokens{}, "", Instance{}
		c.mu.Unlock()
		return Tokens{}, r.Keep(ctx, Instance{})
	})
	return err
}
