// SPDX-License-Identifier: Apache-2.0

package appattest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
)

const app = "ABCDE12345.com.example.bank"

var (
	now        = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	clientData = sha256.Sum256([]byte("client data"))
)

func at() time.Time { return now }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a test authority and who believes it.
type world struct {
	authority *testauthority.Authority
	config    appattest.Config
}

func newWorld(t testing.TB) *world {
	t.Helper()
	authority, err := testauthority.New(at)
	must(t, err)
	return &world{authority, appattest.Config{
		Roots: appattest.Pool([]*x509.Certificate{authority.Root}), App: app, Environment: appattest.Production, Now: at,
	}}
}

func (w *world) verifier(t testing.TB) *appattest.Verifier {
	t.Helper()
	v, err := appattest.New(w.config)
	must(t, err)
	return v
}

func phone(t testing.TB) testauthority.Apple {
	t.Helper()
	p, err := testauthority.AppAttest(app, clientData[:])
	must(t, err)
	return p
}

func expect(t testing.TB, err error, reason string) {
	t.Helper()
	if (err == nil) != (reason == "") || attestation.ReasonOf(err) != reason || err != nil && !errors.Is(err, attestation.ErrRejected) {
		t.Errorf("it is refused for %q, want %q: %v", attestation.ReasonOf(err), reason, err)
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := cbor.Marshal(v)
	must(t, err)
	return raw
}

// said are the extensions of iOS 27.
func said(t testing.TB, category any) []byte {
	t.Helper()
	return encoded(t, map[string]any{"apple_bundle_version_01": "7", "apple_validation_category_01": category})
}

// TestAttestation goes through the steps of "Verify the attestation" in Apple's "Validating apps that connect to your server".
func TestAttestation(t *testing.T) {
	t.Parallel()
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	for _, tt := range []struct {
		name   string
		change func(p *testauthority.Apple)
		reason string
	}{
		{"as it is", func(*testauthority.Apple) {}, ""},
		{"format: another", func(p *testauthority.Apple) { p.Format = "packed" }, appattest.ReasonObject},
		{"1 a certificate that ran out", func(p *testauthority.Apple) { p.NotAfter = now.Add(-time.Minute) }, appattest.ReasonChain},
		{"2 other client data", func(p *testauthority.Apple) { p.ClientDataHash = make([]byte, 32) }, appattest.ReasonNonce},
		{"4 another nonce", func(p *testauthority.Apple) { p.Nonce = make([]byte, 32) }, appattest.ReasonNonce},
		{"4 a nonce that is cut off", func(p *testauthority.Apple) { p.Nonce = clientData[:31] }, appattest.ReasonNonce},
		{"6 another app", func(p *testauthority.Apple) { p.App = "ABCDE12345.com.example.other" }, appattest.ReasonApplication},
		{"6 another team", func(p *testauthority.Apple) { p.App = "ZZZZZ12345.com.example.bank" }, appattest.ReasonApplication},
		{"7 a counter", func(p *testauthority.Apple) { p.Counter = 1 }, appattest.ReasonCounter},
		{"8 development", func(p *testauthority.Apple) { p.AAGUID = []byte("appattestdevelop") }, appattest.ReasonEnvironment},
		{"8 nothing", func(p *testauthority.Apple) { p.AAGUID = make([]byte, 16) }, appattest.ReasonEnvironment},
		{"9 another credential", func(p *testauthority.Apple) { p.Credential = make([]byte, 32) }, appattest.ReasonKey},
		{"9 a short credential", func(p *testauthority.Apple) { p.Credential = make([]byte, 31) }, appattest.ReasonObject},
		{"9 another key", func(p *testauthority.Apple) { p.Other = &stranger.PublicKey }, appattest.ReasonKey},
		{"flags: with extensions", func(p *testauthority.Apple) { p.Flags = 0xc0 }, ""},
		{"flags: none", func(p *testauthority.Apple) { p.Flags = 0 }, ""},
		{"extensions", func(p *testauthority.Apple) { p.Extensions = said(t, []byte{4, 0, 0, 0}) }, ""},
		{"extensions that are not known", func(p *testauthority.Apple) { p.Extensions = encoded(t, map[string]int{"x": 1}) }, ""},
		{"extensions: no map", func(p *testauthority.Apple) { p.Extensions = encoded(t, []int{1}) }, appattest.ReasonObject},
		{"extensions: nil", func(p *testauthority.Apple) { p.Extensions = encoded(t, nil) }, appattest.ReasonObject},
		{"extensions: two maps", func(p *testauthority.Apple) { p.Extensions = slices.Repeat(said(t, []byte{4, 0, 0, 0}), 2) }, appattest.ReasonObject},
		{"extensions: a key twice", func(p *testauthority.Apple) { p.Extensions = []byte{0xa2, 0x61, 'x', 1, 0x61, 'x', 1} }, appattest.ReasonObject},
		{"extensions: not definite", func(p *testauthority.Apple) { p.Extensions = []byte{0xbf, 0xff} }, appattest.ReasonObject},
		{"extensions: garbage", func(p *testauthority.Apple) { p.Extensions = []byte{0xff} }, appattest.ReasonObject},
		{"category: a number", func(p *testauthority.Apple) { p.Extensions = said(t, 4) }, appattest.ReasonObject},
		{"category: three bytes", func(p *testauthority.Apple) { p.Extensions = said(t, []byte{4, 0, 0}) }, appattest.ReasonObject},
		{"category: TestFlight", func(p *testauthority.Apple) { p.Extensions = said(t, []byte{2, 0, 0, 0}) }, appattest.ReasonCategory},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.config.Categories = []appattest.Category{appattest.AppStore}
			p := phone(t)
			tt.change(&p)
			object, err := w.authority.Attest(p)
			must(t, err)
			got, err := w.verifier(t).Attest(object, p.KeyID(), clientData[:])
			expect(t, err, tt.reason)
			if err == nil && (!got.Key.Equal(&p.Key.PublicKey) || !bytes.Equal(got.KeyID, p.KeyID())) {
				t.Errorf("it is %+v", got)
			}
		})
	}
}

func TestAttestationOfAnotherKey(t *testing.T) {
	t.Parallel()
	w, p, other := newWorld(t), phone(t), phone(t)
	object, err := w.authority.Attest(p)
	must(t, err)
	for _, id := range [][]byte{other.KeyID(), nil, p.KeyID()[:31]} {
		_, err = w.verifier(t).Attest(object, id, clientData[:])
		expect(t, err, appattest.ReasonKey)
	}
	stranger := newWorld(t)
	_, err = stranger.verifier(t).Attest(object, p.KeyID(), clientData[:])
	expect(t, err, appattest.ReasonChain)
	w.config.Environment = appattest.Development
	_, err = w.verifier(t).Attest(object, p.KeyID(), clientData[:])
	expect(t, err, appattest.ReasonEnvironment)
}

// TestObject: what is not in its one form is refused.
func TestObject(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), phone(t)
	good, err := w.authority.Attest(p)
	must(t, err)
	var parts map[string]any
	must(t, cbor.Unmarshal(good, &parts))
	with := func(change func(map[string]any)) []byte {
		again := map[string]any{}
		must(t, cbor.Unmarshal(good, &again))
		change(again)
		return encoded(t, again)
	}
	chain := func(change func([]any) []any) []byte {
		return with(func(m map[string]any) {
			s := m["attStmt"].(map[any]any)
			s["x5c"] = change(s["x5c"].([]any))
		})
	}
	for _, tt := range []struct {
		name, reason string
		raw          []byte
	}{
		{"nothing", appattest.ReasonObject, nil},
		{"something behind it", appattest.ReasonObject, append(slices.Clone(good), 0)},
		{"cut off", appattest.ReasonObject, good[:len(good)-1]},
		{"too large", appattest.ReasonObject, append(slices.Clone(good), make([]byte, appattest.MaxObject)...)},
		{"a member more", appattest.ReasonObject, with(func(m map[string]any) { m["more"] = 1 })},
		{"without data", appattest.ReasonNonce, with(func(m map[string]any) { delete(m, "authData") })},
		{"data that is text", appattest.ReasonObject, with(func(m map[string]any) { m["authData"] = "x" })},
		{"a tag", appattest.ReasonObject, append([]byte{0xd9, 0xd9, 0xf7}, good...)},
		{"one certificate", appattest.ReasonObject, chain(func(c []any) []any { return c[:1] })},
		{"three certificates", appattest.ReasonObject, chain(func(c []any) []any { return append(c, w.authority.Root.Raw) })},
		{"no certificate", appattest.ReasonChain, chain(func(c []any) []any { return []any{c[0], []byte{1, 2}} })},
		{"a large certificate", appattest.ReasonChain, chain(func(c []any) []any { return []any{c[0], make([]byte, 5<<10)} })},
		{"the root in between", appattest.ReasonChain, chain(func(c []any) []any { return []any{c[0], w.authority.Root.Raw} })},
		{"in the other order", appattest.ReasonNonce, chain(func(c []any) []any { return []any{c[1], c[0]} })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := w.verifier(t).Attest(tt.raw, p.KeyID(), clientData[:])
			expect(t, err, tt.reason)
		})
	}
}

// TestAssertion goes through the steps of "Verify the assertion".
func TestAssertion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		had    uint32
		change func(p *testauthority.Apple)
		reason string
	}{
		{"the first", 0, func(*testauthority.Apple) {}, ""},
		{"a later one", 6, func(*testauthority.Apple) {}, ""},
		{"with extensions", 0, func(p *testauthority.Apple) { p.Extensions = said(t, []byte{4, 0, 0, 0}) }, ""},
		{"2 other client data", 0, func(p *testauthority.Apple) { p.ClientDataHash = make([]byte, 32) }, appattest.ReasonSignature},
		{"3 another key", 0, func(p *testauthority.Apple) { p.Key = phone(t).Key }, appattest.ReasonSignature},
		{"4 another app", 0, func(p *testauthority.Apple) { p.App = "ABCDE12345.com.example.other" }, appattest.ReasonApplication},
		{"5 the counter that was", 7, func(*testauthority.Apple) {}, appattest.ReasonCounter},
		{"5 an older counter", 8, func(*testauthority.Apple) {}, appattest.ReasonCounter},
		{"5 no counter", 0, func(p *testauthority.Apple) { p.Counter = 0 }, appattest.ReasonCounter},
		{"5 the last counter", 0, func(p *testauthority.Apple) { p.Counter = 1<<32 - 1 }, ""},
		{"category", 0, func(p *testauthority.Apple) { p.Extensions = said(t, []byte{3, 0, 0, 0}) }, appattest.ReasonCategory},
		{"something behind the data", 0, func(p *testauthority.Apple) { p.Extensions = []byte{0} }, appattest.ReasonObject},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, p := newWorld(t), phone(t)
			w.config.Categories = []appattest.Category{appattest.AppStore}
			key := &p.Key.PublicKey
			p.Counter = 7
			tt.change(&p)
			raw, err := p.Assert()
			must(t, err)
			counter, err := w.verifier(t).Assert(raw, key, clientData[:], tt.had)
			expect(t, err, tt.reason)
			if err == nil && counter != p.Counter {
				t.Errorf("the counter is %d", counter)
			}
		})
	}
	w, p := newWorld(t), phone(t)
	p.Counter = 1
	good, err := p.Assert()
	must(t, err)
	for name, raw := range map[string][]byte{
		"nothing": nil, "cut off": good[:len(good)-1], "something behind it": append(slices.Clone(good), 0),
		"too large": make([]byte, appattest.MaxAssertion+1), "an object": encoded(t, map[string]any{"fmt": "x"}),
		"short data": encoded(t, map[string]any{"signature": []byte{1}, "authenticatorData": make([]byte, 36)}),
	} {
		if _, err := w.verifier(t).Assert(raw, &p.Key.PublicKey, clientData[:], 0); attestation.ReasonOf(err) != appattest.ReasonObject {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.verifier(t).Assert(good, nil, clientData[:], 0)
	expect(t, err, appattest.ReasonSignature)
}

// TestRecorded judges what phones and Apple have made.
func TestRecorded(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/recorded.json")
	must(t, err)
	var recorded map[string]struct {
		App         string                `json:"app"`
		Environment appattest.Environment `json:"environment"`
		Time        time.Time             `json:"time"`
		KeyID       []byte                `json:"key_id"`
		Hash        []byte                `json:"client_data_hash"`
		Object      []byte                `json:"object"`
		Assertion   []byte                `json:"assertion"`
	}
	must(t, json.Unmarshal(text, &recorded))
	roots, err := appattest.Apple()
	must(t, err)
	sum := sha256.Sum256(roots[0].Raw)
	if got := hex.EncodeToString(sum[:]); len(roots) != 1 || got != "1cb9823ba28ba6ad2d33a006941de2ae4f513ef1d4e831b9f7e0fa7b6242c932" {
		t.Errorf("the root is %s", got)
	}
	want := map[string]appattest.Attested{"ios_14_4": {}, "guide_2026": {BundleVersion: "1", Category: appattest.OS}}
	if len(recorded) != len(want) {
		t.Fatalf("there are %d", len(recorded))
	}
	for name, r := range recorded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := appattest.Config{Roots: appattest.Pool(roots), App: r.App, Environment: r.Environment, Now: func() time.Time { return r.Time }}
			v, err := appattest.New(config)
			must(t, err)
			got, err := v.Attest(r.Object, r.KeyID, r.Hash)
			must(t, err)
			if got.BundleVersion != want[name].BundleVersion || got.Category != want[name].Category {
				t.Errorf("it is %+v", got)
			}
			config.Now = func() time.Time { return r.Time.Add(96 * time.Hour) }
			late, err := appattest.New(config)
			must(t, err)
			_, err = late.Attest(r.Object, r.KeyID, r.Hash)
			expect(t, err, appattest.ReasonChain)
			if r.Assertion == nil {
				return
			}
			kept, err := appattest.MarshalKey(got.Key)
			must(t, err)
			key, err := appattest.ParseKey(kept)
			must(t, err)
			if counter, err := v.Assert(r.Assertion, key, r.Hash, 0); err != nil || counter != 1 {
				t.Errorf("the assertion: %d, %v", counter, err)
			}
			_, err = v.Assert(r.Assertion, key, r.Hash, 1)
			expect(t, err, appattest.ReasonCounter)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*appattest.Config){
		"no roots": func(c *appattest.Config) { c.Roots = nil }, "no app": func(c *appattest.Config) { c.App = "" },
		"no environment": func(c *appattest.Config) { c.Environment = "" }, "no clock": func(c *appattest.Config) { c.Now = nil },
		"an environment that is none": func(c *appattest.Config) { c.Environment = "sandbox" },
	} {
		config := newWorld(t).config
		change(&config)
		if _, err := appattest.New(config); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if _, err := appattest.ParseKey([]byte{4, 1}); err == nil {
		t.Error("a point that is none is taken")
	}
}

// FuzzAttest: what is taken is in the one form, and is about the key that is named.
func FuzzAttest(f *testing.F) {
	w := newWorld(f)
	p := phone(f)
	good, err := w.authority.Attest(p)
	must(f, err)
	f.Add(good)
	raw, err := base64.StdEncoding.DecodeString("o2NmbXRvYXBwbGUtYXBwYXR0ZXN0Z2F0dFN0bXSi")
	must(f, err)
	f.Add(raw)
	v := w.verifier(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := v.Attest(raw, p.KeyID(), clientData[:])
		if err == nil && !got.Key.Equal(&p.Key.PublicKey) {
			t.Errorf("another key is taken: %x", raw)
		}
		if err != nil && !errors.Is(err, attestation.ErrRejected) {
			t.Errorf("it is no rejection: %v", err)
		}
		if _, err := v.Assert(raw, &p.Key.PublicKey, clientData[:], 0); err == nil {
			t.Errorf("an assertion of nobody is taken: %x", raw)
		}
	})
}
