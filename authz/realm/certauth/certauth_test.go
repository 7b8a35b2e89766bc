// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"log/slog"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/certauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// messageMissing is what people read without a certificate that is accepted.
const messageMissing = "login.certificate"

var start = storagetest.NewClock().Now()

// authority is a certificate authority.
type authority struct {
	t     testing.TB
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	above []*x509.Certificate // the chain that leads to its root
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public any, key any) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// newAuthority returns a root, or one below another.
func newAuthority(t testing.TB, name string, above *authority) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: start.Add(-time.Hour), NotAfter: start.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a := &authority{t: t, key: newKey(t)}
	if above == nil {
		a.cert = sign(t, template, template, a.key.Public(), a.key)
	} else {
		a.cert = sign(t, template, above.cert, a.key.Public(), above.key)
		a.above = append([]*x509.Certificate{above.cert}, above.above...)
	}
	return a
}

// issue returns the chain of a certificate of Alice's, with changes.
func (a *authority) issue(change ...func(*x509.Certificate)) []*x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xbeef), Subject: pkix.Name{CommonName: "Alice", Organization: []string{"Example, Inc."}},
		NotBefore: start.Add(-time.Hour), NotAfter: start.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		EmailAddresses: []string{"alice@example.com"}, DNSNames: []string{"alice.example.com"},
		URIs: []*url.URL{{Scheme: "urn", Opaque: "example:alice"}},
	}
	for _, f := range change {
		f(template)
	}
	leaf := sign(a.t, template, a.cert, newKey(a.t).Public(), a.key)
	return append([]*x509.Certificate{leaf, a.cert}, a.above...)
}

func newAuth(t testing.TB, c certauth.Config) *certauth.Authenticator {
	t.Helper()
	if c.Now == nil {
		c.Now = func() time.Time { return start }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	a, err := certauth.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhoTheCertificateSaysItIs(t *testing.T) {
	t.Parallel()
	chain := newAuthority(t, "Root", nil).issue()
	sum := sha256.Sum256(chain[0].Raw)
	root := chain[1:]
	for _, tt := range []struct {
		id      string
		issuers []*x509.Certificate
		want    string
	}{
		{"", nil, `CN=Alice,O=Example\, Inc.`},
		{"subject_dn", nil, `CN=Alice,O=Example\, Inc.`},
		{"cn", nil, "Alice"},
		{"serial", root, "beef"},
		{"san_email", nil, "alice@example.com"},
		{"san_dns", nil, "alice.example.com"},
		{"san_uri", nil, "urn:example:alice"},
		{"fingerprint", nil, hex.EncodeToString(sum[:])},
		{"cn", root, "Alice"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			a := newAuth(t, certauth.Config{Issuers: tt.issuers, Mapping: realm.Mapping{
				ID: tt.id, Name: "cn", Attributes: map[string]string{"email": "san_email", "ca": "issuer_dn"},
			}})
			credentials, challenge, err := a.Collect(t.Context(), realm.Input{
				Certificates: chain, ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a", Fields: map[string]string{"username": "mallory"},
			})
			if err != nil || challenge != nil {
				t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
			}
			want := realm.Credentials{
				ClientIP: "192.0.2.7", Locale: "nl", Subject: "usr_a",
				Identity: &realm.Identity{
					ExternalID: tt.want, Name: "Alice", AMR: []string{"swk"},
					Attributes: map[string]string{"email": "alice@example.com", "ca": "CN=Root"},
				},
				Values: map[string]string{
					"username": tt.want, "subject_dn": `CN=Alice,O=Example\, Inc.`, "cn": "Alice", "serial": "beef",
					"san_email": "alice@example.com", "san_dns": "alice.example.com", "san_uri": "urn:example:alice",
					"fingerprint": hex.EncodeToString(sum[:]), "issuer_dn": "CN=Root",
				},
			}
			if diff := cmp.Diff(want, credentials); diff != "" {
				t.Errorf("unexpected credentials (-want +got):\n%s", diff)
			}
			result, err := a.Verify(t.Context(), credentials)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(realm.Result{Status: realm.Accepted, Identity: *want.Identity}, result); diff != "" {
				t.Errorf("unexpected result (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMethodsAreTheOperators(t *testing.T) {
	t.Parallel()
	a := newAuth(t, certauth.Config{Mapping: realm.Mapping{AMR: []string{"sc", "pin"}}})
	credentials, _, err := a.Collect(t.Context(), realm.Input{Certificates: newAuthority(t, "Root", nil).issue()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sc", "pin"}, credentials.Identity.AMR); diff != "" {
		t.Errorf("unexpected methods (-want +got):\n%s", diff)
	}
}

// TestTrap2AnAuthorityIsNotAnyAuthority: that the server knows an issuer does not mean that it may say who people are here.
func TestTrap2AnAuthorityIsNotAnyAuthority(t *testing.T) {
	t.Parallel()
	root, other := newAuthority(t, "Root", nil), newAuthority(t, "Root", nil) // the same name, another key
	between := newAuthority(t, "Between", root)
	for _, tt := range []struct {
		name    string
		id      string
		issuers []*x509.Certificate
		chain   []*x509.Certificate
		ok      bool
	}{
		{"any that the server has verified", "cn", nil, other.issue(), true},
		{"the accepted one", "cn", []*x509.Certificate{root.cert}, root.issue(), true},
		{"one below it", "cn", []*x509.Certificate{root.cert}, between.issue(), true},
		{"one of several", "cn", []*x509.Certificate{other.cert, root.cert}, root.issue(), true},
		{"the one below is accepted", "cn", []*x509.Certificate{between.cert}, between.issue(), true},
		{"another one of the same name", "cn", []*x509.Certificate{root.cert}, other.issue(), false},
		{"the one above the accepted", "cn", []*x509.Certificate{between.cert}, root.issue(), false},
		{"a serial number of the issuer", "serial", []*x509.Certificate{between.cert}, between.issue(), true},
		{"a serial number of somebody below it", "serial", []*x509.Certificate{root.cert}, between.issue(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := newAuth(t, certauth.Config{Issuers: tt.issuers, Mapping: realm.Mapping{ID: tt.id}})
			credentials, challenge, err := a.Collect(t.Context(), realm.Input{Certificates: tt.chain})
			if err != nil || (challenge == nil) != tt.ok || (credentials.Identity != nil) != tt.ok {
				t.Errorf("Collect = %+v, %v, %v, want it accepted: %v", credentials, challenge, err, tt.ok)
			}
		})
	}
}

// A certificate that is not good for this leads to no identity and to no values either: another login module may be behind it.
func TestCertificatesThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Root", nil)
	usage := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	twoNames := func(c *x509.Certificate) {
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Mallory"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Alice"},
		}}
	}
	for _, tt := range []struct {
		name   string
		id     string
		change func(*x509.Certificate)
		says   string
	}{
		{"no usage", "cn", usage(), "clientAuth"},
		{"a server's", "cn", usage(x509.ExtKeyUsageServerAuth), "clientAuth"},
		{"for anything", "cn", usage(x509.ExtKeyUsageAny), "clientAuth"},
		{"expired", "cn", func(c *x509.Certificate) { c.NotAfter = start.Add(-time.Second) }, "valid from"},
		{"not yet valid", "cn", func(c *x509.Certificate) { c.NotBefore = start.Add(time.Second) }, "valid from"},
		{"no e-mail address", "san_email", func(c *x509.Certificate) { c.EmailAddresses = nil }, "san_email"},
		{"two e-mail addresses", "san_email", func(c *x509.Certificate) { c.EmailAddresses = []string{"alice@example.com", "root@example.com"} }, "san_email"},
		{"two host names", "san_dns", func(c *x509.Certificate) { c.DNSNames = []string{"a.example.com", "b.example.com"} }, "san_dns"},
		{"no URI", "san_uri", func(c *x509.Certificate) { c.URIs = nil }, "san_uri"},
		{"two common names", "cn", twoNames, "cn"},
		{"no subject", "subject_dn", func(c *x509.Certificate) { c.Subject = pkix.Name{} }, "subject_dn"},
		{"a subject that is too long", "subject_dn", func(c *x509.Certificate) {
			c.Subject.OrganizationalUnit = []string{strings.Repeat("x", realm.MaxExternalID)}
		}, "subject_dn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			a := newAuth(t, certauth.Config{Mapping: realm.Mapping{ID: tt.id}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			credentials, challenge, err := a.Collect(t.Context(), realm.Input{Certificates: root.issue(tt.change)})
			if err != nil || challenge == nil {
				t.Fatalf("Collect = %v, %v, want a challenge", challenge, err)
			}
			if diff := cmp.Diff(&realm.Challenge{Message: messageMissing}, challenge); diff != "" {
				t.Errorf("unexpected challenge (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(realm.Credentials{}, credentials); diff != "" {
				t.Errorf("credentials beside a challenge: %s", diff)
			}
			if !strings.Contains(log.String(), tt.says) || !strings.Contains(log.String(), "fingerprint") {
				t.Errorf("the log says %q, want something about %s", log.String(), tt.says)
			}
			if result, err := a.Verify(t.Context(), credentials); err != nil || result.Status != realm.Refused {
				t.Errorf("Verify = %v, %v, want a refusal", result, err)
			}
		})
	}
}

// Two subjects that differ never have one text, as they would if only the last common name counted.
func TestSubjectsAreWhole(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "Root", nil)
	a := newAuth(t, certauth.Config{})
	chain := root.issue(func(c *x509.Certificate) {
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Mallory"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "Alice"},
		}}
	})
	credentials, challenge, err := a.Collect(t.Context(), realm.Input{Certificates: chain})
	if err != nil || challenge != nil {
		t.Fatalf("Collect = %v, %v, want credentials", challenge, err)
	}
	if id := credentials.Identity.ExternalID; id != "CN=Alice,CN=Mallory" {
		t.Errorf("the subject is %q", id)
	}
	if cn, ok := credentials.Values["cn"]; ok {
		t.Errorf("the common name is %q of two", cn)
	}
}

// A connection may last longer than the certificate, or than that of the authority.
func TestCertificatesEndWhileTheConnectionLasts(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	a := newAuth(t, certauth.Config{Now: clock.Now})
	chain := newAuthority(t, "Root", nil).issue(func(c *x509.Certificate) { c.NotAfter = start.Add(72 * time.Hour) })
	for _, tt := range []struct {
		after time.Duration
		ok    bool
	}{{0, true}, {48 * time.Hour, true}, {time.Second, false}} {
		clock.Advance(tt.after)
		if _, challenge, err := a.Collect(t.Context(), realm.Input{Certificates: chain}); err != nil || (challenge == nil) != tt.ok {
			t.Errorf("at %s: Collect = %v, %v, want it accepted: %v", clock.Now(), challenge, err, tt.ok)
		}
	}
}

func TestWithoutACertificate(t *testing.T) {
	t.Parallel()
	a := newAuth(t, certauth.Config{})
	_, challenge, err := a.Collect(t.Context(), realm.Input{
		Fields: map[string]string{"username": "alice"}, Proxied: true, Headers: map[string][]string{"X-Client-Cert": {"x"}, "Ssl-Client-S-Dn": {"CN=Alice"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&realm.Challenge{Message: messageMissing}, challenge); diff != "" {
		t.Errorf("unexpected challenge (-want +got):\n%s", diff)
	}
}

func TestNewRefusesWhatTellsNobodyApart(t *testing.T) {
	t.Parallel()
	now, logger := func() time.Time { return start }, slog.New(slog.DiscardHandler)
	root := newAuthority(t, "Root", nil).cert
	for _, tt := range []struct {
		name   string
		config certauth.Config
		says   string
	}{
		{"no clock", certauth.Config{Logger: logger}, "clock"},
		{"no logger", certauth.Config{Now: now}, "logger"},
		{"id", certauth.Config{Mapping: realm.Mapping{ID: "email"}}, `"email", but: subject_dn`},
		{"name", certauth.Config{Mapping: realm.Mapping{Name: "name"}}, `"name"`},
		{"attribute", certauth.Config{Mapping: realm.Mapping{Attributes: map[string]string{"a": "b"}}}, `"b"`},
		{"method", certauth.Config{Mapping: realm.Mapping{AMR: []string{"a b"}}}, `"a b"`},
		{"serial numbers of anybody", certauth.Config{Mapping: realm.Mapping{ID: "serial"}}, "one issuer_ca"},
		{"serial numbers of two", certauth.Config{Mapping: realm.Mapping{ID: "serial"}, Issuers: []*x509.Certificate{root, root}}, "one issuer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.name != "no clock" && tt.name != "no logger" {
				tt.config.Now, tt.config.Logger = now, logger
			}
			if _, err := certauth.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New = %v, want an error about %s", err, tt.says)
			}
		})
	}
}
