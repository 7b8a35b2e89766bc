// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

// inheriting is an app that has something of another system.
func (s *server) inheriting(folder device.Folder, former func(context.Context) (device.Former, error)) *device.Handler {
	s.t.Helper()
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock, Former: former,
	})
	must(s.t, err)
	return h
}

// TestFormer: the key that another system knows signs the first request, for the key of ours; when the server does not want it, the app is
// a new device; and with a certificate of ours nobody asks for it any more.
func TestFormer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	block, _ := pem.Decode([]byte(s.issue(old.Public())))
	asked := 0
	folder := device.Folder(t.TempDir())
	h := s.inheriting(folder, func(context.Context) (device.Former, error) {
		asked++
		return device.Former{Key: old, Certificate: block.Bytes}, nil
	})
	answers, err := h.Answer(t.Context(), s.challenge("former", "accepted"))
	must(t, err)
	if answers["former"] != base64.RawURLEncoding.EncodeToString(block.Bytes) {
		t.Errorf("beside the answer is %q", answers["former"])
	}
	parts := strings.Split(answers["answer"], ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	must(t, err)
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	must(t, rsa.VerifyPKCS1v15(&old.PublicKey, crypto.SHA256, sum[:], signature))
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	must(t, err)
	if want := `{"alg":"RS256","kid":"` + digest(block.Bytes) + `","typ":"gatehouse-csr+jwt"}`; string(header) != want {
		t.Errorf("the header is %s, want %s", header, want)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(body, &claims))
	possession := s.read(map[string]string{"answer": claims["possession"].(string)}, s.kept(folder).Key.Public().(*ecdsa.PublicKey))
	want := map[string]any{"renews": digest(block.Bytes)}
	for _, name := range []string{"aud", "realm", "nonce", "csr"} {
		want[name] = claims[name]
	}
	if diff := cmp.Diff(want, possession.Claims); diff != "" || possession.Typ != "gatehouse-possession+jwt" || possession.KID != "" {
		t.Errorf("the new key says %+v\n%s", possession, diff)
	}
	refused := s.refusal(client.Refused)
	refused.Data["former"] = "accepted"
	answers, err = h.Answer(t.Context(), refused)
	must(t, err)
	if got := s.read(answers, nil); got.KID != "" || answers["former"] != "" {
		t.Errorf("refused, it answers %+v", got)
	}
	answers, err = h.Answer(t.Context(), s.challenge("former", "accepted", "certificate", s.issue(s.kept(folder).Key.Public())))
	must(t, err)
	if got := s.read(answers, s.kept(folder).Key.Public().(*ecdsa.PublicKey)); got.Typ != "gatehouse-device+jwt" {
		t.Errorf("with a certificate it answers %+v", got)
	}
	before := asked
	if _, err := h.Answer(t.Context(), s.challenge("former", "accepted")); err != nil || asked != before {
		t.Errorf("asked again for what it had before, %v", err)
	}
}

// TestNoFormer: nothing is asked of the app where the server does not take it, and what it has not is no fault.
func TestNoFormer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	none := func(context.Context) (device.Former, error) { return device.Former{}, nil }
	locked := func(context.Context) (device.Former, error) {
		return device.Former{}, errors.New("the key store is locked")
	}
	for name, answer := range map[string]func() (map[string]string, error){
		"nothing": func() (map[string]string, error) {
			return s.inheriting(device.Folder(t.TempDir()), none).Answer(t.Context(), s.challenge("former", "accepted"))
		},
		"not wanted": func() (map[string]string, error) {
			return s.inheriting(device.Folder(t.TempDir()), locked).Answer(t.Context(), s.challenge())
		},
	} {
		answers, err := answer()
		if err != nil || answers["former"] != "" || s.read(answers, nil).KID != "" {
			t.Errorf("%s: %v, %v", name, answers, err)
		}
	}
	if answers, err := s.inheriting(device.Folder(t.TempDir()), locked).Answer(t.Context(), s.challenge("former", "accepted")); err == nil {
		t.Errorf("with a key store that is locked it answers %v", answers)
	}
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	must(t, err)
	block, _ := pem.Decode([]byte(s.issue(p521.Public())))
	odd := func(context.Context) (device.Former, error) {
		return device.Former{Key: p521, Certificate: block.Bytes}, nil
	}
	if answers, err := s.inheriting(device.Folder(t.TempDir()), odd).Answer(t.Context(), s.challenge("former", "accepted")); err == nil {
		t.Errorf("with a key that signs nothing it answers %v", answers)
	}
}
