// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // ES384
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const issuer = "https://auth.example.com"

var (
	application = provisioning.Entity{Kind: provisioning.KindApplication}
	device      = provisioning.Entity{Kind: provisioning.KindDevice}
	retail      = provisioning.Entity{Kind: provisioning.KindGroup, Group: "retail"}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused wants a refusal with a reason.
func refused(t testing.TB, err error, want provisioning.Reason) {
	t.Helper()
	refusal, ok := errors.AsType[*provisioning.Refusal](err)
	if !ok || refusal.Reason != want {
		t.Errorf("the answer is %v, want the refusal %q", err, want)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authority is a CA of the tests, which can be made to fail.
type authority struct {
	t      testing.TB
	now    func() time.Time
	issuer atomic.Pointer[provisioning.Issuer]
	root   *x509.Certificate
	break_ func([]*x509.Certificate, error) ([]*x509.Certificate, error)
	issued atomic.Int64
}

func newAuthority(t testing.TB, now func() time.Time, lifetime time.Duration) *authority {
	t.Helper()
	a := &authority{t: t, now: now}
	a.rotate(lifetime)
	return a
}

// rotate takes a new root, intermediate and keys.
func (a *authority) rotate(lifetime time.Duration) {
	a.t.Helper()
	rootKey, key := newKey(a.t), newKey(a.t)
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: a.now().Add(-time.Hour), NotAfter: a.now().Add(lifetime),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	sign := func(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		must(a.t, err)
		c, err := x509.ParseCertificate(der)
		must(a.t, err)
		return c
	}
	a.root = sign(template("root"), template("root"), rootKey, rootKey)
	intermediate := sign(template("intermediate"), a.root, key, rootKey)
	a.issuer.Store(&provisioning.Issuer{Chain: []*x509.Certificate{intermediate}, Key: key})
}

func (a *authority) Issue(ctx context.Context, order provisioning.Order) ([]*x509.Certificate, error) {
	a.issued.Add(1)
	local, err := provisioning.NewLocal(func() (provisioning.Issuer, error) { return *a.issuer.Load(), nil }, a.now)
	must(a.t, err)
	chain, err := local.Issue(ctx, order)
	if a.break_ != nil {
		return a.break_(chain, err)
	}
	return chain, err
}

type fixture struct {
	*provisioning.Store
	clock  *storagetest.Clock
	db     *storagetest.FaultyDB
	ca     *authority
	trail  bytes.Buffer
	config provisioning.Config
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{clock: storagetest.NewClock()}
	db, err := memstore.Open(memstore.Config{Now: f.clock.Now})
	must(t, err)
	f.db = storagetest.Faulty(storagetest.Twice(db, 3))
	f.ca = newAuthority(t, f.clock.Now, 2*365*24*time.Hour)
	platforms := map[string]string{"ios": "com.example"}
	registry, err := mobileauth.New(mobileauth.Config{
		DB: db, Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
		Applications: []mobileauth.Application{
			{ID: "bank", Platforms: platforms, Rules: []mobileauth.Rule{
				{Pattern: "2.*", Status: mobileauth.Active}, {Pattern: "1.*", Status: mobileauth.Disabled}, {Pattern: "0.*", Status: mobileauth.NoRegistration},
			}},
			{ID: "wallet", Platforms: platforms}, {ID: "games", Platforms: platforms},
		},
	})
	must(t, err)
	must(t, registry.Refresh(t.Context()))
	trail, err := audit.New(audit.Config{DB: f.db, Logger: slog.New(slog.NewTextHandler(&f.trail, nil)), Now: f.clock.Now})
	must(t, err)
	requests, err := limit.New(limit.Config{Burst: 100, Every: time.Second, Keys: 100, Now: f.clock.Now})
	must(t, err)
	f.config = provisioning.Config{
		DB: f.db, Authority: f.ca, Versions: registry, Groups: provisioning.Groups{"retail": {"bank", "wallet"}}, Requests: requests, Trail: trail,
		Now: f.clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	return f
}

// phone is a device with a key, as its app makes messages.
type phone struct {
	t            testing.TB
	key          crypto.Signer
	csr          *x509.CertificateRequest
	installation string
	app          string
	version      string
	entity       provisioning.Entity
}

func newPhone(t testing.TB) *phone {
	return &phone{
		t: t, key: newKey(t), csr: new(x509.CertificateRequest), installation: rand.Text(), app: "bank", version: "2.1", entity: application,
	}
}

func question() provisioning.Question {
	return provisioning.Question{Audience: issuer, Realm: "device", Nonce: rand.Text()}
}

// message signs an answer; change, unless nil, alters what is said.
func (p *phone) message(typ, kid string, by crypto.Signer, change func(map[string]any)) provisioning.Message {
	p.t.Helper()
	q := question()
	claims := map[string]any{
		"aud": q.Audience, "realm": q.Realm, "nonce": q.Nonce, "installation": p.installation,
		"app":    map[string]any{"id": p.app, "platform": "ios", "version": p.version},
		"device": map[string]any{"model": "iPhone18,1", "os": "iOS", "os_version": "26.1"},
	}
	m := provisioning.Message{Question: q, Entity: p.entity, Caller: provisioning.Caller{ClientID: "phone", ClientIP: "192.0.2.1", UserID: "usr_1"}}
	if typ == provisioning.TypRequest {
		m.CSR = p.request()
		claims["csr"] = hash(m.CSR)
	}
	if change != nil {
		change(claims)
	}
	m.Answer = jws(p.t, by, map[string]any{"typ": typ, "kid": kid}, claims)
	return m
}

// request makes a certificate request.
func (p *phone) request() []byte {
	p.t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, p.csr, p.key)
	must(p.t, err)
	return der
}

func (p *phone) asks() provisioning.Message {
	return p.message(provisioning.TypRequest, "", p.key, nil)
}

func (p *phone) renews(c provisioning.Certificate, by crypto.Signer) provisioning.Message {
	return p.message(provisioning.TypRequest, c.ID, by, nil)
}

func (p *phone) shows(c provisioning.Certificate) provisioning.Message {
	return p.message(provisioning.TypPresence, c.ID, p.key, nil)
}

// jws signs by the algorithm of the key; a kid that is empty is left out.
func jws(t testing.TB, by crypto.Signer, header, claims map[string]any) string {
	t.Helper()
	if header["kid"] == "" {
		delete(header, "kid")
	}
	return jwsWith(t, by, header, nil, claims)
}

// jwsWith has more members in its header, or others.
func jwsWith(t testing.TB, by crypto.Signer, header, more, claims map[string]any) string {
	t.Helper()
	sum, half := crypto.SHA256, 32
	switch key := by.Public().(type) {
	case *rsa.PublicKey:
		header["alg"] = "RS256"
	case *ecdsa.PublicKey:
		header["alg"] = "ES256"
		if key.Curve == elliptic.P384() {
			header["alg"], sum, half = "ES384", crypto.SHA384, 48
		}
	}
	maps.Copy(header, more)
	var text string
	for _, part := range []any{header, claims} {
		data, err := json.Marshal(part)
		must(t, err)
		text += "." + base64.RawURLEncoding.EncodeToString(data)
	}
	text = text[1:]
	h := sum.New()
	_, _ = h.Write([]byte(text)) // a hash takes everything
	signature, err := by.Sign(rand.Reader, h.Sum(nil), sum)
	must(t, err)
	if _, ok := by.Public().(*ecdsa.PublicKey); ok {
		var parts struct{ R, S *big.Int }
		_, err := asn1.Unmarshal(signature, &parts)
		must(t, err)
		signature = append(parts.R.FillBytes(make([]byte, half)), parts.S.FillBytes(make([]byte, half))...)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// issue gives a phone its certificate, which it shows at once.
func (f *fixture) issue(t testing.TB, p *phone) provisioning.Certificate {
	t.Helper()
	c, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	f.present(t, p, c)
	return c
}

// present shows a certificate that counts.
func (f *fixture) present(t testing.TB, p *phone, c provisioning.Certificate) {
	t.Helper()
	_, err := f.Present(t.Context(), p.shows(c))
	must(t, err)
}

// rekeys renews a certificate for the phone's key, which is not that of the certificate.
func (p *phone) rekeys(c provisioning.Certificate, by crypto.Signer) provisioning.Message {
	return p.rekeysAs(c, by, p.key, nil, nil)
}

// rekeysAs has somebody vouch for the other key, and alters what is said by either.
func (p *phone) rekeysAs(c provisioning.Certificate, by, voucher crypto.Signer, header, said map[string]any) provisioning.Message {
	p.t.Helper()
	return p.message(provisioning.TypRequest, c.ID, by, func(claims map[string]any) {
		possession := map[string]any{
			"aud": claims["aud"], "realm": claims["realm"], "nonce": claims["nonce"], "csr": claims["csr"], "renews": c.ID,
		}
		maps.Copy(possession, said)
		top := map[string]any{"typ": provisioning.TypPossession, "kid": ""}
		maps.Copy(top, header)
		claims["possession"] = jws(p.t, voucher, top, possession)
	})
}

var _ storage.DB = (*storagetest.FaultyDB)(nil)
