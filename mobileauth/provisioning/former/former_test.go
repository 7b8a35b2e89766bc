// SPDX-License-Identifier: Apache-2.0

package former_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // what old systems have signed with
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
)

var (
	now         = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	application = provisioning.Entity{Kind: provisioning.KindApplication}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	must(t, err)
	return key
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return key
}

func attribute(t testing.TB, text string) former.Attribute {
	t.Helper()
	a, err := former.ParseAttribute(text)
	must(t, err)
	return a
}

// ca is an authority.
type ca struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

func newCA(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) *ca {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Worklight CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(5, 0, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &ca{t, cert, key}
}

// issue signs a certificate for a key.
func (c *ca) issue(key crypto.PublicKey, change func(*x509.Certificate)) []byte {
	c.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), Subject: pkix.Name{CommonName: "phone-1", OrganizationalUnit: []string{"com.example.Bank"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key, c.key)
	must(c.t, err)
	return der
}

func (c *ca) authority() former.Authority {
	return former.Authority{
		Certificates: []*x509.Certificate{c.cert}, Device: attribute(c.t, "CN"),
		Rules: []former.Rule{{Attribute: attribute(c.t, "OU"), Value: "com.example.Bank", Entity: application, Application: "bank"}},
	}
}

func refused(t testing.TB, err error, want provisioning.Reason) {
	t.Helper()
	if refusal, ok := errors.AsType[*provisioning.Refusal](err); !ok || refusal.Reason != want {
		t.Errorf("the answer is %v, want the refusal %q", err, want)
	}
}

// TestRead: what a certificate stands for by the names that it has.
func TestRead(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	c := newCA(t, ecKey(t, elliptic.P256()), nil)
	group := provisioning.Entity{Kind: provisioning.KindGroup, Group: "retail"}
	ours := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
	text, err := asn1.Marshal("com.example.Bank")
	must(t, err)
	for _, tt := range []struct {
		name   string
		device string
		rules  []former.Rule
		change func(*x509.Certificate)
		want   provisioning.Certificate // its kind, group, application and device, or nothing where it is refused
	}{
		{"a part of the subject", "CN", []former.Rule{{Attribute: attribute(t, "ou"), Value: "com.example.Bank", Entity: application, Application: "bank"}}, nil,
			provisioning.Certificate{Kind: "application", Application: "bank"}},
		{"a group", "CN", []former.Rule{{Attribute: attribute(t, "OU"), Value: "com.example.Bank", Entity: group}}, nil,
			provisioning.Certificate{Kind: "group", Group: "retail"}},
		{"all of them", "CN", []former.Rule{{Entity: application, Application: "bank"}}, nil, provisioning.Certificate{Kind: "application", Application: "bank"}},
		{"an extension", "CN", []former.Rule{{Attribute: attribute(t, ours.String()), Value: "com.example.Bank", Entity: application, Application: "bank"}},
			func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: ours, Value: text}} },
			provisioning.Certificate{Kind: "application", Application: "bank"}},
		{"an extension that is no text", "CN", []former.Rule{{Attribute: attribute(t, ours.String()), Value: "x", Entity: application, Application: "bank"}},
			func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: ours, Value: []byte{5, 0}}} }, provisioning.Certificate{}},
		{"another value", "CN", []former.Rule{{Attribute: attribute(t, "OU"), Value: "com.example.bank", Entity: application, Application: "bank"}}, nil,
			provisioning.Certificate{}},
		{"two rules", "CN", []former.Rule{
			{Attribute: attribute(t, "OU"), Value: "com.example.Bank", Entity: application, Application: "bank"},
			{Attribute: attribute(t, "CN"), Value: "phone-1", Entity: application, Application: "wallet"},
		}, nil, provisioning.Certificate{}},
		{"the part twice", "CN", []former.Rule{{Attribute: attribute(t, "OU"), Value: "com.example.Bank", Entity: application, Application: "bank"}},
			func(c *x509.Certificate) {
				c.Subject.OrganizationalUnit = []string{"com.example.Bank", "com.example.Wallet"}
			}, provisioning.Certificate{}},
		{"no device", "UID", []former.Rule{{Entity: application, Application: "bank"}}, nil, provisioning.Certificate{}},
		{"a device that does not show", "CN", []former.Rule{{Entity: application, Application: "bank"}},
			func(c *x509.Certificate) { c.Subject.CommonName = "phone\u202e1" }, provisioning.Certificate{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := c.authority()
			a.Device, a.Rules = attribute(t, tt.device), tt.rules
			j, err := former.New(a)
			must(t, err)
			got, err := j.Read(c.issue(key.Public(), tt.change), now)
			if tt.want.Kind == "" {
				refused(t, err, former.ReasonNames)
				return
			}
			must(t, err)
			if diff := cmp.Diff(tt.want, provisioning.Certificate{Kind: got.Kind, Group: got.Group, Application: got.Application}); diff != "" {
				t.Error(diff)
			}
			want := map[string]string{
				former.AttributeAuthority: provisioning.AuthorityID(c.cert), former.AttributeSerial: "0abc", former.AttributeDevice: "phone-1",
			}
			if diff := cmp.Diff(want, got.Attributes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRFC5280 6.1.3 and 4.2.1: what a certificate has to be beside its names.
func TestRFC5280(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	rsaCA := rsaKey(t, 2048)
	c := newCA(t, rsaCA, nil)
	other := newCA(t, rsaKey(t, 2048), nil) // of the same name
	j, err := former.New(c.authority())
	must(t, err)
	for _, tt := range []struct {
		name string
		der  []byte
		want provisioning.Reason
	}{
		{"too large", make([]byte, former.MaxCertificate+1), provisioning.ReasonTooLarge},
		{"no certificate", []byte("x"), provisioning.ReasonMalformed},
		{"something behind it", append(c.issue(key.Public(), nil), 0), provisioning.ReasonMalformed},
		{"another authority of that name", other.issue(key.Public(), nil), former.ReasonIssuer},
		{"signed by itself", newCA(t, key, nil).issue(key.Public(), nil), former.ReasonIssuer},
		{"SHA-1", c.issue(key.Public(), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }), provisioning.ReasonAlgorithm},
		{"an authority", c.issue(key.Public(), func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), provisioning.ReasonAuthority},
		{"for signing certificates", c.issue(key.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), provisioning.ReasonAuthority},
		{"for encryption", c.issue(key.Public(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), former.ReasonPurpose},
		{"for servers", c.issue(key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), former.ReasonPurpose},
		{"for what nobody knows", c.issue(key.Public(), func(c *x509.Certificate) { c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 2, 3}} }), former.ReasonPurpose},
		{"critical, and nobody knows what", c.issue(key.Public(), func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}), former.ReasonPurpose},
		{"a short key", c.issue(rsaKey(t, 1024).Public(), nil), provisioning.ReasonKeyWeak},
		{"another curve", c.issue(ecKey(t, elliptic.P521()).Public(), nil), provisioning.ReasonKeyType},
		{"over", c.issue(key.Public(), func(c *x509.Certificate) { c.NotAfter = now }), provisioning.ReasonExpired},
		{"not yet", c.issue(key.Public(), func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }), provisioning.ReasonNotYet},
	} {
		_, err := j.Read(tt.der, now)
		if refusal, ok := errors.AsType[*provisioning.Refusal](err); !ok || refusal.Reason != tt.want {
			t.Errorf("%s: %v, want the refusal %q", tt.name, err, tt.want)
		}
	}
	old := c.authority()
	old.SHA1 = true
	j, err = former.New(old)
	must(t, err)
	_, err = j.Read(c.issue(key.Public(), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }), now)
	must(t, err)
	_, err = j.Read(c.issue(key.Public(), func(c *x509.Certificate) {
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}), now)
	must(t, err)
	_, err = j.Read(c.issue(key.Public(), nil), c.cert.NotAfter)
	refused(t, err, provisioning.ReasonExpired)
}

// TestSeveralAuthorities: a system has had two keys of one name, and another system has another name.
func TestSeveralAuthorities(t *testing.T) {
	t.Parallel()
	first, second := newCA(t, ecKey(t, elliptic.P256()), nil), newCA(t, ecKey(t, elliptic.P384()), nil)
	third := newCA(t, ecKey(t, elliptic.P256()), func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid = "made with keytool", false, false
	})
	a, b := first.authority(), third.authority()
	a.Certificates = append(a.Certificates, second.cert)
	b.Rules = []former.Rule{{Entity: application, Application: "wallet"}}
	j, err := former.New(a, b)
	must(t, err)
	for want, c := range map[string]*ca{"bank": second, "wallet": third} {
		got, err := j.Read(c.issue(ecKey(t, elliptic.P256()).Public(), nil), now)
		if err != nil || got.Application != want || got.Authority != provisioning.AuthorityID(c.cert) {
			t.Errorf("%s: %+v, %v", want, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	c := newCA(t, ecKey(t, elliptic.P256()), nil)
	weak := newCA(t, rsaKey(t, 1024), nil)
	device := newCA(t, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.IsCA = false })
	signs := newCA(t, ecKey(t, elliptic.P256()), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	leaf, err := x509.ParseCertificate(c.issue(ecKey(t, elliptic.P256()).Public(), nil))
	must(t, err)
	with := func(change func(*former.Authority)) []former.Authority {
		a := c.authority()
		change(&a)
		return []former.Authority{a}
	}
	believes := func(cert *x509.Certificate) []former.Authority {
		return with(func(a *former.Authority) { a.Certificates = []*x509.Certificate{cert} })
	}
	ou := attribute(t, "OU")
	for _, tt := range []struct {
		name string
		all  []former.Authority
		want string
	}{
		{"nobody", nil, "no former authority"},
		{"no certificate", believesNone(c), "has no certificate"},
		{"a key that can be computed", believes(weak.cert), "weak"},
		{"no authority", believes(device.cert), "basic constraints say so"},
		{"a device's", believes(leaf), "somebody else has signed it"},
		{"a key for something else", believes(signs.cert), "not for signing certificates"},
		{"no device", with(func(a *former.Authority) { a.Device = former.Attribute{} }), "device is missing"},
		{"no rules", with(func(a *former.Authority) { a.Rules = nil }), "stands_for is missing"},
		{"a name without value", with(func(a *former.Authority) { a.Rules[0].Value = "" }), "its value"},
		{"everything, and more", with(func(a *former.Authority) {
			a.Rules = append(a.Rules, former.Rule{Entity: application, Application: "x"})
		}), "is the only one"},
		{"twice", with(func(a *former.Authority) { a.Rules = append(a.Rules, a.Rules[0]) }), "stands_for OU com.example.Bank stands twice"},
		{"no application", with(func(a *former.Authority) { a.Rules[0].Application = "" }), "needs the application"},
		{"no entity", with(func(a *former.Authority) {
			a.Rules[0] = former.Rule{Attribute: ou, Value: "x", Entity: provisioning.Entity{Kind: "person"}}
		}), "is none of"},
	} {
		if _, err := former.New(tt.all...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func believesNone(c *ca) []former.Authority {
	a := c.authority()
	a.Certificates = nil
	return []former.Authority{a}
}

func TestParseAttribute(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"cn": "CN", "UID": "UID", "serialNumber": "SERIALNUMBER", "1.3.6.1.4.1.2": "1.3.6.1.4.1.2"} {
		if a, err := former.ParseAttribute(text); err != nil || a.String() != want || a.IsZero() {
			t.Errorf("%s is %v, %v", text, a, err)
		}
	}
	if !attribute(t, "CN").Equal(attribute(t, "2.5.4.3")) {
		t.Error("CN is not 2.5.4.3")
	}
	for _, text := range []string{"", "X", "1", "3.1", "1.03", "1.1234567890", "1.-2", " CN", strings.Repeat("1.", 20) + "1"} {
		if a, err := former.ParseAttribute(text); err == nil {
			t.Errorf("%q is %v", text, a)
		}
	}
}

// TestBlocked: whom the former system had blocked, by device or certificate, is refused.
func TestBlocked(t *testing.T) {
	t.Parallel()
	c, key := newCA(t, ecKey(t, elliptic.P256()), nil), ecKey(t, elliptic.P256())
	for list, want := range map[string]provisioning.Reason{
		"# stolen\n\ndevice phone-1\n": former.ReasonBlocked, "serial 0A:BC": former.ReasonBlocked, "serial abc": former.ReasonBlocked,
		"serial 000abc": former.ReasonBlocked, "device PHONE-1": former.ReasonBlocked, "device phone-2\nserial abcd": "", "": "",
	} {
		a := c.authority()
		var err error
		a.Blocked, err = former.ReadBlocked(strings.NewReader(list))
		must(t, err)
		j, err := former.New(a)
		must(t, err)
		if _, err = j.Read(c.issue(key.Public(), nil), now); want == "" {
			must(t, err)
			continue
		}
		refused(t, err, want)
	}
	for _, list := range []string{"phone-1", "device", "device \x1b[2J", "serial xyz", "serial", "serial 0", "serial " + strings.Repeat("a", 66), strings.Repeat("device x", 100)} {
		if b, err := former.ReadBlocked(strings.NewReader(list)); err == nil {
			t.Errorf("%q is a list of %d", list, b.Len())
		}
	}
}

// FuzzRead: whatever is sent, it is refused with a reason, or was signed by the authority and names a device.
func FuzzRead(f *testing.F) {
	c := newCA(f, ecKey(f, elliptic.P256()), nil)
	f.Add(c.issue(ecKey(f, elliptic.P256()).Public(), nil))
	f.Add(c.cert.Raw)
	j, err := former.New(c.authority())
	must(f, err)
	f.Fuzz(func(t *testing.T, der []byte) {
		got, err := j.Read(der, now)
		if err == nil && (got.Application != "bank" || got.Attributes[former.AttributeDevice] == "" || got.Authority != provisioning.AuthorityID(c.cert)) {
			t.Errorf("it is %+v", got)
		}
		if _, ok := errors.AsType[*provisioning.Refusal](err); err != nil && !ok {
			t.Error(err)
		}
	})
}

// FuzzReadBlocked: a list is refused, or holds no more than it has lines.
func FuzzReadBlocked(f *testing.F) {
	f.Add("device phone-1\nserial 0a:bc\n# x")
	f.Fuzz(func(t *testing.T, list string) {
		if b, err := former.ReadBlocked(strings.NewReader(list)); err == nil && b.Len() > strings.Count(list, "\n")+1 {
			t.Errorf("%q is a list of %d", list, b.Len())
		}
	})
}
