// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server asks a device who it is, and issues certificates.
type server struct {
	t     *testing.T
	now   time.Time
	key   *ecdsa.PrivateKey
	until time.Duration // how long a certificate is valid
}

func newServer(t *testing.T) *server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return &server{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), key: key, until: 90 * 24 * time.Hour}
}

func (s *server) clock() time.Time { return s.now }

// challenge asks, with more that is said.
func (s *server) challenge(more ...string) client.Challenge {
	c := client.Challenge{Realm: "device", Issuer: "https://auth.example.com", Data: map[string]string{
		"nonce": rand.Text(), "audience": "https://auth.example.com", "realm": "device", "mode": "auto", "entity": "application",
	}}
	for i := 0; i < len(more); i += 2 {
		c.Data[more[i]] = more[i+1]
	}
	return c
}

// refusal asks again after an answer that led nowhere.
func (s *server) refusal(code string) client.Challenge {
	c := s.challenge()
	c.Failure = &client.Failure{Code: code, Seconds: 7}
	return c
}

// issue signs a certificate for a key.
func (s *server) issue(key crypto.PublicKey) string {
	s.t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: s.now, NotAfter: s.now.Add(s.until)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key, s.key)
	must(s.t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// said is an answer as it was read.
type said struct {
	Typ, KID string
	Claims   map[string]any
	csr      *x509.CertificateRequest
}

// read checks an answer with a key, which is the request's where there is none.
func (s *server) read(answers map[string]string, key *ecdsa.PublicKey) said {
	s.t.Helper()
	var out said
	if answers["csr"] != "" {
		der, err := base64.RawURLEncoding.DecodeString(answers["csr"])
		must(s.t, err)
		out.csr, err = x509.ParseCertificateRequest(der)
		must(s.t, err)
		must(s.t, out.csr.CheckSignature())
		if key == nil {
			key, _ = out.csr.PublicKey.(*ecdsa.PublicKey)
		}
	}
	parts := strings.Split(answers["answer"], ".")
	if len(parts) != 3 {
		s.t.Fatalf("the answer is %q", answers["answer"])
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		decoded[i], err = base64.RawURLEncoding.DecodeString(part)
		must(s.t, err)
	}
	must(s.t, json.Unmarshal(decoded[0], &out))
	must(s.t, json.Unmarshal(decoded[1], &out.Claims))
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if len(decoded[2]) != 64 || !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(decoded[2][:32]), new(big.Int).SetBytes(decoded[2][32:])) {
		s.t.Error("the answer is not signed by the key")
	}
	if answers["csr"] != "" && out.Claims["csr"] != digest(out.csr.Raw) {
		s.t.Errorf("the answer is to another request: %v", out.Claims)
	}
	return out
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (s *server) device(folder device.Folder) *device.Handler {
	s.t.Helper()
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Device: device.Properties{Model: "iPhone18,1"}, Storage: folder, Now: s.clock,
		Custom: func(context.Context) (map[string]string, error) { return map[string]string{"code": "1234"}, nil },
	})
	must(s.t, err)
	return h
}

func (s *server) answer(h *device.Handler, c client.Challenge) map[string]string {
	s.t.Helper()
	answers, err := h.Answer(s.t.Context(), c)
	must(s.t, err)
	return answers
}

func (s *server) kept(folder device.Folder) device.Identity {
	s.t.Helper()
	identity, err := folder.Load(s.t.Context(), "application at https://auth.example.com")
	must(s.t, err)
	return identity
}

func public(i device.Identity) *ecdsa.PublicKey { return i.Key.Public().(*ecdsa.PublicKey) }

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	good := device.Config{App: device.App{ID: "a", Platform: "b", Version: "c"}, Storage: device.Folder(t.TempDir()), Now: time.Now}
	for name, change := range map[string]func(*device.Config){
		"id": func(c *device.Config) { c.App.ID = "" }, "platform": func(c *device.Config) { c.App.Platform = "" },
		"version": func(c *device.Config) { c.App.Version = "" }, "storage": func(c *device.Config) { c.Storage = nil },
		"clock": func(c *device.Config) { c.Now = nil },
	} {
		c := good
		change(&c)
		if _, err := device.New(c); err == nil {
			t.Errorf("without %s it was built", name)
		}
	}
}

// TestFirstContact: a request by a new key, then the answer by its certificate; and from then on the answer at once, also by another
// process.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	h := s.device(folder)
	c := s.challenge()
	got := s.read(s.answer(h, c), nil)
	want := map[string]any{
		"aud": "https://auth.example.com", "realm": "device", "nonce": c.Data["nonce"], "csr": got.Claims["csr"],
		"installation": got.Claims["installation"], "app": map[string]any{"id": "bank", "platform": "ios", "version": "2.1"},
		"device": map[string]any{"model": "iPhone18,1"}, "custom": map[string]any{"code": "1234"},
	}
	if diff := cmp.Diff(want, got.Claims); diff != "" || got.Typ != "gatehouse-csr+jwt" || got.KID != "" {
		t.Errorf("the request is %+v\n%s", got, diff)
	}
	for i, h := range []*device.Handler{h, h, s.device(folder)} {
		c := s.challenge()
		if i == 0 {
			c = s.challenge("certificate", s.issue(got.csr.PublicKey))
		}
		identity := s.kept(folder)
		answer := s.read(s.answer(h, c), public(identity))
		leaf := s.kept(folder).Chain[0]
		if answer.Typ != "gatehouse-device+jwt" || answer.KID != digest(leaf) || answer.csr != nil || answer.Claims["nonce"] != c.Data["nonce"] ||
			answer.Claims["installation"] != got.Claims["installation"] {
			t.Errorf("answer %d is %+v", i, answer)
		}
	}
}

// TestRenewal: in the last third, signed by the old certificate's key; if that is refused the certificate is used to its end, and then
// another one is asked for.
func TestRenewal(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	h := s.device(folder)
	first := s.read(s.answer(h, s.challenge()), nil)
	s.answer(h, s.challenge("certificate", s.issue(first.csr.PublicKey)))
	key, kid := public(s.kept(folder)), digest(s.kept(folder).Chain[0])

	s.now = s.now.Add(60 * 24 * time.Hour)
	got := s.read(s.answer(h, s.challenge()), key)
	if got.Typ != "gatehouse-csr+jwt" || got.KID != kid || !key.Equal(got.csr.PublicKey) {
		t.Errorf("the renewal is %+v", got)
	}
	if got = s.read(s.answer(h, s.refusal(client.Refused)), key); got.csr != nil || got.KID != kid {
		t.Errorf("after it was refused %+v is sent", got)
	}
	s.now = s.now.Add(60 * 24 * time.Hour)
	if got = s.read(s.answer(h, s.challenge()), key); got.KID != kid {
		t.Errorf("when it is over, by this clock, %+v is sent", got)
	}
	if got = s.read(s.answer(h, s.refusal(client.Refused)), key); got.csr == nil || got.KID != "" {
		t.Errorf("when it is over %+v is sent", got)
	}
}

// TestRefused: who is refused with a certificate asks for one, once; then it is over until the app begins anew.
func TestRefused(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	h := s.device(folder)
	first := s.read(s.answer(h, s.challenge()), nil)
	s.answer(h, s.challenge("certificate", s.issue(first.csr.PublicKey)))
	if _, err := h.Answer(t.Context(), s.refusal(client.Refused)); !errors.Is(err, device.ErrRefused) {
		t.Errorf("a fresh certificate is refused: %v", err)
	}
	key := public(s.kept(folder))
	s.answer(h, s.challenge())
	if got := s.read(s.answer(h, s.refusal(client.Refused)), key); got.csr == nil || got.KID != "" {
		t.Errorf("an old certificate is refused: %+v", got)
	}
	if _, err := h.Answer(t.Context(), s.refusal(client.Refused)); !errors.Is(err, device.ErrRefused) {
		t.Errorf("the request is refused: %v", err)
	}
	must(t, h.Forget(t.Context(), "https://auth.example.com", "application"))
	if again := s.read(s.answer(h, s.challenge()), nil); key.Equal(again.csr.PublicKey) || again.Claims["installation"] == first.Claims["installation"] {
		t.Error("the key is not forgotten")
	}
}

// TestNothingCounts: where neither a renewal nor the certificate is taken, because whoever has issued it was revoked, the key asks by itself,
// once.
func TestNothingCounts(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	h := s.device(folder)
	first := s.read(s.answer(h, s.challenge()), nil)
	s.answer(h, s.challenge("certificate", s.issue(first.csr.PublicKey)))
	key := public(s.kept(folder))
	s.now = s.now.Add(70 * 24 * time.Hour)
	for _, want := range []string{"a renewal", "the certificate", "a request"} {
		c := s.refusal(client.Refused)
		if want == "a renewal" {
			c = s.challenge()
		}
		got := s.read(s.answer(h, c), key)
		if is := map[string]bool{"a renewal": got.csr != nil && got.KID != "", "the certificate": got.csr == nil, "a request": got.csr != nil && got.KID == ""}; !is[want] {
			t.Errorf("sent is %+v, want %s", got, want)
		}
	}
	if _, err := h.Answer(t.Context(), s.refusal(client.Refused)); !errors.Is(err, device.ErrRefused) {
		t.Errorf("the request is refused: %v", err)
	}
}

// TestRefusedWithWords: what the operator has to say reaches the app, which sends no request that would change nothing; the next call
// asks again, with what the person says then, and with the key of before.
func TestRefusedWithWords(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	code := "wrong"
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock,
		Custom: func(context.Context) (map[string]string, error) { return map[string]string{"code": code}, nil },
	})
	must(t, err)
	refused := func() {
		t.Helper()
		c := s.refusal(client.Refused)
		c.Notice = &client.Notice{ID: "refused", Text: "This code was used before."}
		_, err := h.Answer(t.Context(), c)
		if told, ok := errors.AsType[*device.RefusalError](err); !ok || !errors.Is(err, device.ErrRefused) || told.Text != c.Notice.Text ||
			!strings.Contains(err.Error(), c.Notice.Text) {
			t.Errorf("it is refused with %v", err)
		}
	}
	first := s.read(s.answer(h, s.challenge()), nil)
	refused()
	code = "right"
	again := s.read(s.answer(h, s.challenge()), nil)
	custom, _ := again.Claims["custom"].(map[string]any)
	if custom["code"] != "right" || !public(s.kept(folder)).Equal(again.csr.PublicKey) || first.Claims["installation"] != again.Claims["installation"] {
		t.Errorf("the second request is %+v", again)
	}
	s.answer(h, s.challenge("certificate", s.issue(again.csr.PublicKey)))
	refused()
	s.answer(h, s.challenge())
	refused() // and no request follows
}

// TestNotNow: a server that cannot judge is left alone.
func TestNotNow(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	h := s.device(device.Folder(t.TempDir()))
	for _, code := range []string{client.Unavailable, client.Throttled, client.Busy} {
		_, err := h.Answer(t.Context(), s.refusal(code))
		if wait, ok := errors.AsType[*client.WaitError](err); !ok || wait.After != 7*time.Second || !strings.Contains(err.Error(), "7s") {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestModeNone signs nothing.
func TestModeNone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	h := s.device(device.Folder(t.TempDir()))
	c := s.challenge("mode", "none")
	var claims map[string]any
	must(t, json.Unmarshal([]byte(s.answer(h, c)["answer"]), &claims))
	if claims["nonce"] != c.Data["nonce"] || claims["installation"] == "" {
		t.Errorf("said is %v", claims)
	}
	c.Failure = &client.Failure{Code: client.Refused}
	if _, err := h.Answer(t.Context(), c); !errors.Is(err, device.ErrRefused) {
		t.Errorf("after a refusal: %v", err)
	}
}

// TestOddServers are not believed: a challenge that asks something else, and a certificate that is not ours.
func TestOddServers(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	h := s.device(folder)
	s.answer(h, s.challenge())
	for name, c := range map[string]client.Challenge{
		"another server's question": s.challenge("audience", "https://auth.example.org"),
		"another question":          {Data: map[string]string{"nonce": "x"}},
		"no question":               {},
		"no certificate":            s.challenge("certificate", "x"),
		"a broken certificate":      s.challenge("certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"another key's certificate": s.challenge("certificate", s.issue(s.key.Public())),
	} {
		if answers, err := h.Answer(t.Context(), c); err == nil {
			t.Errorf("%s is answered %v", name, answers)
		}
	}
	if len(s.kept(folder).Chain) != 0 {
		t.Error("a certificate was kept")
	}
}

// A key on another curve, and none at all, sign nothing.
func TestOtherKeysSignNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, newKey := range map[string]func() (crypto.Signer, error){
		"P-384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
		"none":  func() (crypto.Signer, error) { return nil, errors.New("the key store is locked") },
	} {
		h, err := device.New(device.Config{
			App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: device.Folder(t.TempDir()), Now: s.clock, NewKey: newKey,
		})
		must(t, err)
		if answers, err := h.Answer(t.Context(), s.challenge()); err == nil {
			t.Errorf("%s: %v", name, answers)
		}
	}
}

// TestFolder keeps keys where nobody else reads them, and finds nothing where nothing is.
func TestFolder(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := filepath.Join(t.TempDir(), "keys")
	folder := device.Folder(path)
	if identity, err := folder.Load(t.Context(), "x"); err != nil || identity.Key != nil {
		t.Errorf("before: %+v, %v", identity, err)
	}
	want := device.Identity{Installation: "i", Key: s.key, Chain: [][]byte{{1}}}
	must(t, folder.Save(t.Context(), "x", want))
	got, err := folder.Load(t.Context(), "x")
	must(t, err)
	if got.Installation != "i" || !s.key.Equal(got.Key) || !cmp.Equal(got.Chain, want.Chain) {
		t.Errorf("after: %+v", got)
	}
	for range 2 {
		must(t, folder.Save(t.Context(), "y", want))
		must(t, folder.Save(t.Context(), "y", device.Identity{}))
		must(t, folder.Save(t.Context(), "y", device.Identity{})) // which is gone already
	}
	files, err := os.ReadDir(path)
	must(t, err)
	for _, f := range files {
		info, err := f.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 || len(files) != 1 {
			t.Errorf("%s has %v", f.Name(), info.Mode())
		}
		for _, content := range []string{"{", `{"key":"AAAA"}`} {
			must(t, os.WriteFile(filepath.Join(path, f.Name()), []byte(content), 0o600))
			if _, err := folder.Load(t.Context(), "x"); err == nil {
				t.Errorf("%s is read", content)
			}
		}
	}
}

// TestAServerInTheMiddle: one that has been asked by another server hands the question on, to be taken for the device there. Neither the key
// for that server nor the one of a former system signs anything.
func TestAServerInTheMiddle(t *testing.T) {
	t.Parallel()
	s, folder := newServer(t), device.Folder(t.TempDir())
	asked := false
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock,
		Former: func(context.Context) (device.Former, error) { asked = true; return device.Former{}, nil },
	})
	must(t, err)
	first := s.read(s.answer(h, s.challenge()), nil)
	s.answer(h, s.challenge("certificate", s.issue(first.csr.PublicKey)))
	for _, more := range [][]string{{}, {"mode", "none"}, {"former", "accepted"}, {"entity", "device", "former", "accepted"}} {
		c := s.challenge(more...)
		c.Issuer, asked = "https://middle.example", false
		if answers, err := h.Answer(t.Context(), c); !errors.Is(err, device.ErrIssuer) || answers != nil || asked {
			t.Errorf("%v: %v, %v", more, answers, err)
		}
	}
	if got := s.read(s.answer(h, s.challenge()), public(s.kept(folder))); got.Typ != "gatehouse-device+jwt" {
		t.Errorf("after that its own server gets %+v", got)
	}
}
