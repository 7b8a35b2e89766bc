// SPDX-License-Identifier: Apache-2.0

package playintegrity_test

import (
	"crypto/aes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/playintegrity"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
)

var (
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	nonce  = slices.Repeat([]byte{9}, 32)
	digest = slices.Repeat([]byte{7}, 32)
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is who makes tokens and who reads them.
type world struct {
	play   testauthority.Play
	config playintegrity.Config
}

func newWorld(t testing.TB) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	secret := make([]byte, 32)
	_, err = rand.Read(secret)
	must(t, err)
	return &world{testauthority.Play{EncryptionKey: secret, SigningKey: key}, playintegrity.Config{
		DecryptionKey: secret, VerificationKey: &key.PublicKey, Packages: []string{"com.example.bank"}, Digests: [][]byte{digest},
		Now: func() time.Time { return now },
	}}
}

type object = map[string]any

// verdict is a good one.
func verdict() object {
	return object{
		"requestDetails": object{
			"requestPackageName": "com.example.bank", "nonce": base64.RawURLEncoding.EncodeToString(nonce),
			"timestampMillis": strconv.FormatInt(now.UnixMilli(), 10),
		},
		"appIntegrity": object{
			"appRecognitionVerdict": "PLAY_RECOGNIZED", "packageName": "com.example.bank",
			"certificateSha256Digest": []string{base64.RawURLEncoding.EncodeToString(digest)}, "versionCode": "42",
		},
		"deviceIntegrity": object{"deviceRecognitionVerdict": []string{"MEETS_BASIC_INTEGRITY", "MEETS_DEVICE_INTEGRITY"}},
		"accountDetails":  object{"appLicensingVerdict": "LICENSED"},
	}
}

func of(part, member string, value any) func(object) {
	return func(v object) { v[part].(object)[member] = value }
}

// TestVerdict goes through https://developer.android.com/google/play/integrity/verdicts.
func TestVerdict(t *testing.T) {
	t.Parallel()
	millis := func(d time.Duration) int64 { return now.Add(d).UnixMilli() }
	for _, tt := range []struct {
		name   string
		change func(object)
		want   attestation.Grade
		reason string
	}{
		{"device integrity", func(object) {}, attestation.Software, ""},
		{"strong integrity", of("deviceIntegrity", "deviceRecognitionVerdict", []string{"MEETS_STRONG_INTEGRITY"}), attestation.TEE, ""},
		{"basic integrity", of("deviceIntegrity", "deviceRecognitionVerdict", []string{"MEETS_BASIC_INTEGRITY"}), "", playintegrity.ReasonDevice},
		{"a virtual device", of("deviceIntegrity", "deviceRecognitionVerdict", []string{"MEETS_VIRTUAL_INTEGRITY"}), "", playintegrity.ReasonDevice},
		{"no integrity", of("deviceIntegrity", "deviceRecognitionVerdict", []string{}), "", playintegrity.ReasonDevice},
		{"no device", func(v object) { delete(v, "deviceIntegrity") }, "", playintegrity.ReasonDevice},
		{"nonce: another", of("requestDetails", "nonce", base64.RawURLEncoding.EncodeToString(digest)), "", playintegrity.ReasonNonce},
		{"nonce: none", of("requestDetails", "nonce", ""), "", playintegrity.ReasonNonce},
		{"nonce: padded", of("requestDetails", "nonce", base64.URLEncoding.EncodeToString(nonce)), attestation.Software, ""},
		{"time: a number", of("requestDetails", "timestampMillis", now.UnixMilli()), attestation.Software, ""},
		{"time: ten minutes ago", of("requestDetails", "timestampMillis", millis(-10*time.Minute)), attestation.Software, ""},
		{"time: longer ago", of("requestDetails", "timestampMillis", millis(-10*time.Minute-time.Millisecond)), "", playintegrity.ReasonTime},
		{"time: soon", of("requestDetails", "timestampMillis", millis(time.Minute)), attestation.Software, ""},
		{"time: later", of("requestDetails", "timestampMillis", millis(time.Minute+time.Millisecond)), "", playintegrity.ReasonTime},
		{"time: none", of("requestDetails", "timestampMillis", 0), "", playintegrity.ReasonTime},
		{"time: words", of("requestDetails", "timestampMillis", "now"), "", playintegrity.ReasonVerdict},
		{"package: another asked", of("requestDetails", "requestPackageName", "com.example.other"), "", playintegrity.ReasonApplication},
		{"package: another app", of("appIntegrity", "packageName", "com.example.other"), "", playintegrity.ReasonApplication},
		{"app: not recognised", of("appIntegrity", "appRecognitionVerdict", "UNRECOGNIZED_VERSION"), "", playintegrity.ReasonApplication},
		{"app: not evaluated", of("appIntegrity", "appRecognitionVerdict", "UNEVALUATED"), "", playintegrity.ReasonApplication},
		{"digest: another", of("appIntegrity", "certificateSha256Digest", []string{base64.RawURLEncoding.EncodeToString(nonce)}), "", playintegrity.ReasonApplication},
		{"digest: ours and another", func(v object) {
			app := v["appIntegrity"].(object)
			app["certificateSha256Digest"] = append(app["certificateSha256Digest"].([]string), base64.RawURLEncoding.EncodeToString(nonce))
		}, "", playintegrity.ReasonApplication},
		{"digest: none", of("appIntegrity", "certificateSha256Digest", []string{}), "", playintegrity.ReasonApplication},
		{"another type", of("appIntegrity", "packageName", 1), "", playintegrity.ReasonVerdict},
		{"nothing", func(v object) { clear(v) }, "", playintegrity.ReasonNonce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, said := newWorld(t), verdict()
			tt.change(said)
			token, err := w.play.Token(said)
			must(t, err)
			w.expect(t, token, tt.want, tt.reason)
		})
	}
}

func (w *world) expect(t testing.TB, token string, want attestation.Grade, reason string) {
	t.Helper()
	v, err := playintegrity.New(w.config)
	must(t, err)
	got, err := v.Verify(token, nonce)
	if want == "" {
		want = attestation.Unknown
	}
	if got != want || attestation.ReasonOf(err) != reason || (err != nil) != (reason != "") || err != nil && !errors.Is(err, attestation.ErrRejected) {
		t.Errorf("it is %q, %v, want %q for %q", got, err, want, reason)
	}
}

// TestToken: what was not made under both keys, in the one form, is not read.
func TestToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w *world)
	}{
		{"encrypted under another key", func(w *world) { w.play.EncryptionKey = make([]byte, 32) }},
		{"signed by another key", func(w *world) { w.play.SigningKey = newWorld(t).play.SigningKey }},
		{"alg: dir", func(w *world) { w.play.EncryptedHeader = `{"alg":"dir","enc":"A256GCM"}` }},
		{"alg: twice", func(w *world) { w.play.EncryptedHeader = `{"alg":"A256KW","alg":"A256KW","enc":"A256GCM"}` }},
		{"enc: A128GCM", func(w *world) { w.play.EncryptedHeader = `{"alg":"A256KW","enc":"A128GCM"}` }},
		{"enc: none", func(w *world) { w.play.EncryptedHeader = `{"alg":"A256KW"}` }},
		{"zip", func(w *world) { w.play.EncryptedHeader = `{"alg":"A256KW","enc":"A256GCM","zip":"DEF"}` }},
		{"alg: none", func(w *world) { w.play.SignedHeader = `{"alg":"none"}` }},
		{"alg: HS256", func(w *world) { w.play.SignedHeader = `{"alg":"HS256"}` }},
		{"crit", func(w *world) { w.play.SignedHeader = `{"alg":"ES256","crit":["x"],"x":1}` }},
		{"its own key", func(w *world) { w.play.SignedHeader = `{"alg":"ES256","jwk":{"kty":"EC"}}` }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.change(w)
			token, err := w.play.Token(verdict())
			must(t, err)
			w.expect(t, token, "", playintegrity.ReasonToken)
		})
	}
	w := newWorld(t)
	good, err := w.play.Token(verdict())
	must(t, err)
	parts := strings.Split(good, ".")
	altered := slices.Clone(parts)
	altered[3] = "AAAA" + altered[3][4:]
	for name, token := range map[string]string{
		"nothing": "", "four parts": strings.Join(parts[:4], "."), "six parts": good + ".", "altered": strings.Join(altered, "."),
		"too large": good + strings.Repeat("A", playintegrity.MaxToken), "a line break": good + "\n", "padding": good + "==",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w.expect(t, token, "", playintegrity.ReasonToken)
		})
	}
	w.expect(t, good, attestation.Software, "")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for name, change := range map[string]func(*playintegrity.Config){
		"no package": func(c *playintegrity.Config) { c.Packages = nil }, "no digest": func(c *playintegrity.Config) { c.Digests = nil },
		"a short digest": func(c *playintegrity.Config) { c.Digests = [][]byte{{1}} }, "no clock": func(c *playintegrity.Config) { c.Now = nil },
		"a short key": func(c *playintegrity.Config) { c.DecryptionKey = c.DecryptionKey[:16] }, "no key": func(c *playintegrity.Config) { c.VerificationKey = nil },
		"a key on P-384": func(c *playintegrity.Config) { c.VerificationKey = &other.PublicKey },
		"an age":         func(c *playintegrity.Config) { c.MaxAge = -1 },
	} {
		config := newWorld(t).config
		change(&config)
		if _, err := playintegrity.New(config); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}

// TestWrap is RFC 3394, 4.6: the maker of the tokens wraps keys as everybody does.
func TestWrap(t *testing.T) {
	t.Parallel()
	unhex := func(text string) []byte {
		raw, err := hex.DecodeString(text)
		must(t, err)
		return raw
	}
	block, err := aes.NewCipher(unhex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"))
	must(t, err)
	got := testauthority.Wrap(block, unhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"))
	want := "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
	if hex.EncodeToString(got) != want {
		t.Errorf("it is %x", got)
	}
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	good, err := w.play.Token(verdict())
	must(f, err)
	f.Add(good)
	f.Add("a.b.c.d.e")
	v, err := playintegrity.New(w.config)
	must(f, err)
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(token, nonce); err == nil && token != good {
			t.Errorf("another token is taken: %q", token)
		} else if err != nil && !errors.Is(err, attestation.ErrRejected) {
			t.Errorf("it is no rejection: %v", err)
		}
	})
}

// TestTestAuthority: what it says is believed by its own keys, which are the same whenever its file is read, and by no others.
func TestTestAuthority(t *testing.T) {
	t.Parallel()
	clock := func() time.Time { return now }
	a, err := testauthority.New(clock)
	must(t, err)
	text, err := a.Marshal()
	must(t, err)
	again, err := testauthority.Parse(text, clock)
	must(t, err)
	other, err := testauthority.New(clock)
	must(t, err)
	w := newWorld(t)
	keys, err := a.Play()
	must(t, err)
	w.config.DecryptionKey, w.config.VerificationKey = keys.EncryptionKey, &keys.SigningKey.PublicKey
	w.config.Digests = [][]byte{a.AppDigest()}
	v, err := playintegrity.New(w.config)
	must(t, err)
	for _, tt := range []struct {
		name   string
		by     *testauthority.Authority
		app    string
		nonce  []byte
		strong bool
		grade  attestation.Grade
		reason string
	}{
		{"strong integrity", a, "com.example.bank", nonce, true, attestation.TEE, ""},
		{"device integrity", a, "com.example.bank", nonce, false, attestation.Software, ""},
		{"read from its file", again, "com.example.bank", nonce, true, attestation.TEE, ""},
		{"another authority", other, "com.example.bank", nonce, true, attestation.Unknown, playintegrity.ReasonToken},
		{"another app", a, "com.example.other", nonce, true, attestation.Unknown, playintegrity.ReasonApplication},
		{"another nonce", a, "com.example.bank", []byte("another"), true, attestation.Unknown, playintegrity.ReasonNonce},
	} {
		token, err := tt.by.Verdict(tt.app, tt.nonce, tt.strong)
		must(t, err)
		if grade, err := v.Verify(token, nonce); grade != tt.grade || attestation.ReasonOf(err) != tt.reason {
			t.Errorf("%s: %s, %v", tt.name, grade, err)
		}
	}
}
