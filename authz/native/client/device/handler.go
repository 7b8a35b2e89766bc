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
	// Rekey says, unless nil, whether the certificate of a key is to be renewed with another key: one in hardware, say, or a younger one. It
	// is asked when it is time to renew. The key that there is goes on until the other one was shown, whatever happens on the way; where the
	// server does not take the other one, this one is renewed. The Storage is given the zero value too, which takes away what is kept.
	Rekey func(key crypto.PublicKey) bool
	// NewKey makes a key on P-256. Default: one in memory, which a Storage can write down.
	NewKey func() (crypto.Signer, error)
	// Custom says, unless nil, what the app adds for the hooks of the operator, such as an activation code that somebody has typed. It is
	// asked for each answer, so that a person who was refused can say something else without installing the app again.
	Custom func(ctx context.Context) (map[string]string, error)
	// Attest has, unless nil, the platform say where the key is and that the app is genuine, for servers that want to see it.
	Attest Attester
	// Former returns, unless nil, what the app has from another system that the server has taken the place of. It is asked before the first
	// certificate, where the server takes such ones, and may return the zero value.
	Former func(ctx context.Context) (Former, error)
}

// Former is a key and the certificate, in DER, that another system has issued for it. The key signs once: RSA, P-256 or P-384.
type Former struct {
	Key         crypto.Signer
	Certificate []byte
}

// Attester returns what a platform says of an app and of a key, as an object with a "format". Evidence about a key is made for challenge,
// with which an Android key is made, and all other evidence for bound, the clientDataHash of App Attest and the nonce of Play Integrity.
type Attester func(ctx context.Context, challenge, bound []byte, key crypto.PublicKey) (json.RawMessage, error)

// Handler answers a realm that asks which device it is. It is safe for concurrent use.
type Handler struct {
	c Config

	mu   sync.Mutex
	sent sent // what the last answer was
	// before are all of them since the realm began to ask.
	before sent
}

// sent is a kind of answer, or several.
type sent int

// The kinds, in the order in which they are sent as long as the realm goes on asking.
const (
	succession sent = 1 << iota // signed by the key that is to follow
	rekeying                    // a request for that key, by both
	renewal                     // a request, by the key of the certificate
	presence                    // signed by the key of the certificate
	takeover                    // a request, by the key of the certificate of another system
	request                     // a request, by the key itself
	claim                       // a request, by the key that is to follow

	nothing sent = 0
)

// ErrRefused says that the server takes neither the certificate nor a request for one. It may take them another time, when the operator
// agrees or [Config].Custom says something else: the next call asks again. [Handler.Forget] begins anew as another device.
var ErrRefused = errors.New("the server does not accept this device")

// ErrIssuer says that a server asks in the name of another one, where it would be taken for this device.
var ErrIssuer = errors.New("the server asks for what another server would take")

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

// Answer proves which device it is. Without a certificate, and before it is over, it asks for one first. It signs nothing for another
// server than the one that asks ([ErrIssuer]).
func (h *Handler) Answer(ctx context.Context, c client.Challenge) (map[string]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := c.Failure.Wait(); err != nil {
		h.sent = nothing // nobody has looked at it
		return nil, err
	}
	if c.Data["nonce"] == "" || c.Data["audience"] == "" || c.Data["realm"] == "" {
		return nil, errors.New("the challenge does not ask for a device")
	}
	if c.Data["audience"] != c.Issuer {
		h.sent = nothing
		return nil, ErrIssuer
	}
	a := &answering{Handler: h, asked: &c, begins: c.Failure == nil && c.Data["certificate"] == ""}
	if err := a.load(ctx); err != nil {
		return nil, err
	}
	if c.Data["mode"] == "none" {
		if c.Failure != nil {
			return nil, refusal(&c)
		}
		return a.unsigned()
	}
	if err := a.settle(ctx); err != nil {
		return nil, err
	}
	if a.begins {
		h.sent, h.before = nothing, nothing
	}
	if err := a.inherit(ctx); err != nil {
		return nil, err
	}
	kind, err := a.take(ctx)
	if err == nil && kind == nothing {
		kind, err = a.next(ctx)
	}
	if h.sent, h.before = kind, h.before|kind; err != nil {
		return nil, err
	}
	return a.answer(ctx)
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
	if err := h.c.Storage.Save(ctx, name(audience, entity), identity); err != nil {
		return err
	}
	heir, err := h.c.Storage.Load(ctx, heirName(audience, entity))
	if err != nil || heir.Key == nil {
		return err
	}
	return h.c.Storage.Save(ctx, heirName(audience, entity), Identity{})
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

// holding is an identity with its certificate; nil where there is none.
type holding struct {
	Identity
	leaf *x509.Certificate
}

// hold reads the certificate of an identity, whose key has to be on P-256.
func hold(i Identity) (holding, error) {
	if public, ok := i.Key.Public().(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		return holding{}, errors.New("holding a key: it is not on P-256")
	}
	if len(i.Chain) == 0 {
		return holding{Identity: i}, nil
	}
	leaf, err := x509.ParseCertificate(i.Chain[0])
	if err != nil {
		return holding{}, fmt.Errorf("reading the certificate: %w", err)
	}
	return holding{i, leaf}, nil
}

// of reports whether a public key is the one that is held.
func (h *holding) of(key crypto.PublicKey) bool {
	if h.Key == nil {
		return false
	}
	public, ok := h.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key)
}

// answering is one challenge on its way to an answer.
type answering struct {
	*Handler
	asked  *client.Challenge
	begins bool    // the realm asks anew
	own    holding // the identity
	heir   holding // the one that is to follow; without key where none is
	former holding // the one of another system, where it can be used
	claims map[string]any
}

func (a *answering) name() string { return name(a.asked.Data["audience"], a.asked.Data["entity"]) }

// load reads the identity, or makes one, and keeps it before anybody sees it.
func (a *answering) load(ctx context.Context) error {
	identity, err := a.c.Storage.Load(ctx, a.name())
	if err != nil {
		return err
	}
	if identity.Key == nil {
		if identity, err = a.fresh(); err != nil {
			return err
		}
		if err := a.c.Storage.Save(ctx, a.name(), identity); err != nil {
			return err
		}
	}
	if a.own, err = hold(identity); err != nil {
		return err
	}
	a.claims = map[string]any{
		"aud": a.asked.Data["audience"], "realm": a.asked.Data["realm"], "nonce": a.asked.Data["nonce"],
		"installation": identity.Installation, "app": a.c.App, "device": a.c.Device,
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

// take keeps a certificate that comes with the challenge, one for a key of ours, and says what to answer with it; nothing where none comes.
func (a *answering) take(ctx context.Context) (sent, error) {
	rest := []byte(a.asked.Data["certificate"])
	if len(rest) == 0 {
		return nothing, nil
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
		return nothing, errors.New("the server has sent no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nothing, fmt.Errorf("reading the certificate: %w", err)
	}
	switch {
	case a.own.of(leaf.PublicKey):
		a.own.Chain, a.own.leaf = chain, leaf
		if err := a.c.Storage.Save(ctx, a.name(), a.own.Identity); err != nil {
			return nothing, err
		}
		return presence, a.disinherit(ctx)
	case a.heir.of(leaf.PublicKey):
		a.heir.Chain, a.heir.leaf = chain, leaf
		return succession, a.c.Storage.Save(ctx, a.heirName(), a.heir.Identity)
	}
	return nothing, errors.New("the server has sent a certificate for another key")
}

// next says what to send: the certificate's answer where there is one that goes on for a while, and something else where that has led
// nowhere. Nothing is sent twice to one realm that goes on asking.
func (a *answering) next(ctx context.Context) (sent, error) {
	if a.sent&(presence|succession|request) != 0 && a.asked.Notice != nil {
		return nothing, refusal(a.asked) // with words for the person it is the device that is not wanted, whatever its certificate
	}
	rekeys, err := a.rekeys(ctx)
	if err != nil {
		return nothing, err
	}
	for _, one := range []struct {
		kind sent
		will bool
	}{
		{succession, a.heir.leaf != nil},
		{rekeying, rekeys},
		{renewal, a.due() && a.before&presence == 0},
		{presence, a.own.leaf != nil && !a.over()},
		{takeover, a.former.Key != nil},
		{request, true},
		{claim, a.heir.Key != nil},
	} {
		if one.will && a.before&one.kind == 0 {
			return one.kind, nil
		}
	}
	return nothing, refusal(a.asked)
}

// due reports whether the last third of the certificate's time has begun.
func (a *answering) due() bool {
	if a.own.leaf == nil {
		return false
	}
	third := a.own.leaf.NotAfter.Sub(a.own.leaf.NotBefore) / 3
	return !a.c.Now().Before(a.own.leaf.NotAfter.Add(-third))
}

// over reports whether the certificate's time is.
func (a *answering) over() bool { return !a.c.Now().Before(a.own.leaf.NotAfter) }

func (a *answering) unsigned() (map[string]string, error) {
	text, err := json.Marshal(a.claims)
	return map[string]string{"answer": string(text)}, err
}

// answer says what was chosen to be said.
func (a *answering) answer(ctx context.Context) (map[string]string, error) {
	switch a.sent {
	case presence:
		return a.present(&a.own)
	case succession:
		return a.present(&a.heir)
	case rekeying:
		return a.request(ctx, &a.heir, &a.own)
	case renewal:
		return a.request(ctx, &a.own, &a.own)
	case takeover:
		return a.request(ctx, &a.own, &a.former)
	case claim:
		return a.request(ctx, &a.heir, nil)
	}
	return a.request(ctx, &a.own, nil)
}

func (a *answering) present(by *holding) (map[string]string, error) {
	signed, err := sign(by.Key, "gatehouse-device+jwt", digest(by.leaf.Raw), a.claims)
	return map[string]string{"answer": signed}, err
}

// request makes a request for a certificate (RFC 2986) and signs that it is ours and now: by the key itself, or by that of the
// certificate which it renews. Where that is another one, the key of the request says that it agrees.
func (a *answering) request(ctx context.Context, of, renews *holding) (map[string]string, error) {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: a.own.Installation}, // some authorities issue nothing without one
	}, of.Key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	a.claims["csr"] = digest(csr)
	by, kid := of, ""
	if renews != nil {
		by, kid = renews, digest(renews.leaf.Raw)
	}
	if by != of {
		if a.claims["possession"], err = a.possession(of, kid); err != nil {
			return nil, err
		}
	}
	signed, err := sign(by.Key, "gatehouse-csr+jwt", kid, a.claims)
	if err != nil {
		return nil, err
	}
	answers := map[string]string{"answer": signed, "csr": base64.RawURLEncoding.EncodeToString(csr)}
	if by == &a.former {
		answers["former"] = base64.RawURLEncoding.EncodeToString(by.leaf.Raw)
	}
	if a.c.Attest == nil || a.asked.Data["attestation"] == "" {
		return answers, nil
	}
	evidence, err := a.evidence(ctx, of.Key.Public())
	answers["evidence"] = string(evidence)
	return answers, err
}

// inherit asks for what the app has from another system, as long as there is no certificate.
func (a *answering) inherit(ctx context.Context) error {
	if a.c.Former == nil || a.own.leaf != nil || a.asked.Data["former"] != "accepted" {
		return nil
	}
	former, err := a.c.Former(ctx)
	if err != nil {
		return fmt.Errorf("asking for the former certificate: %w", err)
	}
	if former.Key != nil {
		a.former = holding{Identity: Identity{Key: former.Key}, leaf: &x509.Certificate{Raw: former.Certificate}}
	}
	return nil
}

// evidence has the platform vouch for a key, for the nonce that was asked with.
func (a *answering) evidence(ctx context.Context, of crypto.PublicKey) (json.RawMessage, error) {
	key, err := x509.MarshalPKIXPublicKey(of)
	if err != nil {
		return nil, fmt.Errorf("naming a key: %w", err)
	}
	asked := "gatehouse certificate v1\n" + a.asked.Data["audience"] + "\n" + a.asked.Data["realm"] + "\n" + a.asked.Data["nonce"]
	challenge, bound := sha256.Sum256([]byte(asked)), sha256.Sum256([]byte(asked+"\n"+digest(key)))
	evidence, err := a.c.Attest(ctx, challenge[:], bound[:], of)
	if err != nil {
		return nil, fmt.Errorf("having the platform vouch for a key: %w", err)
	}
	return evidence, nil
}
