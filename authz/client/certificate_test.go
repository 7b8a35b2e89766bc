// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/client"
	"github.com/gatehouse-id/gatehouse/internal/certtest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestRFC8705Section21: an authority of the operator's has issued the certificate, for clients, to the one name of the client.
func TestRFC8705Section21(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	root, stranger := certtest.NewAuthority(t, "Root", now), certtest.NewAuthority(t, "Root", now)
	between := root.Below(t, "Between", now)
	uri, err := url.Parse("https://bank.example.com/client")
	if err != nil {
		t.Fatal(err)
	}
	template := func(change ...func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{
			Subject:  pkix.Name{CommonName: "pay, main", Organization: []string{"Bank"}, Country: []string{"CH"}},
			DNSNames: []string{"pay.bank.example.com", "*.bank.example.com"}, URIs: []*url.URL{uri},
			IPAddresses: []net.IP{net.ParseIP("192.0.2.7")}, EmailAddresses: []string{"pay@bank.example.com"},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		for _, f := range change {
			f(c)
		}
		return c
	}
	dns := client.CertificateName{Kind: client.NameDNS, Value: "pay.bank.example.com"}
	for _, test := range []struct {
		name   string
		by     *certtest.Authority
		change func(*x509.Certificate)
		want   client.CertificateName
		ok     bool
	}{
		{name: "dNSName", by: root, want: dns, ok: true},
		{name: "below another authority", by: between, want: dns, ok: true},
		{name: "dNSName in capitals", by: root, want: client.CertificateName{Kind: client.NameDNS, Value: "PAY.bank.example.com"}, ok: true},
		{name: "URI", by: root, want: client.CertificateName{Kind: client.NameURI, Value: uri.String()}, ok: true},
		{name: "iPAddress", by: root, want: client.CertificateName{Kind: client.NameIP, Value: "192.0.2.7"}, ok: true},
		{name: "iPAddress, binary", by: root, want: client.CertificateName{Kind: client.NameIP, Value: "::ffff:192.0.2.7"}, ok: true},
		{name: "rfc822Name", by: root, want: client.CertificateName{Kind: client.NameEmail, Value: "pay@bank.example.com"}, ok: true},
		{name: "subject", by: root, want: client.CertificateName{Kind: client.NameSubject, Value: `CN=pay\, main,O=Bank,C=CH`}, ok: true},
		{name: "subject in another order", by: root, want: client.CertificateName{Kind: client.NameSubject, Value: `C=CH,O=Bank,CN=pay\, main`}},
		{name: "part of the subject", by: root, want: client.CertificateName{Kind: client.NameSubject, Value: `CN=pay\, main`}},
		{name: "another dNSName", by: root, want: client.CertificateName{Kind: client.NameDNS, Value: "bank.example.com"}},
		{name: "a wildcard of the certificate", by: root, want: client.CertificateName{Kind: client.NameDNS, Value: "x.bank.example.com"}},
		{name: "the name as another kind", by: root, want: client.CertificateName{Kind: client.NameURI, Value: "pay.bank.example.com"}},
		{name: "another address", by: root, want: client.CertificateName{Kind: client.NameIP, Value: "192.0.2.8"}},
		{name: "another mail address", by: root, want: client.CertificateName{Kind: client.NameEmail, Value: "PAY@bank.example.com"}},
		{name: "no kind", by: root, want: client.CertificateName{Value: "pay.bank.example.com"}},
		{name: "another authority of the same name", by: stranger, want: dns},
		{name: "signed by itself", want: dns},
		{name: "for servers", by: root, want: dns, change: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }},
		{name: "expired", by: root, want: dns, change: func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Second)
		}},
		{name: "not valid yet", by: root, want: dns, change: func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(time.Minute), now.Add(time.Hour)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*x509.Certificate) {}
			}
			chain := certtest.Chain(t, test.by.Issue(t, template(change), now))
			certificates := client.Certificates{Roots: certtest.Pool(root), Name: test.want}
			err := certificates.Match(client.AuthTLS, chain, now)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, client.ErrCertificate) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestWhatIsLookedAtIsBounded: a stranger chooses the chain, and not how long it takes to look at it.
func TestWhatIsLookedAtIsBounded(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	root := certtest.NewAuthority(t, "Root", now)
	template := &x509.Certificate{DNSNames: []string{"bank.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	good := certtest.Chain(t, root.Issue(t, template, now))
	deep := root
	for range 5 {
		deep = deep.Below(t, "Between", now)
	}
	certificates := client.Certificates{Roots: certtest.Pool(root), Name: client.CertificateName{Kind: client.NameDNS, Value: "bank.example"}}
	key := func(bits uint, exponent int) *x509.Certificate {
		return &x509.Certificate{Raw: []byte{1}, PublicKey: &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: exponent}}
	}
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		ok    bool
	}{
		"six":                {certtest.Chain(t, deep.Issue(t, template, now)), true},
		"seven":              {certtest.Chain(t, deep.Below(t, "Between", now).Issue(t, template, now)), false},
		"4096 bits":          {append(good[:1:1], key(4096, 65537)), true},
		"4097 bits":          {append(good[:1:1], key(4097, 65537)), false},
		"a larger exponent":  {append(good[:1:1], key(2048, 65539)), false},
		"a subject too long": {certtest.Chain(t, root.Issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("x", 2000)}}, now)), false},
	} {
		err := certificates.Match(client.AuthTLS, test.chain, now)
		if (err == nil) != test.ok || err != nil && (!errors.Is(err, client.ErrCertificate) || len(err.Error()) > 500) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRFC8705Section22: the very certificate, whoever has signed it, while its dates hold.
func TestRFC8705Section22(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	var nobody *certtest.Authority
	first, second, other := nobody.Client(t, "bank", now), nobody.Client(t, "bank", now), nobody.Client(t, "bank", now)
	own := client.Certificates{Own: []*x509.Certificate{first.Leaf, second.Leaf}}
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		now   time.Time
		want  string
	}{
		"registered":                {[]*x509.Certificate{first.Leaf}, now, ""},
		"its successor":             {[]*x509.Certificate{second.Leaf}, now, ""},
		"another of the same name":  {[]*x509.Certificate{other.Leaf}, now, "CN=bank is not registered"},
		"it is shown as the second": {[]*x509.Certificate{other.Leaf, first.Leaf}, now, "not registered"},
		"none":                      {nil, now, "none came"},
		"expired":                   {[]*x509.Certificate{first.Leaf}, now.Add(time.Hour + time.Second), "it is good from"},
		"not valid yet":             {[]*x509.Certificate{first.Leaf}, now.Add(-time.Hour - time.Second), "it is good from"},
	} {
		err := own.Match(client.AuthSelfSignedTLS, test.chain, test.now)
		if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, client.ErrCertificate) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCertificatesOfAClientAreChecked(t *testing.T) {
	t.Parallel()
	now := storagetest.NewClock().Now()
	root := certtest.NewAuthority(t, "Root", now)
	issued := func(kind client.NameKind, value string) func(*client.Client) {
		return func(c *client.Client) {
			c.Auth = client.AuthTLS
			c.Certificates = &client.Certificates{Roots: certtest.Pool(root), Name: client.CertificateName{Kind: kind, Value: value}}
		}
	}
	for name, test := range map[string]struct {
		change func(*client.Client)
		want   string
	}{
		"issued":             {issued(client.NameDNS, "bank.example.com"), ""},
		"an address":         {issued(client.NameIP, "2001:db8::1"), ""},
		"no address":         {issued(client.NameIP, "bank.example.com"), "no IP address"},
		"no name":            {issued(client.NameSubject, ""), "is empty"},
		"2.1.2 another kind": {issued("san_directory", "x"), "unknown kind"},
		"no authority":       {func(c *client.Client) { issued(client.NameDNS, "x")(c); c.Certificates.Roots = nil }, "no certificate authority"},
		"no certificates":    {func(c *client.Client) { c.Auth = client.AuthTLS }, "no certificates"},
		"none of its own":    {func(c *client.Client) { issued(client.NameDNS, "x")(c); c.Auth = client.AuthSelfSignedTLS }, "no certificate"},
		"public":             {func(c *client.Client) { issued(client.NameDNS, "x")(c); c.Auth = client.AuthNone }, "public"},
		"its own": {func(c *client.Client) {
			c.Auth, c.Certificates = client.AuthSelfSignedTLS, &client.Certificates{Own: []*x509.Certificate{root.Certificate}}
		}, ""},
		"3.4 a public client that is held": {func(c *client.Client) { c.CertificateBound = true }, ""},
	} {
		err := newClient(app, test.change).Check()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
