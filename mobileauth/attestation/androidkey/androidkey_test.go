// SPDX-License-Identifier: Apache-2.0

package androidkey_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
)

const packageName = "com.example.bank"

var (
	now       = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	challenge = []byte("0123456789abcdef0123456789abcdef")
	digest    = slices.Repeat([]byte{7}, sha256.Size)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func at() time.Time { return now }

// phone is a test authority, a key that it vouches for, and who believes it.
type phone struct {
	authority *testauthority.Authority
	key       *ecdsa.PrivateKey
	config    androidkey.Config
}

func newPhone(t testing.TB) *phone {
	t.Helper()
	authority, err := testauthority.New(at)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &phone{authority, key, androidkey.Config{
		Roots: []*x509.Certificate{authority.Root}, Packages: []string{packageName}, Digests: [][]byte{digest}, Now: at,
	}}
}

// chain makes evidence with changes.
func (p *phone) chain(t testing.TB, change func(*testauthority.Android)) [][]byte {
	t.Helper()
	k := testauthority.Keystore(&p.key.PublicKey, challenge, packageName, digest)
	if change != nil {
		change(&k)
	}
	chain, err := p.authority.Certify(k)
	must(t, err)
	return chain
}

func (p *phone) verify(t testing.TB, chain [][]byte) (androidkey.Verdict, error) {
	t.Helper()
	v, err := androidkey.New(p.config)
	must(t, err)
	return v.Verify(chain, challenge, &p.key.PublicKey)
}

func TestGrades(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		level, keyMin int
		want          attestation.Grade
	}{
		{"StrongBox", 2, 2, attestation.Hardware},
		{"the trusted environment", 1, 1, attestation.TEE},
		{"StrongBox, as the trusted environment says", 1, 2, attestation.TEE},
		{"the trusted environment, as StrongBox says", 2, 1, attestation.TEE},
		{"software", 0, 0, attestation.Software},
		{"the trusted environment, as software says", 0, 1, attestation.Software},
		{"software, as the trusted environment says", 1, 0, attestation.Software},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPhone(t)
			got, err := p.verify(t, p.chain(t, func(k *testauthority.Android) { k.Level, k.KeyLevel = tt.level, tt.keyMin }))
			if err != nil || got.Grade != tt.want || got.Version != 300 || got.PatchLevel != 202611 {
				t.Errorf("it is %+v, %v", got, err)
			}
		})
	}
}

// TestKeyDescription goes through the fields of https://source.android.com/docs/security/features/keystore/attestation.
func TestKeyDescription(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*testauthority.Android)
		reason string
	}{
		{"no extension", func(k *testauthority.Android) { k.NoDescription = true }, androidkey.ReasonExtension},
		{"attestationChallenge: another one", func(k *testauthority.Android) { k.Challenge = []byte("other") }, androidkey.ReasonChallenge},
		{"attestationChallenge: empty", func(k *testauthority.Android) { k.Challenge = nil }, androidkey.ReasonChallenge},
		{"origin: imported", func(k *testauthority.Android) { k.Origin = 2 }, androidkey.ReasonOrigin},
		{"origin: derived", func(k *testauthority.Android) { k.Origin = 1 }, androidkey.ReasonOrigin},
		{"origin: imported securely", func(k *testauthority.Android) { k.Origin = 4 }, androidkey.ReasonOrigin},
		{"purpose: none", func(k *testauthority.Android) { k.Purposes = nil }, androidkey.ReasonOrigin},
		{"purpose: encryption", func(k *testauthority.Android) { k.Purposes = []int{0, 1} }, androidkey.ReasonOrigin},
		{"algorithm: RSA", func(k *testauthority.Android) { k.Algorithm = 1 }, androidkey.ReasonOrigin},
		{"allApplications", func(k *testauthority.Android) { k.Extra = map[int][]byte{600: {5, 0}} }, androidkey.ReasonOrigin},
		{"rootOfTrust: none", func(k *testauthority.Android) { k.NoRoot = true }, androidkey.ReasonBoot},
		{"rootOfTrust: unlocked", func(k *testauthority.Android) { k.Unlocked = true }, androidkey.ReasonBoot},
		{"rootOfTrust: self signed", func(k *testauthority.Android) { k.BootState = 1 }, androidkey.ReasonBoot},
		{"rootOfTrust: unverified", func(k *testauthority.Android) { k.BootState = 2 }, androidkey.ReasonBoot},
		{"rootOfTrust: failed", func(k *testauthority.Android) { k.BootState = 3 }, androidkey.ReasonBoot},
		{"rootOfTrust: no sequence", func(k *testauthority.Android) { k.Extra = map[int][]byte{704: {5, 0}} }, androidkey.ReasonBoot},
		{
			"rootOfTrust: a boolean that is not in DER",
			func(k *testauthority.Android) { k.Extra = map[int][]byte{704: {0x30, 8, 4, 0, 1, 1, 1, 10, 1, 0}} }, androidkey.ReasonBoot,
		},
		{"package: another", func(k *testauthority.Android) { k.Package = "com.example.bank2" }, androidkey.ReasonApplication},
		{"package: none", func(k *testauthority.Android) { k.Package = "" }, androidkey.ReasonApplication},
		{"signature digest: another", func(k *testauthority.Android) { k.Digest = make([]byte, 32) }, androidkey.ReasonApplication},
		{"signature digest: cut off", func(k *testauthority.Android) { k.Digest = digest[:31] }, androidkey.ReasonApplication},
		{"osPatchLevel: no month", func(k *testauthority.Android) { k.PatchLevel = 202613 }, androidkey.ReasonExtension},
		{"osPatchLevel: a day", func(k *testauthority.Android) { k.PatchLevel = 20261101 }, androidkey.ReasonExtension},
		{"a tag that is not known", func(k *testauthority.Android) { k.Extra = map[int][]byte{1000: {5, 0}} }, ""},
		{"a tag that is not known, before the origin", func(k *testauthority.Android) { k.Extra = map[int][]byte{690: {5, 0}} }, ""},
		{"no DER", func(k *testauthority.Android) { k.Description = []byte{0x42, 0x42} }, androidkey.ReasonExtension},
		{"nothing", func(k *testauthority.Android) { k.Description = []byte{} }, androidkey.ReasonExtension},
		{"too large", func(k *testauthority.Android) { k.Extra = map[int][]byte{1000: large(5000)} }, androidkey.ReasonChain},
		{
			"an extension that is too large in a certificate that is not",
			func(k *testauthority.Android) { k.Description = make([]byte, 3<<10) }, androidkey.ReasonExtension,
		},
		{"a certificate that is not valid yet", func(k *testauthority.Android) { k.NotBefore = now.Add(time.Minute) }, androidkey.ReasonValidity},
		{"a certificate that ran out", func(k *testauthority.Android) { k.NotAfter = now.Add(-time.Minute) }, androidkey.ReasonValidity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPhone(t)
			_, err := p.verify(t, p.chain(t, tt.change))
			expect(t, err, tt.reason)
		})
	}
}

// large is an octet string of about so many bytes.
func large(n int) []byte { return append([]byte{4, 0x82, byte(n >> 8), byte(n)}, make([]byte, n)...) }

func expect(t testing.TB, err error, reason string) {
	t.Helper()
	if (err == nil) != (reason == "") || attestation.ReasonOf(err) != reason || err != nil && !errors.Is(err, attestation.ErrRejected) {
		t.Errorf("it is refused for %q, want %q: %v", attestation.ReasonOf(err), reason, err)
	}
}

// TestDER alters a good description byte for byte where it is built: what is not in its one form is refused.
func TestDER(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	k := testauthority.Keystore(&p.key.PublicKey, challenge, packageName, digest)
	good := k.Describe()
	list := func(elements ...[]byte) []byte { return sequence(elements...) }
	empty := list()
	head := [][]byte{{2, 1, 3}, {10, 1, 1}, {2, 1, 3}, {10, 1, 1}, append([]byte{4, 32}, challenge...), {4, 0}}
	with := func(lists ...[]byte) []byte { return sequence(append(slices.Clone(head), lists...)...) }
	origin := testauthority.Tagged(702, []byte{2, 1, 0})
	for _, tt := range []struct {
		name string
		der  []byte
	}{
		{"something behind it", append(slices.Clone(good), 0)},
		{"cut off", good[:len(good)-1]},
		{"seven fields", with(empty)},
		{"nine fields", with(empty, empty, empty)},
		{"no lists", with([]byte{5, 0}, []byte{5, 0})},
		{"a set in the place of a list", with([]byte{0x31, 0}, empty)},
		{"tags that descend", with(list(testauthority.Tagged(704, []byte{5, 0}), origin), empty)},
		{"a tag twice", with(empty, list(origin, origin))},
		{"a tag of another class", with(list([]byte{0x61, 2, 5, 0}), empty)},
		{"an element without its tag", with(list([]byte{2, 1, 0}), empty)},
		{"two elements under a tag", with(list(testauthority.Tagged(702, []byte{2, 1, 0, 2, 1, 0})), empty)},
		{"a tag with nothing under it", with(list(testauthority.Tagged(702, nil)), empty)},
		{"a tag that is longer than it has to be", with(list([]byte{0xbf, 0x80, 0x02, 3, 2, 1, 0}), empty)},
		{"a length that is longer than it has to be", with(list([]byte{0xa2, 0x81, 3, 2, 1, 0}), empty)},
		{"a length that is not definite", with([]byte{0x30, 0x80, 0, 0}, empty)},
		{"too many elements", with(list(many(65)...), empty)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := p.verify(t, p.chain(t, func(k *testauthority.Android) { k.Description = tt.der }))
			expect(t, err, androidkey.ReasonExtension)
		})
	}
	if _, err := p.verify(t, p.chain(t, func(k *testauthority.Android) { k.Description = with(empty, empty) })); attestation.ReasonOf(err) != androidkey.ReasonOrigin {
		t.Errorf("lists without anything are read: %v", err)
	}
}

func sequence(parts ...[]byte) []byte {
	all := slices.Concat(parts...)
	if len(all) < 128 {
		return append([]byte{0x30, byte(len(all))}, all...)
	}
	return append([]byte{0x30, 0x82, byte(len(all) >> 8), byte(len(all))}, all...)
}

func many(n int) (all [][]byte) {
	for tag := range n {
		all = append(all, testauthority.Tagged(tag+1, []byte{5, 0}))
	}
	return all
}

// TestChain is about who vouches for whom.
func TestChain(t *testing.T) {
	t.Parallel()
	p, stranger := newPhone(t), newPhone(t)
	good := p.chain(t, nil)
	foreign := stranger.chain(t, nil)
	for _, tt := range []struct {
		name   string
		chain  [][]byte
		reason string
	}{
		{"as it is", good, ""},
		{"none", nil, androidkey.ReasonChain},
		{"two certificates", good[2:], androidkey.ReasonChain},
		{"nine certificates", slices.Repeat(good[:1], 9), androidkey.ReasonChain},
		{"without the root", good[:3], androidkey.ReasonRoot},
		{"in the other order", [][]byte{good[3], good[2], good[1], good[0]}, androidkey.ReasonRoot},
		{"of another root", foreign, androidkey.ReasonRoot},
		{"of another root, with ours at the end", append(slices.Clone(foreign[:3]), good[3]), androidkey.ReasonChain},
		{"without one in the middle", [][]byte{good[0], good[2], good[3]}, androidkey.ReasonChain},
		{"no certificate", [][]byte{good[0], {1, 2, 3}, good[2], good[3]}, androidkey.ReasonChain},
		{"a large one", [][]byte{good[0], make([]byte, androidkey.MaxCertificate+1), good[2], good[3]}, androidkey.ReasonChain},
		{"an altered one", [][]byte{altered(good[0]), good[1], good[2], good[3]}, androidkey.ReasonChain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := p.verify(t, tt.chain)
			expect(t, err, tt.reason)
		})
	}
}

// altered breaks the signature.
func altered(der []byte) []byte {
	der = slices.Clone(der)
	der[len(der)-1] ^= 1
	return der
}

// TestAnAttestedKeyVouchesForNothing: whoever has a key that was attested makes a certificate for another one below it.
func TestAnAttestedKeyVouchesForNothing(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	chain := p.chain(t, nil)
	attested, err := x509.ParseCertificate(chain[0])
	must(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	k := testauthority.Keystore(&other.PublicKey, challenge, packageName, digest)
	for name, described := range map[string]bool{"with a description": true, "without one": false} {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(2), Subject: attested.Subject, NotBefore: attested.NotBefore, NotAfter: attested.NotAfter,
		}
		if described {
			template.ExtraExtensions = attested.Extensions[len(attested.Extensions)-1:]
			template.ExtraExtensions[0].Value = k.Describe()
		}
		forged, err := x509.CreateCertificate(rand.Reader, template, attested, &other.PublicKey, p.key)
		must(t, err)
		v, err := androidkey.New(p.config)
		must(t, err)
		_, err = v.Verify(append([][]byte{forged}, chain...), challenge, &other.PublicKey)
		if !errors.Is(err, attestation.ErrRejected) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It is refused for the second description even where the attested key may sign certificates.
	if _, err := p.verify(t, append([][]byte{chain[0]}, chain...)); !errors.Is(err, attestation.ErrRejected) {
		t.Errorf("the same certificate twice: %v", err)
	}
}

// TestAnotherKey: evidence is about the key that is registered.
func TestAnotherKey(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	v, err := androidkey.New(p.config)
	must(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for _, key := range []*ecdsa.PublicKey{&other.PublicKey, nil} {
		_, err = v.Verify(p.chain(t, nil), challenge, key)
		expect(t, err, androidkey.ReasonKey)
	}
	_, err = v.Verify(p.chain(t, func(k *testauthority.Android) { k.Challenge = nil }), nil, &p.key.PublicKey)
	expect(t, err, androidkey.ReasonChallenge)
}

func TestPatchMonths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		level  int
		reason string
	}{
		{202611, ""}, {202512, ""}, {202511, ""}, {202510, androidkey.ReasonPatchLevel}, {201912, androidkey.ReasonPatchLevel},
		{202701, ""},
	} {
		p := newPhone(t)
		p.config.PatchMonths = 12
		_, err := p.verify(t, p.chain(t, func(k *testauthority.Android) { k.PatchLevel = tt.level }))
		expect(t, err, tt.reason)
	}
}

// TestPixel judges what a real phone has sent.
func TestPixel(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/pixel.pem")
	must(t, err)
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		chain = append(chain, block.Bytes)
	}
	signer, err := hex.DecodeString("68856d1d06f637d6255face5b224db43a9514ace538bb1548b844480fcd85c87")
	must(t, err)
	leaf, err := x509.ParseCertificate(chain[0])
	must(t, err)
	roots, err := androidkey.Google()
	must(t, err)
	for _, tt := range []struct {
		name   string
		now    time.Time
		months int
		reason string
	}{
		{"then", time.Date(2023, 3, 8, 0, 0, 0, 0, time.UTC), 1, ""},
		{"before", time.Date(2023, 2, 18, 0, 0, 0, 0, time.UTC), 0, androidkey.ReasonValidity},
		{"later", time.Date(2023, 4, 1, 0, 0, 0, 0, time.UTC), 0, androidkey.ReasonValidity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := androidkey.New(androidkey.Config{
				Roots: roots, Packages: []string{"com.google.attestationexample"}, Digests: [][]byte{signer}, PatchMonths: tt.months,
				Now: func() time.Time { return tt.now },
			})
			must(t, err)
			got, err := v.Verify(chain, []byte("challenge"), leaf.PublicKey.(*ecdsa.PublicKey))
			expect(t, err, tt.reason)
			if err == nil && (got.Grade != attestation.TEE || got.Version != 200 || got.PatchLevel != 202302) {
				t.Errorf("it is %+v", got)
			}
		})
	}
}

// TestGoogle: the roots are those that Google publishes, by their SHA-256.
func TestGoogle(t *testing.T) {
	t.Parallel()
	roots, err := androidkey.Google()
	must(t, err)
	want := []string{
		"cedb1cb6dc896ae5ec797348bce9286753c2b38ee71ce0fbe34a9a1248800dfc",
		"6d9db4ce6c5c0b293166d08986e05774a8776ceb525d9e4329520de12ba4bcc0",
	}
	var got []string
	for _, root := range roots {
		sum := sha256.Sum256(root.Raw)
		got = append(got, hex.EncodeToString(sum[:]))
	}
	if !slices.Equal(got, want) {
		t.Errorf("they are %v", got)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*androidkey.Config){
		"no roots": func(c *androidkey.Config) { c.Roots = nil }, "no package": func(c *androidkey.Config) { c.Packages = nil },
		"no digest": func(c *androidkey.Config) { c.Digests = nil }, "no clock": func(c *androidkey.Config) { c.Now = nil },
		"a digest that is none": func(c *androidkey.Config) { c.Digests = [][]byte{{1}} },
	} {
		config := newPhone(t).config
		change(&config)
		if _, err := androidkey.New(config); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// TestKeyOfTheEvidence: it is about the key that is meant, or about an app of which any key will do.
func TestKeyOfTheEvidence(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	chain := p.chain(t, nil)
	v, err := androidkey.New(p.config)
	must(t, err)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	var none *ecdsa.PublicKey
	var noRSA *rsa.PublicKey
	for name, key := range map[string]crypto.PublicKey{
		"no key": nil, "no key of a kind": none, "none of another kind": noRSA, "of another kind": &private.PublicKey, "no public key": "key",
	} {
		_, err := v.Verify(chain, challenge, key)
		if attestation.ReasonOf(err) != androidkey.ReasonKey {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := v.VerifyApp(chain, challenge); err != nil || got.Grade != attestation.TEE {
		t.Errorf("any key: %+v, %v", got, err)
	}
	if _, err := v.VerifyApp(chain, []byte("another")); attestation.ReasonOf(err) != androidkey.ReasonChallenge {
		t.Errorf("any key, of another occasion: %v", err)
	}
}

func TestStatusList(t *testing.T) {
	t.Parallel()
	p := newPhone(t)
	path := filepath.Join(t.TempDir(), "status.json")
	list := &androidkey.StatusList{Path: path}
	p.config.Revocations = list
	chain := p.chain(t, func(k *testauthority.Android) { k.Serials = map[int]*big.Int{0: big.NewInt(0xabcdef)} })
	if _, err := p.verify(t, chain); err == nil || errors.Is(err, attestation.ErrRejected) {
		t.Errorf("without the list: %v", err)
	}
	for i, tt := range []struct {
		name, content string
		broken        bool
		reason        string
	}{
		{"one of others", `{"entries":{"c35747a084470c3135aeefe2b8d40cd6":{"status":"REVOKED","reason":"KEY_COMPROMISE"}}}`, false, ""},
		{"revoked", `{"entries":{"abcdef":{"status":"REVOKED"}}}`, false, androidkey.ReasonRevoked},
		{"suspended", `{"entries":{"abcdef":{"status":"SUSPENDED","comment":"x"}}}`, false, androidkey.ReasonRevoked},
		{"empty", `{"entries":{}}`, false, ""},
		{"no list", `{}`, true, ""},
		{"garbage", `entries`, true, ""},
		{"cut off", `{"entries":{"abcdef":{"status":"REVO`, true, ""},
	} {
		must(t, os.WriteFile(path, []byte(tt.content), 0o600))
		must(t, os.Chtimes(path, now, now.Add(time.Duration(i)*time.Second)))
		_, err := p.verify(t, chain)
		if tt.broken {
			if err == nil || errors.Is(err, attestation.ErrRejected) || list.Check() == nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		expect(t, err, tt.reason)
	}
	list.MaxAge, list.Now = time.Hour, at
	must(t, os.WriteFile(path, []byte(`{"entries":{}}`), 0o600))
	for _, tt := range []struct {
		age  time.Duration
		good bool
	}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
		must(t, os.Chtimes(path, now, now.Add(-tt.age)))
		if _, err := list.Revoked("abcdef"); (err == nil) != tt.good {
			t.Errorf("after %v: %v", tt.age, err)
		}
		if err := list.Check(); err != nil {
			t.Errorf("at the start, after %v: %v", tt.age, err)
		}
	}
}
