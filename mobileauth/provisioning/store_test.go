// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range []struct {
		name   string
		change func(*provisioning.Config)
	}{
		{"store", func(c *provisioning.Config) { c.DB = nil }},
		{"authority", func(c *provisioning.Config) { c.Authority = nil }},
		{"versions", func(c *provisioning.Config) { c.Versions = nil }},
		{"trail", func(c *provisioning.Config) { c.Trail = nil }},
		{"clock", func(c *provisioning.Config) { c.Now = nil }},
		{"logger", func(c *provisioning.Config) { c.Logger = nil }},
		{"validity of a minute", func(c *provisioning.Config) { c.Profile.Validity = time.Minute }},
		{"group without an app", func(c *provisioning.Config) { c.Groups = provisioning.Groups{"a": nil} }},
		{"group with an app twice", func(c *provisioning.Config) { c.Groups = provisioning.Groups{"a": {"bank", "bank"}} }},
		{"group with an odd name", func(c *provisioning.Config) { c.Groups = provisioning.Groups{"a b": {"bank"}} }},
	} {
		c := f.config
		tt.change(&c)
		if _, err := provisioning.New(c); err == nil {
			t.Errorf("%s: it was built", tt.name)
		}
	}
	if _, err := provisioning.NewLocal(nil, f.clock.Now); err == nil {
		t.Error("an authority without a key")
	}
}

func TestEntity(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"application", "device", "group retail", "group a.b_c-1"} {
		e, err := provisioning.ParseEntity(text)
		if err != nil || e.String() != text {
			t.Errorf("%q is read as %v, %v", text, e, err)
		}
	}
	for _, text := range []string{"", "app", "group", "group ", "group A", "group a b", "group a:b", "application x", "device ", "group " + strings.Repeat("a", 65)} {
		if e, err := provisioning.ParseEntity(text); err == nil {
			t.Errorf("%q is read as %v", text, e)
		}
	}
}

// TestProfile: what a certificate says, to the letter.
func TestProfile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range []struct {
		entity provisioning.Entity
		uri    string
	}{
		{application, "urn:gatehouse:application:bank:"}, {retail, "urn:gatehouse:group:retail:"}, {device, "urn:gatehouse:device:"},
	} {
		p := newPhone(t)
		p.entity = tt.entity
		p.csr.Subject.CommonName = "Alice" // a wish
		c := f.issue(t, p)
		leaf, err := c.Leaf()
		must(t, err)
		now := f.clock.Now()
		if got := leaf.URIs[0].String(); len(leaf.URIs) != 1 || got != tt.uri+c.Installation || !strings.HasPrefix(c.Installation, "ins_") {
			t.Errorf("%v: the name is %q", tt.entity, got)
		}
		if leaf.Subject.String() != "" || leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature ||
			!cmp.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
			t.Errorf("%v: the certificate is %+v", tt.entity, leaf)
		}
		if bits := leaf.SerialNumber.BitLen(); bits != 127 || leaf.SerialNumber.Sign() <= 0 {
			t.Errorf("%v: the serial number has %d bits", tt.entity, bits)
		}
		if !leaf.NotBefore.Equal(now.Add(-5*time.Minute)) || !leaf.NotAfter.Equal(now.Add(90*24*time.Hour)) {
			t.Errorf("%v: it is valid from %s to %s", tt.entity, leaf.NotBefore, leaf.NotAfter)
		}
		for _, e := range leaf.Extensions {
			if critical := e.Id.String() == "2.5.29.17" || e.Id.String() == "2.5.29.15" || e.Id.String() == "2.5.29.19"; e.Critical != critical {
				t.Errorf("%v: the extension %s is critical: %v", tt.entity, e.Id, e.Critical)
			}
		}
		if len(leaf.SubjectKeyId) != 20 || len(leaf.AuthorityKeyId) == 0 {
			t.Errorf("%v: there is no key identifier", tt.entity)
		}
		want := provisioning.Certificate{
			ID: hash(leaf.Raw), Serial: fmt.Sprintf("%x", leaf.SerialNumber), Authority: hash(f.ca.issuer.Load().Chain[0].Raw),
			Installation: c.Installation, Kind: tt.entity.Kind, Group: tt.entity.Group, Application: "bank", Platform: "ios", Version: "2.1",
			Device: provisioning.Device{Model: "iPhone18,1", OS: "iOS", OSVersion: "26.1"}, Key: hash(leaf.RawSubjectPublicKeyInfo),
			UserID: "usr_1", ClientID: "phone", NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, IssuedAt: now, Shown: true,
			Chain: [][]byte{leaf.Raw, f.ca.issuer.Load().Chain[0].Raw},
		}
		kept, err := f.Get(t.Context(), c.ID)
		must(t, err)
		if diff := cmp.Diff(want, kept); diff != "" {
			t.Errorf("%v: kept is (-want +got)\n%s", tt.entity, diff)
		}
	}
}

// TestOpenSSLVerifies what was issued: an independent checker takes the chain for a client's and for nothing else.
func TestOpenSSLVerifies(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	f := newFixture(t)
	c := f.issue(t, newPhone(t))
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	root := write("root.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.ca.root.Raw})))
	chain := write("chain.pem", c.PEM())
	at := fmt.Sprint(f.clock.Now().Unix())
	for purpose, good := range map[string]bool{"sslclient": true, "sslserver": false, "smimesign": false} {
		said, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-attime", at, "-purpose", purpose, "-CAfile", root,
			"-untrusted", chain, chain).CombinedOutput()
		if (err == nil) != good {
			t.Errorf("as %s: %v\n%s", purpose, err, said)
		}
	}
}

// TestFirstContact: a device without a certificate asks for one, and proves with it that it is there; so do all kinds of keys.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for _, tt := range []struct {
		name string
		key  crypto.Signer
	}{{"P-256", newKey(t)}, {"P-384", p384}, {"RSA", rsaKey(t, 2048)}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			p.key = tt.key
			c := f.issue(t, p)
			there, err := f.Present(t.Context(), p.shows(c))
			must(t, err)
			if there.Certificate.ID != c.ID || there.Claims.App != (provisioning.App{ID: "bank", Platform: "ios", Version: "2.1"}) || there.Claims.Device.Model != "iPhone18,1" {
				t.Errorf("there is %+v", there)
			}
			for _, want := range []string{provisioning.EventIssued, c.Serial, c.Installation, "usr_1"} {
				if !strings.Contains(f.trail.String(), want) {
					t.Errorf("the trail does not say %q: %s", want, &f.trail)
				}
			}
		})
	}
}

// TestBadRequests: each is refused for its own reason, nothing is issued, and the device may try again rightly.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		want  provisioning.Reason
		spoil func(*testing.T, *phone) provisioning.Message
	}{
		{"answered before", provisioning.ReasonReplayed, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.asks()
			m.Spent = true
			return m
		}},
		{"no answer", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.asks()
			m.Answer = ""
			return m
		}},
		{"a huge answer", provisioning.ReasonTooLarge, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.asks()
			m.Answer += strings.Repeat("A", 6<<10)
			return m
		}},
		{"an answer of the other kind", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			return p.with(p.message(provisioning.TypPresence, "", p.key, nil))
		}},
		{"another nonce", provisioning.ReasonNonce, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["nonce"] = "another" })
		}},
		{"a question nobody asked", provisioning.ReasonNonce, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["nonce"] = "" })
			m.Question.Nonce = ""
			return m
		}},
		{"another server", provisioning.ReasonAudience, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["aud"] = "https://evil.example.com" })
		}},
		{"another realm", provisioning.ReasonAudience, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["realm"] = "other" })
		}},
		{"another's signature", provisioning.ReasonSignature, func(t *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", newKey(t), nil)
		}},
		{"another request", provisioning.ReasonRequestHash, func(_ *testing.T, p *phone) provisioning.Message {
			return p.with(p.asks())
		}},
		{"another's request", provisioning.ReasonRequestHash, func(t *testing.T, p *phone) provisioning.Message {
			m := p.asks()
			m.CSR = newPhone(t).request()
			return m
		}},
		{"no request", provisioning.ReasonMalformed, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.asks()
			m.CSR = nil
			return m
		}},
		{"an app nobody knows", provisioning.ReasonApplication, func(_ *testing.T, p *phone) provisioning.Message {
			return p.as("chess", "2.0")
		}},
		{"an app with an odd name", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			return p.as("bank:evil", "2.0")
		}},
		{"a version that is switched off", provisioning.ReasonVersion, func(_ *testing.T, p *phone) provisioning.Message {
			return p.as("bank", "1.0")
		}},
		{"a version that registers nothing", provisioning.ReasonVersion, func(_ *testing.T, p *phone) provisioning.Message {
			return p.as("bank", "0.1")
		}},
		{"an app of no group", provisioning.ReasonGroup, func(_ *testing.T, p *phone) provisioning.Message {
			m := p.as("games", "1")
			m.Entity = retail
			return m
		}},
		{"no name of its own", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["installation"] = "" })
		}},
		{"a property that hides something", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) { c["device"] = map[string]any{"model": "a\u202eb"} })
		}},
		{"many properties", provisioning.ReasonAnswer, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "", p.key, func(c map[string]any) {
				custom := map[string]any{}
				for i := range 17 {
					custom[fmt.Sprint(i)] = "x"
				}
				c["custom"] = custom
			})
		}},
		{"a renewal of nothing", provisioning.ReasonUnknown, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, hash([]byte("nothing")), p.key, nil)
		}},
		{"a renewal of no name", provisioning.ReasonUnknown, func(_ *testing.T, p *phone) provisioning.Message {
			return p.message(provisioning.TypRequest, "../devkey", p.key, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			c, err := f.Issue(t.Context(), tt.spoil(t, p))
			refused(t, err, tt.want)
			if c.ID != "" || f.ca.issued.Load() != 0 {
				t.Errorf("issued was %+v", c)
			}
			if said := f.trail.String(); !strings.Contains(said, provisioning.EventRefused) || !strings.Contains(said, string(tt.want)) {
				t.Errorf("the trail says %s", said)
			}
			p.app, p.version, p.entity = "bank", "2.1", application
			f.issue(t, p)
		})
	}
}

// with hands in another request than the one that the answer speaks of.
func (p *phone) with(m provisioning.Message) provisioning.Message {
	m.CSR = p.request()
	return m
}

func (p *phone) as(app, version string) provisioning.Message {
	p.app, p.version = app, version
	return p.asks()
}

// TestLostAnswer: who asks again with the key and the name of before gets the same certificate, also when both come at once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	first := f.issue(t, p)
	if second := f.issue(t, p); second.ID != first.ID || f.ca.issued.Load() != 1 {
		t.Errorf("the second is %s, the first %s, and %d were issued", second.ID, first.ID, f.ca.issued.Load())
	}
	p = newPhone(t)
	var together sync.WaitGroup
	var mu sync.Mutex
	got := map[string]bool{}
	for range 8 {
		m := p.asks()
		together.Go(func() {
			c, err := f.Issue(t.Context(), m)
			mu.Lock()
			defer mu.Unlock()
			if got[c.ID] = true; err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if len(got) != 1 {
		t.Errorf("there are %d certificates for one key", len(got))
	}
}

// TestKeyReuse: a key that comes with an app, or was copied, is one installation's and nobody else's.
func TestKeyReuse(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	f.issue(t, p)
	copied := newPhone(t)
	copied.key = p.key
	_, err := f.Issue(t.Context(), copied.asks())
	refused(t, err, provisioning.ReasonKeyReused)

	other := newPhone(t)
	has := f.issue(t, other)
	stolen := *other
	stolen.key = p.key
	_, err = f.Issue(t.Context(), stolen.rekeys(has, other.key))
	refused(t, err, provisioning.ReasonKeyReused)

	same := *p
	same.entity = device
	_, err = f.Issue(t.Context(), same.asks())
	refused(t, err, provisioning.ReasonEntity)
	same = *p
	same.app = "wallet"
	_, err = f.Issue(t.Context(), same.asks())
	refused(t, err, provisioning.ReasonEntity)
}

// TestBadAnswers of a device that has a certificate.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		want  provisioning.Reason
		spoil func(*testing.T, *fixture, *phone, provisioning.Certificate) provisioning.Message
	}{
		{"answered before", provisioning.ReasonReplayed, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			m := p.shows(c)
			m.Spent = true
			return m
		}},
		{"to another question", provisioning.ReasonNonce, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			m := p.shows(c)
			m.Question.Nonce = rand.Text()
			return m
		}},
		{"to another server", provisioning.ReasonAudience, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			m := p.shows(c)
			m.Question.Audience = "https://other.example.com"
			return m
		}},
		{"of a request", provisioning.ReasonAnswer, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			return p.renews(c, p.key)
		}},
		{"by another key", provisioning.ReasonSignature, func(t *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			return p.message(provisioning.TypPresence, c.ID, newKey(t), nil)
		}},
		{"without a key's name", provisioning.ReasonUnknown, func(_ *testing.T, _ *fixture, p *phone, _ provisioning.Certificate) provisioning.Message {
			return p.message(provisioning.TypPresence, "", p.key, nil)
		}},
		{"by a key that nobody has seen", provisioning.ReasonUnknown, func(t *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			return p.message(provisioning.TypPresence, hash([]byte("x")), p.key, nil)
		}},
		{"for an app's place with a device's", provisioning.ReasonEntity, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			m := p.shows(c)
			m.Entity = device
			return m
		}},
		{"for another group", provisioning.ReasonEntity, func(t *testing.T, f *fixture, _ *phone, _ provisioning.Certificate) provisioning.Message {
			p := newPhone(t)
			p.entity = retail
			c := f.issue(t, p)
			m := p.shows(c)
			m.Entity = provisioning.Entity{Kind: provisioning.KindGroup, Group: "other"}
			return m
		}},
		{"by an app outside the group", provisioning.ReasonGroup, func(t *testing.T, f *fixture, _ *phone, _ provisioning.Certificate) provisioning.Message {
			p := newPhone(t)
			p.entity = retail
			c := f.issue(t, p)
			p.app, p.version = "games", "1"
			return p.shows(c)
		}},
		{"by another app", provisioning.ReasonEntity, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			p.app = "wallet"
			return p.shows(c)
		}},
		{"by a version that is switched off", provisioning.ReasonVersion, func(_ *testing.T, _ *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			p.version = "1.0"
			return p.shows(c)
		}},
		{"when it is over", provisioning.ReasonExpired, func(_ *testing.T, f *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			f.clock.Set(c.NotAfter)
			return p.shows(c)
		}},
		{"before its time, with the server's clock a day back", provisioning.ReasonNotYet, func(_ *testing.T, f *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			f.clock.Advance(-24 * time.Hour)
			return p.shows(c)
		}},
		{"by a certificate for another purpose of the same authority", provisioning.ReasonUnknown, func(t *testing.T, f *fixture, p *phone, c provisioning.Certificate) provisioning.Message {
			by := f.ca.issuer.Load()
			server := &x509.Certificate{
				SerialNumber: big.NewInt(7), DNSNames: []string{"example.com"}, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			}
			der, err := x509.CreateCertificate(rand.Reader, server, by.Chain[0], p.key.Public(), by.Key)
			must(t, err)
			return p.message(provisioning.TypPresence, hash(der), p.key, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			c := f.issue(t, p)
			_, err := f.Present(t.Context(), tt.spoil(t, f, p, c))
			refused(t, err, tt.want)
			if said := f.trail.String(); !strings.Contains(said, provisioning.EventRefused) || !strings.Contains(said, string(tt.want)) {
				t.Errorf("the trail says %s", said)
			}
		})
	}
}

// TestSharedKeys: the apps of a group, and all apps of a device, prove with one certificate.
func TestSharedKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range []struct {
		entity provisioning.Entity
		app    string
	}{{retail, "wallet"}, {device, "wallet"}, {device, "games"}} {
		p := newPhone(t)
		p.entity = tt.entity
		c := f.issue(t, p)
		p.app, p.version = tt.app, "7"
		there, err := f.Present(t.Context(), p.shows(c))
		if err != nil || there.Claims.App.ID != tt.app {
			t.Errorf("%v, %s: %+v, %v", tt.entity, tt.app, there.Claims, err)
		}
	}
}

// TestAuthorityFaults: an authority that is down, or issues something else, is a fault and no refusal; nothing is kept, and the next
// attempt with the same key succeeds.
func TestAuthorityFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*testing.T, *fixture, []*x509.Certificate) ([]*x509.Certificate, error)
	}{
		{"down", func(*testing.T, *fixture, []*x509.Certificate) ([]*x509.Certificate, error) {
			return nil, errors.New("no route")
		}},
		{"nothing", func(*testing.T, *fixture, []*x509.Certificate) ([]*x509.Certificate, error) { return nil, nil }},
		{"another key's certificate", func(t *testing.T, f *fixture, _ []*x509.Certificate) ([]*x509.Certificate, error) {
			other := newFixture(t).issue(t, newPhone(t))
			leaf, err := other.Leaf()
			return []*x509.Certificate{leaf}, err
		}},
		{"a broken chain", func(t *testing.T, _ *fixture, chain []*x509.Certificate) ([]*x509.Certificate, error) {
			return []*x509.Certificate{chain[0], newFixture(t).ca.issuer.Load().Chain[0]}, nil
		}},
		{"an endless chain", func(_ *testing.T, _ *fixture, chain []*x509.Certificate) ([]*x509.Certificate, error) {
			return append(chain, chain[1], chain[1], chain[1], chain[1], chain[1]), nil
		}},
		{"an authority's certificate", reissue(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })},
		{"a server's name", reissue(func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} })},
		{"another name", reissue(func(c *x509.Certificate) { c.URIs[0].Opaque = "gatehouse:device:ins_x" })},
		{"a server's purpose", reissue(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) })},
		{"a certificate for ever", reissue(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.AddDate(11, 0, 0) })},
		{"a certificate of yesterday", reissue(func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(time.Minute) })},
		{"a subject", reissue(func(c *x509.Certificate) { c.Subject.CommonName = "Alice" })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			f.ca.break_ = func(chain []*x509.Certificate, err error) ([]*x509.Certificate, error) {
				must(t, err)
				return tt.spoil(t, f, chain)
			}
			c, err := f.Issue(t.Context(), p.asks())
			if _, refused := errors.AsType[*provisioning.Refusal](err); refused || !errors.Is(err, provisioning.ErrAuthority) || c.ID != "" {
				t.Errorf("the answer is %+v, %v", c, err)
			}
			if !strings.Contains(f.trail.String(), provisioning.EventFailed) {
				t.Errorf("the trail says %s", &f.trail)
			}
			f.ca.break_ = nil
			f.issue(t, p)
		})
	}
}

// reissue has the authority sign something else for the same key.
func reissue(change func(*x509.Certificate)) func(*testing.T, *fixture, []*x509.Certificate) ([]*x509.Certificate, error) {
	return func(t *testing.T, f *fixture, chain []*x509.Certificate) ([]*x509.Certificate, error) {
		template := *chain[0]
		template.RawSubject, template.URIs = nil, []*url.URL{new(*chain[0].URIs[0])}
		change(&template)
		by := f.ca.issuer.Load()
		der, err := x509.CreateCertificate(rand.Reader, &template, by.Chain[0], chain[0].PublicKey, by.Key)
		must(t, err)
		leaf, err := x509.ParseCertificate(der)
		must(t, err)
		return append([]*x509.Certificate{leaf}, by.Chain...), nil
	}
}

// A certificate ends no later than its issuer's, and an issuer that is over issues nothing.
func TestNoCertificateOutlivesItsIssuer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.ca.rotate(24 * time.Hour)
	c := f.issue(t, newPhone(t))
	if end := f.ca.issuer.Load().Chain[0].NotAfter; !c.NotAfter.Equal(end) {
		t.Errorf("the certificate ends at %s, its issuer's at %s", c.NotAfter, end)
	}
	f.clock.Advance(24 * time.Hour)
	if _, err := f.Issue(t.Context(), newPhone(t).asks()); !errors.Is(err, provisioning.ErrAuthority) {
		t.Errorf("an issuer that is over: %v", err)
	}
}

// A store that fails is a fault, and leaves nothing behind.
func TestStoreFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []storagetest.Fault{
		{Op: storagetest.OnView, Err: storage.ErrUnavailable}, {Op: storagetest.OnUpdate, Err: storage.ErrUnavailable},
		{Op: storagetest.OnCommit, Err: storage.ErrUnavailable}, {Op: storagetest.OnReply},
	} {
		f, p := newFixture(t), newPhone(t)
		f.db.Inject(fault)
		c, err := f.Issue(t.Context(), p.asks())
		if _, refused := errors.AsType[*provisioning.Refusal](err); refused || c.ID != "" || err == nil {
			t.Errorf("%v: %+v, %v", fault, c, err)
		}
		f.db.Clear()
		f.issue(t, p)
	}
}

// TestManyAsk: an address has its share of certificates; others are not in its way.
func TestManyAsk(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := newPhone(t)
	for range 100 {
		f.issue(t, p)
	}
	_, err := f.Issue(t.Context(), p.asks())
	refused(t, err, provisioning.ReasonManyAsked)
	if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal.RetryAfter <= 0 {
		t.Errorf("it is told to come back after %v", refusal.RetryAfter)
	}
	m := p.asks()
	m.Caller.ClientIP = "2001:db8::1"
	if _, err := f.Issue(t.Context(), m); err != nil {
		t.Error(err)
	}
	f.clock.Advance(time.Minute)
	f.issue(t, p)
}

// TestBudget: so many devices that nobody knew, from one address and altogether. Whoever has a certificate is not among them, nor who asks
// for it again, nor who got none.
func TestBudget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := newPhone(t)
	has := f.issue(t, old)
	f.clock.Advance(70 * 24 * time.Hour)
	daily := func(n int) *limit.Limiter {
		l, err := limit.Daily(n, 100, f.clock.Now)
		must(t, err)
		return l
	}
	f.config.Budget = provisioning.Budget{Address: daily(2), Network: daily(100), Strangers: daily(3), Known: daily(1)}
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	ask := func(p *phone, from string) error {
		m := p.asks()
		m.Caller.ClientIP, m.Caller.UserID = from, ""
		_, err := f.Issue(t.Context(), m)
		return err
	}
	f.ca.break_ = func([]*x509.Certificate, error) ([]*x509.Certificate, error) { return nil, errors.New("down") }
	for range 3 {
		if err := ask(newPhone(t), "192.0.2.1"); !errors.Is(err, provisioning.ErrAuthority) {
			t.Error(err)
		}
	}
	f.ca.break_ = nil
	known := newPhone(t)
	for _, p := range []*phone{known, known, known, newPhone(t)} {
		must(t, ask(p, "192.0.2.1"))
	}
	err = ask(newPhone(t), "192.0.2.1")
	refused(t, err, provisioning.ReasonManyDevices)
	if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal.RetryAfter != 12*time.Hour {
		t.Errorf("it is told to come back after %v", refusal.RetryAfter)
	}
	must(t, ask(newPhone(t), "2001:db8::1"))
	err = ask(newPhone(t), "198.51.100.1")
	refused(t, err, provisioning.ReasonBudget)
	if refusal, _ := errors.AsType[*provisioning.Refusal](err); refusal.RetryAfter != 8*time.Hour {
		t.Errorf("it is told to come back after %v", refusal.RetryAfter)
	}
	must(t, ask(known, "192.0.2.1"))
	knows := func() error {
		m := newPhone(t).asks()
		m.Caller.ClientIP, m.Caller.UserID = "203.0.113.1", "usr_1"
		_, err := f.Issue(t.Context(), m)
		return err
	}
	must(t, knows()) // strangers have used up nothing of it
	refused(t, knows(), provisioning.ReasonBudget)
	if second, err := f.Issue(t.Context(), old.renews(has, old.key)); err != nil || second.ID == has.ID {
		t.Errorf("a renewal gets %+v, %v", second, err)
	}
	f.clock.Advance(8 * time.Hour)
	must(t, ask(newPhone(t), "198.51.100.1"))
}

// TestBudgetOfANetwork: whoever has been given a network of IPv6 has 65,536 addresses, and not so many shares.
func TestBudgetOfANetwork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	limiter, err := limit.New(limit.Config{Burst: 3, Every: 8 * time.Hour, Keys: 100, Now: f.clock.Now})
	must(t, err)
	f.config.Budget = provisioning.Budget{Network: limiter}
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	ask := func(from string) error {
		m := newPhone(t).asks()
		m.Caller.ClientIP, m.Caller.UserID = from, ""
		_, err := f.Issue(t.Context(), m)
		return err
	}
	for _, from := range []string{"2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:ffff::1"} {
		must(t, ask(from))
	}
	refused(t, ask("2001:db8:1:3::1"), provisioning.ReasonManyDevices)
	must(t, ask("2001:db8:2::1"))
	must(t, ask("192.0.2.1"))
}

// TestHeaders: an answer's header has alg, typ and kid, whatever it was signed with; anything else may be meant to restrict it.
func TestHeaders(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for name, key := range map[string]crypto.Signer{"ES256": newKey(t), "ES384": p384, "RS256": rsaKey(t, 2048)} {
		f, p := newFixture(t), newPhone(t)
		p.key = key
		c := f.issue(t, p)
		for member, value := range map[string]any{
			"crit": []string{"b64"}, "b64": false, "jwk": map[string]any{"kty": "EC"}, "x5t": "AA", "x5u": "https://example.com", "cty": "JWT",
			"zip": "DEF", "nonce": "x", "kid": "", "typ": "", "KID": c.ID, "alg": "none",
		} {
			header := map[string]any{"typ": provisioning.TypPresence, "kid": c.ID}
			m := p.shows(c)
			m.Answer = jwsWith(t, key, header, map[string]any{member: value}, claimsOf(t, m))
			_, err := f.Present(t.Context(), m)
			if refusal, ok := errors.AsType[*provisioning.Refusal](err); !ok || refusal.Reason != provisioning.ReasonAnswer {
				t.Errorf("%s with %s: %v", name, member, err)
			}
		}
		f.present(t, p, c)
	}
}

// claimsOf reads what a message says.
func claimsOf(t *testing.T, m provisioning.Message) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(m.Answer, ".")[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(payload, &claims))
	return claims
}

// BenchmarkIssue has the built-in authority issue: request, checks, signature, record.
func BenchmarkIssue(b *testing.B) {
	f := newFixture(b)
	f.config.Requests, f.config.DB = nil, f.db
	store, err := provisioning.New(f.config)
	must(b, err)
	messages := make([]provisioning.Message, 0, 512)
	for range cap(messages) {
		messages = append(messages, newPhone(b).asks())
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i == len(messages) {
			b.StopTimer()
			messages = messages[:0]
			for range cap(messages) {
				messages = append(messages, newPhone(b).asks())
			}
			i = 0
			b.StartTimer()
		}
		if _, err := store.Issue(context.Background(), messages[i]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPresent judges an answer.
func BenchmarkPresent(b *testing.B) {
	f, p := newFixture(b), newPhone(b)
	c := f.issue(b, p)
	m := p.shows(c)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Present(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}
