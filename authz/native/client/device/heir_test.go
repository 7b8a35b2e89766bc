// SPDX-License-Identifier: Apache-2.0

package device_test

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
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

const day = 24 * time.Hour

// issued is what an authority knows of a certificate.
type issued struct {
	kid, pem string
	key      *ecdsa.PublicKey
	until    time.Time
	follows  *issued
	replaced bool // another one follows
	over     bool // and was shown
}

// authority judges devices as a server does (package provisioning), and records what it was sent.
type authority struct {
	*server
	byID    map[string]*issued
	byKey   map[string]*issued // the last one for a key
	devices int
	revoked bool
	refuses string // a kind of answer that is refused, whatever it is worth
	said    []string
	lose    int // the message whose answer is lost, counted from 1
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return &authority{server: newServer(t), byID: map[string]*issued{}, byKey: map[string]*issued{}}
}

func named(key *ecdsa.PublicKey) string {
	der, _ := x509.MarshalPKIXPublicKey(key)
	return string(der)
}

func (s *authority) stands(c *issued) bool {
	return c != nil && !c.over && !s.revoked && s.now.Before(c.until)
}

func (s *authority) due(c *issued) bool { return !s.now.Before(c.until.Add(-s.until / 3)) }

// order issues a certificate that follows another one, or is for a device that nobody knew.
func (s *authority) order(key *ecdsa.PublicKey, follows *issued) *issued {
	if follows == nil {
		s.devices++
	} else {
		follows.replaced = true
	}
	c := &issued{pem: s.issue(key), key: key, until: s.now.Add(s.until), follows: follows}
	block, _ := pem.Decode([]byte(c.pem))
	c.kid = digest(block.Bytes)
	s.byID[c.kid], s.byKey[named(key)] = c, c
	return c
}

// judge reads an answer. It returns the certificate that was asked for, if any, and whether the answer is refused.
func (s *authority) judge(answers map[string]string) (give *issued, refused bool) {
	s.t.Helper()
	var header struct{ KID string }
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(answers["answer"], ".")[0])
	must(s.t, errors.Join(err, json.Unmarshal(text, &header)))
	of := s.byID[header.KID]
	var key *ecdsa.PublicKey
	if of != nil {
		key = of.key
	}
	got := s.read(answers, key)
	what := "presence"
	var asks *ecdsa.PublicKey
	if got.csr != nil {
		asks, what = got.csr.PublicKey.(*ecdsa.PublicKey), "request"
	}
	switch {
	case got.csr != nil && of != nil && asks.Equal(key):
		what = "renewal"
	case got.csr != nil && of != nil:
		what = "rekeying"
	}
	s.said = append(s.said, what)
	if what == s.refuses {
		return nil, true
	}
	switch what {
	case "presence":
		if !s.stands(of) {
			return nil, true
		}
		if before := of.follows; before != nil && !before.key.Equal(of.key) {
			before.over = true
		}
		return nil, false
	case "rekeying":
		s.agreed(got, asks)
		return s.renewed(of, asks)
	case "renewal":
		return s.renewed(of, asks)
	}
	has := s.byKey[named(asks)]
	switch {
	case has == nil:
		return s.order(asks, nil), false
	case s.stands(has):
		return has, false
	case s.revoked || has.over || has.replaced:
		return nil, true
	}
	return s.order(asks, has), false
}

func (s *authority) renewed(old *issued, key *ecdsa.PublicKey) (*issued, bool) {
	has := s.byKey[named(key)]
	switch {
	case !s.stands(old):
		return nil, true
	case has != nil && has != old:
		return has, !s.stands(has)
	case old.replaced || !s.due(old) && has == nil:
		return nil, true
	case !s.due(old):
		return old, false
	}
	return s.order(key, old), false
}

// agreed checks what the key that is to follow says.
func (s *authority) agreed(got said, key *ecdsa.PublicKey) {
	s.t.Helper()
	possession, _ := got.Claims["possession"].(string)
	by := s.read(map[string]string{"answer": possession}, key)
	want := said{Typ: "gatehouse-possession+jwt", Claims: map[string]any{
		"aud": got.Claims["aud"], "realm": got.Claims["realm"], "nonce": got.Claims["nonce"], "csr": got.Claims["csr"], "renews": got.KID,
	}}
	if diff := cmp.Diff(want.Claims, by.Claims); diff != "" || by.Typ != want.Typ || by.KID != "" {
		s.t.Errorf("the possession is %+v\n%s", by, diff)
	}
}

var (
	errLost = errors.New("the answer was lost")
	errStop = errors.New("the process ends")
)

// session has a device prove who it is, as a client does.
func (s *authority) session(h *device.Handler) error {
	s.t.Helper()
	s.said = nil
	c := s.challenge()
	for range 12 {
		answers, err := h.Answer(s.t.Context(), c)
		if err != nil {
			return err
		}
		give, refused := s.judge(answers)
		if len(s.said) == s.lose {
			return errLost
		}
		switch {
		case refused:
			c = s.refusal(client.Refused)
		case give != nil:
			c = s.challenge("certificate", give.pem)
		default:
			return nil
		}
	}
	return errors.New("there is no end")
}

// process is a device's until it ends: with the write of that number, before or after it was made.
type process struct {
	device.Folder
	write, made int
	after       bool
}

func (p *process) Save(ctx context.Context, name string, identity device.Identity) error {
	if p.made++; p.made == p.write {
		if p.after {
			return errors.Join(p.Folder.Save(ctx, name, identity), errStop)
		}
		return errStop
	}
	return p.Folder.Save(ctx, name, identity)
}

// start starts a process of a device, which takes another key when there is reason to.
func (s *authority) start(storage device.Storage, rekey func(crypto.PublicKey) bool) *device.Handler {
	s.t.Helper()
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: storage, Now: s.clock, Rekey: rekey,
	})
	must(s.t, err)
	return h
}

func always(crypto.PublicKey) bool { return true }

// aged is an authority, and a device whose certificate is to be renewed.
func aged(t *testing.T) (*authority, device.Folder, *ecdsa.PublicKey) {
	t.Helper()
	s, folder := newAuthority(t), device.Folder(t.TempDir())
	must(t, s.session(s.start(folder, nil)))
	s.now = s.now.Add(65 * day)
	return s, folder, public(s.kept(folder))
}

// wantFiles checks how many identities are kept.
func wantFiles(t *testing.T, folder device.Folder, n int) {
	t.Helper()
	files, err := os.ReadDir(string(folder))
	must(t, err)
	if len(files) != n {
		t.Errorf("%d identities are kept, want %d", len(files), n)
	}
}

// TestRekey: both keys sign, the new one is shown, and the old one is kept until the realm asks anew.
func TestRekey(t *testing.T) {
	t.Parallel()
	s, folder, old := aged(t)
	h := s.start(folder, func(key crypto.PublicKey) bool { return old.Equal(key) })
	for i, want := range []struct {
		said  []string
		files int
	}{{[]string{"rekeying", "presence"}, 2}, {[]string{"presence"}, 1}, {[]string{"presence"}, 1}} {
		must(t, s.session(h))
		if diff := cmp.Diff(want.said, s.said); diff != "" {
			t.Errorf("session %d (-want +got):\n%s", i, diff)
		}
		wantFiles(t, folder, want.files)
	}
	first := public(s.kept(folder))
	if old.Equal(first) || s.devices != 1 || len(s.byKey) != 2 {
		t.Errorf("%d devices with %d keys", s.devices, len(s.byKey))
	}
	s.now = s.now.Add(65 * day)
	must(t, s.session(h)) // this key is as it should be
	if want := []string{"renewal", "presence"}; !slices.Equal(s.said, want) || !first.Equal(public(s.kept(folder))) {
		t.Errorf("the second renewal is %q", s.said)
	}
}

// TestInterruptedRekey: whatever write or answer a process ends with, the next one goes on as the same device, soon or after the old
// certificate is over, and comes to its new key, of which there is one.
func TestInterruptedRekey(t *testing.T) {
	t.Parallel()
	for _, later := range []time.Duration{0, time.Hour, 40 * day} {
		for sessions := range 2 { // the old key goes in the second one
			for n := 1; n <= 4; n++ {
				for _, how := range []string{"before a write", "after a write", "an answer lost"} {
					t.Run(fmt.Sprintf("%s %d of session %d, and %s", how, n, sessions+1, later), func(t *testing.T) {
						t.Parallel()
						s, folder, old := aged(t)
						p := &process{Folder: folder, write: n, after: how == "after a write"}
						if how == "an answer lost" {
							p.write = 0
						}
						h := s.start(p, always)
						for i := range sessions + 1 {
							if s.lose = 0; how == "an answer lost" && i == sessions {
								s.lose = n
							}
							if err := s.session(h); err != nil {
								if !errors.Is(err, errStop) && !errors.Is(err, errLost) {
									t.Fatalf("the session ends with %v after %q", err, s.said)
								}
								break
							}
						}
						s.now, s.lose = s.now.Add(later), 0
						again := s.start(folder, always)
						for range 3 {
							if err := s.session(again); err != nil {
								t.Fatalf("the next session ends with %v after %q", err, s.said)
							}
						}
						if s.devices != 1 || len(s.byKey) > 2 {
							t.Errorf("%d devices with %d keys", s.devices, len(s.byKey))
						}
						if now := public(s.kept(folder)); later < 25*day && (now.Equal(old) || len(s.byKey) != 2) {
							t.Error("it has the old key")
						}
						wantFiles(t, folder, 1)
					})
				}
			}
		}
	}
}

// TestRekeyRefused: where the server does not take another key the one that there is is renewed, and used to its end, and a device that
// is taken out does not come back as another.
func TestRekeyRefused(t *testing.T) {
	t.Parallel()
	t.Run("the request", func(t *testing.T) {
		t.Parallel()
		s, folder, old := aged(t)
		s.refuses = "rekeying"
		must(t, s.session(s.start(folder, always)))
		if want := []string{"rekeying", "renewal", "presence"}; !slices.Equal(s.said, want) || !old.Equal(public(s.kept(folder))) {
			t.Errorf("sent is %q", s.said)
		}
		wantFiles(t, folder, 1)
	})
	t.Run("by a server that renews nothing", func(t *testing.T) {
		t.Parallel()
		s, folder, old := aged(t)
		h := s.start(folder, always)
		for _, refused := range []string{"rekeying", "renewal"} {
			s.refuses = refused
			c := s.challenge()
			for range 2 {
				_, err := h.Answer(t.Context(), c)
				must(t, err)
				c = s.refusal(client.Refused)
			}
			if got := s.read(s.answer(h, c), old); got.csr != nil {
				t.Errorf("sent is %+v", got)
			}
		}
	})
	t.Run("a key that nothing makes", func(t *testing.T) {
		t.Parallel()
		s, folder, _ := aged(t)
		locked := errors.New("the key store is locked")
		h, err := device.New(device.Config{
			App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock, Rekey: always,
			NewKey: func() (crypto.Signer, error) { return nil, locked },
		})
		must(t, err)
		if err := s.session(h); !errors.Is(err, locked) {
			t.Errorf("the session ends with %v", err)
		}
		must(t, s.session(s.start(folder, nil)))
	})
	t.Run("a device that is taken out", func(t *testing.T) {
		t.Parallel()
		for _, sessions := range []int{0, 1, 2} {
			s, folder, _ := aged(t)
			h := s.start(folder, always)
			for range sessions {
				must(t, s.session(h))
			}
			s.revoked = true
			for range 2 {
				for range 2 {
					if err := s.session(h); !errors.Is(err, device.ErrRefused) {
						t.Errorf("the session ends with %v after %q", err, s.said)
					}
				}
				s.now = s.now.Add(30 * day) // the old certificate is over
			}
			if s.devices != 1 {
				t.Errorf("after %d sessions it is another device", sessions)
			}
		}
	})
}

// TestRekeyWaits: a server that cannot judge has not seen the new key, and the old one stays; the next session goes on.
func TestRekeyWaits(t *testing.T) {
	t.Parallel()
	s, folder, old := aged(t)
	h := s.start(folder, always)
	wait := func() {
		t.Helper()
		if _, err := h.Answer(t.Context(), s.refusal(client.Unavailable)); err == nil {
			t.Error("it does not wait")
		}
		wantFiles(t, folder, 2)
		if !old.Equal(public(s.kept(folder))) {
			t.Error("the old key is gone")
		}
	}
	asked := s.read(s.answer(h, s.challenge()), old).csr.PublicKey
	wait()
	again := s.read(s.answer(h, s.challenge()), old).csr.PublicKey.(*ecdsa.PublicKey)
	if !again.Equal(asked) {
		t.Error("the second request is for a third key")
	}
	certificate := s.issue(again)
	s.read(s.answer(h, s.challenge("certificate", certificate)), again)
	wait()
	s.read(s.answer(h, s.challenge()), again)
	wantFiles(t, folder, 2)
	s.read(s.answer(h, s.challenge()), again)
	wantFiles(t, folder, 1)
	if !again.Equal(public(s.kept(folder))) {
		t.Error("the new key is gone")
	}
}

// TestForgetWhileRekeying forgets both keys.
func TestForgetWhileRekeying(t *testing.T) {
	t.Parallel()
	s, folder, old := aged(t)
	h := s.start(folder, always)
	must(t, s.session(h))
	must(t, h.Forget(t.Context(), "https://auth.example.com", "application"))
	wantFiles(t, folder, 1)
	must(t, s.session(h))
	if key := public(s.kept(folder)); s.devices != 2 || len(s.byKey) != 3 || key.Equal(old) {
		t.Errorf("%d devices with %d keys", s.devices, len(s.byKey))
	}
}

// TestAStrangersHeir: a key that is kept for an installation that was forgotten, by a process that ended in between, follows nobody.
func TestAStrangersHeir(t *testing.T) {
	t.Parallel()
	s, folder, old := aged(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	must(t, folder.Save(t.Context(), "application at https://auth.example.com, to follow", device.Identity{Installation: "another", Key: key}))
	must(t, s.session(s.start(folder, nil)))
	if want := []string{"renewal", "presence"}; !slices.Equal(s.said, want) || !old.Equal(public(s.kept(folder))) {
		t.Errorf("sent is %q", s.said)
	}
	wantFiles(t, folder, 1)
}

// TestEvidenceOfAnotherKey is about the key that the certificate is asked for.
func TestEvidenceOfAnotherKey(t *testing.T) {
	t.Parallel()
	s, folder, _ := aged(t)
	var of crypto.PublicKey
	h, err := device.New(device.Config{
		App: device.App{ID: "bank", Platform: "ios", Version: "2.1"}, Storage: folder, Now: s.clock, Rekey: always,
		Attest: func(_ context.Context, _, _ []byte, key crypto.PublicKey) (json.RawMessage, error) {
			of = key
			return json.RawMessage(`{}`), nil
		},
	})
	must(t, err)
	answers := s.answer(h, s.challenge("attestation", "required"))
	der, err := base64.RawURLEncoding.DecodeString(answers["csr"])
	must(t, err)
	csr, err := x509.ParseCertificateRequest(der)
	must(t, err)
	if !csr.PublicKey.(*ecdsa.PublicKey).Equal(of) {
		t.Error("the evidence is about another key")
	}
}
