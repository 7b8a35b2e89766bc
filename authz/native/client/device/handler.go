// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// App is what an app says of itself: its id at the server, its platform and its version.
type App struct {
	ID       string `json:"id"`
	Platform string `json:"platform"`
	Version  string `json:"version"`
}

// Properties are what an app says of the device it is on. All are optional.
type Properties struct {
	Model     string `json:"model,omitempty"`
	OS        string `json:"os,omitempty"`
	OSVersion string `json:"os_version,omitempty"`
}

// Config describes a [Handler]. App, Storage and Now are required.
type Config struct {
	App     App
	Device  Properties
	Storage Storage
	Now     func() time.Time
	// NewKey makes a key on P-256. Default: one in memory, which a Storage can write down.
	NewKey func() (crypto.Signer, error)
	// Custom says, unless nil, what the app adds for the hooks of the operator, such as an activation code that somebody has typed. It is
	// asked for each answer, so that a person who was refused can say something else without installing the app again.
	Custom func(ctx context.Context) (map[string]string, error)
	// Attest has, unless nil, the platform say where the key is and that the app is genuine, for servers that want to see it.
	Attest Attester
}

// Attester returns what a platform says of an app and of a key, as an object with a "format". Evidence about a key is made for challenge,
// with which an Android key is made, and all other evidence for bound, the clientDataHash of App Attest and the nonce of Play Integrity.
type Attester func(ctx context.Context, challenge, bound []byte, key crypto.PublicKey) (json.RawMessage, error)

// Handler answers a realm that asks which device it is. It is safe for concurrent use.
type Handler struct {
	c Config

	mu   sync.Mutex
	sent sent // what the last answer was, as long as its realm goes on asking
	// requested tells that a certificate was asked for by the key itself, since the realm began to ask.
	requested bool
}

// sent is a kind of answer.
type sent int

const (
	nothing  sent = iota
	presence      // signed by the key of the certificate
	renewal       // a request, by the key of the certificate
	request       // a request, by the key itself
)

// ErrRefused says that the server takes neither the certificate nor a request for one. It may take them another time, when the operator
// agrees or [Config].Custom says something else: the next call asks again. [Handler.Forget] begins anew as another device.
var ErrRefused = errors.New("the server does not accept this device")

// RefusalError is an [ErrRefused] for which the operator has words, to be shown to the person.
type RefusalError struct{ Text string }

// Error quotes the operator.
func (e *RefusalError) Error() string { return ErrRefused.Error() + ": " + e.Text }

// Unwrap returns [ErrRefused].
func (e *RefusalError) Unwrap() error { return ErrRefused }

// refusal is what comes of a challenge after which there is nothing left to say.
func refusal(c *client.Challenge) error {
	if c.Notice != nil && c.Notice.Text != "" {
		return &RefusalError{c.Notice.Text}
	}
	return ErrRefused
}

// WaitError says that the server cannot judge at the moment.
type WaitError struct{ After time.Duration }

// Error names the time.
func (e *WaitError) Error() string { return fmt.Sprintf("try again in %s", e.After) }

var _ client.Handler = (*Handler)(nil)

// New returns a handler. It makes no key yet.
func New(c Config) (*Handler, error) {
	if c.App.ID == "" || c.App.Platform == "" || c.App.Version == "" || c.Storage == nil || c.Now == nil {
		return nil, errors.New("building a device: the app with its platform and version, a storage and a clock are required")
	}
	if c.NewKey == nil {
		c.NewKey = func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
	}
	return &Handler{c: c}, nil
}

// Answer proves which device it is. Without a certificate, and before it is over, it asks for one first.
func (h *Handler) Answer(ctx context.Context, c client.Challenge) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case c.Failure != nil && c.Failure.Code != client.Refused:
		return nil, &WaitError{After: c.Failure.RetryAfter()}
	case c.Failure == nil && c.Data["certificate"] == "":
		h.sent, h.requested = nothing, false
	}
	if c.Data["nonce"] == "" || c.Data["audience"] == "" || c.Data["realm"] == "" {
		return nil, errors.New("the challenge does not ask for a device")
	}
	a := &answering{Handler: h, asked: &c}
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	if c.Data["mode"] == "none" {
		if c.Failure != nil {
			return nil, refusal(&c)
		}
		return a.unsigned()
	}
	if err := a.take(ctx); err != nil {
		return nil, err
	}
	var err error
	if h.sent, err = a.next(); err != nil {
		return nil, err
	}
	if h.sent == presence {
		return a.present()
	}
	h.requested = h.sent == request
	return a.request(ctx)
}

// Forget takes the key away, so that the next answer is from a device that nobody knows yet. The server is the one that was asked by
// the challenge with that audience and entity.
func (h *Handler) Forget(ctx context.Context, audience, entity string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	identity, err := h.fresh()
	if err != nil {
		return err
	}
	return h.c.Storage.Save(ctx, name(audience, entity), identity)
}

func name(audience, entity string) string { return entity + " at " + audience }

// fresh is an identity that nothing was issued for.
func (h *Handler) fresh() (Identity, error) {
	key, err := h.c.NewKey()
	if err != nil {
		return Identity{}, fmt.Errorf("making a key: %w", err)
	}
	return Identity{Installation: rand.Text(), Key: key}, nil
}

// answering is one challenge on its way to an answer.
type answering struct {
	*Handler
	asked    *client.Challenge
	identity Identity
	leaf     *x509.Certificate // nil where there is none
	claims   map[string]any
}

func (a *answering) name() string { return name(a.asked.Data["audience"], a.asked.Data["entity"]) }

// load reads the identity, or makes one, and keeps it before anybody sees it.
func (a *answering) load(ctx context.Context) (err error) {
	if a.identity, err = a.c.Storage.Load(ctx, a.name()); err != nil {
		return err
	}
	if a.identity.Key == nil {
		if a.identity, err = a.fresh(); err != nil {
			return err
		}
		if err := a.c.Storage.Save(ctx, a.name(), a.identity); err != nil {
			return err
		}
	}
	if len(a.identity.Chain) > 0 {
		if a.leaf, err = x509.ParseCertificate(a.identity.Chain[0]); err != nil {
			return fmt.Errorf("reading the certificate: %w", err)
		}
	}
	a.claims = map[string]any{
		"aud": a.asked.Data["audience"], "realm": a.asked.Data["realm"], "nonce": a.asked.Data["nonce"],
		"installation": a.identity.Installation, "app": a.c.App, "device": a.c.Device,
	}
	if a.c.Custom == nil {
		return nil
	}
	custom, err := a.c.Custom(ctx)
	if err == nil && len(custom) > 0 {
		a.claims["custom"] = custom
	}
	return err
}

// take keeps a certificate that comes with the challenge: one for our key.
func (a *answering) take(ctx context.Context) error {
	rest := []byte(a.asked.Data["certificate"])
	if len(rest) == 0 {
		return nil
	}
	var chain [][]byte
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return errors.New("the server has sent no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	public, ok := a.identity.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return errors.New("the server has sent a certificate for another key")
	}
	a.identity.Chain, a.leaf = chain, leaf
	return a.c.Storage.Save(ctx, a.name(), a.identity)
}

// next says what to send: the certificate's answer where there is one that goes on for a while, and something else where that has led
// nowhere.
func (a *answering) next() (sent, error) {
	if a.asked.Data["certificate"] != "" {
		return presence, nil
	}
	switch a.sent {
	case nothing:
		switch {
		case a.leaf == nil:
			return request, nil
		case a.due():
			return renewal, nil
		}
		return presence, nil
	case renewal:
		if a.c.Now().Before(a.leaf.NotAfter) {
			return presence, nil
		}
		return request, nil
	case presence:
		if !a.requested && a.asked.Notice == nil { // with words for the person it is the device that is not wanted, whatever its certificate
			return request, nil
		}
	}
	return nothing, refusal(a.asked)
}

// due reports whether the last third of the certificate's time has begun.
func (a *answering) due() bool {
	third := a.leaf.NotAfter.Sub(a.leaf.NotBefore) / 3
	return !a.c.Now().Before(a.leaf.NotAfter.Add(-third))
}

func (a *answering) unsigned() (map[string]string, error) {
	text, err := json.Marshal(a.claims)
	return map[string]string{"answer": string(text)}, err
}

func (a *answering) present() (map[string]string, error) {
	signed, err := a.sign("gatehouse-device+jwt", digest(a.leaf.Raw))
	return map[string]string{"answer": signed}, err
}

// request makes a request for a certificate (RFC 2986) and signs that it is ours and now: by the key itself, or by that of the
// certificate, which is the same.
func (a *answering) request(ctx context.Context) (map[string]string, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: a.identity.Installation}, // some authorities issue nothing without one
	}, a.identity.Key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	a.claims["csr"] = digest(csr)
	by := ""
	if a.sent == renewal {
		by = digest(a.leaf.Raw)
	}
	signed, err := a.sign("gatehouse-csr+jwt", by)
	if err != nil {
		return nil, err
	}
	answers := map[string]string{"answer": signed, "csr": base64.RawURLEncoding.EncodeToString(csr)}
	if a.c.Attest == nil || a.asked.Data["attestation"] == "" {
		return answers, nil
	}
	evidence, err := a.evidence(ctx)
	answers["evidence"] = string(evidence)
	return answers, err
}

// evidence has the platform vouch, for the nonce that was asked with.
func (a *answering) evidence(ctx context.Context) (json.RawMessage, error) {
	key, err := x509.MarshalPKIXPublicKey(a.identity.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("naming a key: %w", err)
	}
	asked := "gatehouse certificate v1\n" + a.asked.Data["audience"] + "\n" + a.asked.Data["realm"] + "\n" + a.asked.Data["nonce"]
	challenge, bound := sha256.Sum256([]byte(asked)), sha256.Sum256([]byte(asked+"\n"+digest(key)))
	evidence, err := a.c.Attest(ctx, challenge[:], bound[:], a.identity.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("having the platform vouch for a key: %w", err)
	}
	return evidence, nil
}
