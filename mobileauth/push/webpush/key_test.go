// SPDX-License-Identifier: Apache-2.0

package webpush_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
)

// The key of RFC 8291, appendix A, in every form.
const (
	rawPrivate = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	rawPublic  = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
	jwkX       = "_jP0qw3qcZFNtVgj9ztUlI9BMG2SBzLbuaWaUyhkgiA"
	jwkY       = "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
)

func forms(t testing.TB) map[string][]byte {
	t.Helper()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b64(t, rawPrivate))
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return map[string][]byte{
		"base64url":        []byte(" " + rawPrivate + "\n"),
		"padded base64url": []byte(rawPrivate + "="),
		"PKCS #8":          block("PRIVATE KEY", pkcs8),
		"SEC 1":            block("EC PRIVATE KEY", sec1),
		"openssl ecparam":  append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), block("EC PRIVATE KEY", sec1)...),
		"JWK":              []byte(`{"kty":"EC","crv":"P-256","d":"` + rawPrivate + `","x":"` + jwkX + `","y":"` + jwkY + `","use":"sig"}`),
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	var id string
	for name, text := range forms(t) {
		key, err := webpush.ParseKey(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if id == "" {
			id = key.ID()
		}
		if key.Public() != rawPublic || key.ID() != id || len(id) != 43 {
			t.Errorf("%s: %s, %s", name, key.Public(), key.ID())
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	good := forms(t)
	for name, text := range map[string]string{
		"nothing":              "",
		"blanks":               " \n",
		"too large":            strings.Repeat("A", 9<<10),
		"a public key":         rawPublic,
		"another size":         rawPrivate + "AAAA",
		"zero":                 strings.Repeat("A", 43),
		"more than the order":  "_____________________________________________",
		"another alphabet":     strings.ReplaceAll(rawPrivate, "-", "+"),
		"another curve":        string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"another curve, SEC 1": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})),
		"another PEM block":    "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"half a PEM block":     "-----BEGIN PRIVATE KEY-----\nAAAA",
		"two PEM blocks":       string(good["PKCS #8"]) + string(good["SEC 1"]),
		"a public JWK":         `{"kty":"EC","crv":"P-256","x":"` + jwkX + `","y":"` + jwkY + `"}`,
		"a JWK of two keys":    `{"kty":"EC","crv":"P-256","d":"` + rawPrivate + `","x":"` + jwkY + `","y":"` + jwkX + `"}`,
		"a JWK of a kind":      `{"kty":"oct","k":"` + rawPrivate + `"}`,
		"a JWK of a curve":     `{"kty":"EC","crv":"P-384","d":"` + rawPrivate + `","x":"` + jwkX + `","y":"` + jwkY + `"}`,
		"half a JWK":           `{"kty":"EC"`,
	} {
		key, err := webpush.ParseKey([]byte(text))
		if !errors.Is(err, webpush.ErrKey) || key != nil || strings.Contains(err.Error(), rawPrivate[:10]) {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
}

// What openssl draws is read.
func TestOpensslDrawsKeys(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	for _, arguments := range [][]string{
		{"ecparam", "-name", "prime256v1", "-genkey"}, {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		out, err := exec.CommandContext(t.Context(), program, arguments...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if key, err := webpush.ParseKey(out); err != nil || len(key.Public()) != 87 {
			t.Errorf("openssl %v: %v", arguments, err)
		}
	}
}

func TestGenerateKey(t *testing.T) {
	t.Parallel()
	key, file, err := webpush.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	again, err := webpush.ParseKey(file)
	if err != nil || again.ID() != key.ID() || again.Public() != key.Public() || generate(t).ID() == key.ID() {
		t.Errorf("read again: %v, %v", again, err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	key, err := webpush.ParseKey([]byte(rawPrivate))
	if err != nil {
		t.Fatal(err)
	}
	s, err := webpush.New(webpush.Config{Keys: []*webpush.Key{key}, Subject: "mailto:ops@example.com", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if data, err := json.Marshal(key); err == nil {
		t.Errorf("it is written as %s", data)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", key, "sender", s)
	d := fmt.Sprintf("%x", b64(t, rawPrivate)[:8])
	text := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", key, key, key, s, s, s, &log)
	if strings.Contains(text, rawPrivate) || strings.Contains(text, d) || !strings.Contains(text, key.ID()) {
		t.Errorf("it prints as %s", text)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, text := range forms(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		key, err := webpush.ParseKey(text)
		if (err == nil) == (key == nil) || err != nil && !errors.Is(err, webpush.ErrKey) {
			t.Errorf("ParseKey = %v, %v", key, err)
		}
		if err == nil && (len(key.Public()) != 87 || len(key.ID()) != 43) {
			t.Errorf("%s, %s", key.Public(), key.ID())
		}
	})
}
