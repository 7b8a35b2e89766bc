// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/storage"
)

// provisioned has a realm "device" in front of the password, for the scope "read".
type provisioned struct {
	t      *testing.T
	store  *provisioning.Store
	vendor *vendor // nil is nobody

	mu  sync.Mutex
	by  provisioning.Issuer
	err error // the authority is down
}

// provisions has one for each world that a test runs in.
type provisions struct {
	t      *testing.T
	mode   deviceauth.Mode
	entity provisioning.Entity
	vendor func() *vendor // who decides; nil is nobody
	former provisioning.Former
	worlds sync.Map // *world to *provisioned
}

func (all *provisions) of(w *world) *provisioned {
	found, _ := all.worlds.Load(w)
	return found.(*provisioned)
}

func (all *provisions) model(w *world, c *realm.Config) {
	if _, built := all.worlds.Load(w); !built {
		all.worlds.Store(w, all.build(w))
	}
	p := all.of(w)
	guest, err := deviceauth.New(deviceauth.Config{
		Certificates: p.store, Audience: issuer, Mode: all.mode, Entity: all.entity, Former: all.former != nil,
	})
	must(all.t, err)
	c.Realms = append(c.Realms, &realm.Realm{Name: "device", Authenticator: guest, LoginModule: guest, MaxAge: time.Hour, Audit: true})
	c.Tests = append(c.Tests, realm.SecurityTest{Name: "device-first", Steps: [][]string{{"device"}, {"password"}}})
	c.Scopes["read"] = []string{"device-first"}
}

func (all *provisions) build(w *world) *provisioned {
	p := &provisioned{t: all.t}
	p.rotate(w.clock.Now())
	var hooks provisioning.Hooks
	if all.vendor != nil {
		p.vendor = all.vendor()
		hooks = provisioning.Hooks{Request: p.vendor, Certificate: p.vendor}
	}
	trail, err := audit.New(audit.Config{DB: w.db, Logger: slog.New(slog.DiscardHandler), Now: w.clock.Now})
	must(all.t, err)
	local, err := provisioning.NewLocal(p.issuer, w.clock.Now)
	must(all.t, err)
	p.store, err = provisioning.New(provisioning.Config{
		DB: w.db, Authority: local, Versions: w.building.apps, Groups: provisioning.Groups{"retail": {"bank"}}, Trail: trail,
		Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler), Hooks: hooks, Former: all.former,
		OnRevoke: []func(storage.Tx, string) error{w.store.RevokeDevice},
	})
	must(all.t, err)
	return p
}

func (p *provisioned) issuer() (provisioning.Issuer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by, p.err
}

// rotate gives the authority another key and certificate.
func (p *provisioned) rotate(now time.Time) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(p.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "devices"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(2 * 365 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(p.t, err)
	root, err := x509.ParseCertificate(der)
	must(p.t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by = provisioning.Issuer{Chain: []*x509.Certificate{root}, Key: key}
}

func (p *provisioned) down(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// gadget is an app on a device, which calls the API.
type gadget struct {
	t       *testing.T
	handler *installed.Handler
	storage installed.Folder
	gate    *client.Client
	api     *http.Client
}

// install puts an app of a version on a device, or another one beside it that shares its storage.
func (w *world) install(t *testing.T, version string, storage installed.Folder) *gadget {
	t.Helper()
	return w.installAsking(t, version, storage, nil)
}

// installAsking has the app ask the person something before it proves who it is.
func (w *world) installAsking(
	t *testing.T, version string, storage installed.Folder, custom func(context.Context) (map[string]string, error),
) *gadget {
	t.Helper()
	return w.installWith(t, storage, func(c *installed.Config) { c.App.Version, c.Custom = version, custom })
}

// installWith has the app begin with something else than usual.
func (w *world) installWith(t *testing.T, storage installed.Folder, change func(*installed.Config)) *gadget {
	t.Helper()
	g := &gadget{t: t, storage: storage}
	config := installed.Config{
		App: installed.App{ID: "bank", Platform: "ios", Version: "2.0"}, Device: installed.Properties{Model: "iPhone18,1", OS: "iOS"},
		Storage: g.storage, Now: w.clock.Now,
	}
	change(&config)
	var err error
	g.handler, err = installed.New(config)
	must(t, err)
	answered := client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
		return right["password"][0], nil
	})
	g.gate, err = client.New(client.Config{
		Issuer: issuer, ClientID: "phone", Scopes: []string{"read"}, Handlers: map[string]client.Handler{"device": g.handler, "password": answered},
		HTTP: &http.Client{Transport: w}, Now: w.clock.Now,
	})
	must(t, err)
	g.api = &http.Client{Transport: g.gate.Transport(w)}
	return g
}

// pay posts something that must happen once, and returns the status.
func (g *gadget) pay() (int, error) {
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, api+"/payments", bytes.NewReader([]byte(`{"amount":"10"}`)))
	must(g.t, err)
	response, err := g.api.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}

func (g *gadget) identity() installed.Identity {
	g.t.Helper()
	for _, entity := range []string{"application", "group retail", "device"} {
		identity, err := g.storage.Load(g.t.Context(), entity+" at "+issuer)
		must(g.t, err)
		if identity.Key != nil {
			return identity
		}
	}
	return installed.Identity{}
}

// serial is that of the certificate.
func (g *gadget) serial() string {
	g.t.Helper()
	leaf, err := x509.ParseCertificate(g.identity().Chain[0])
	must(g.t, err)
	return leaf.SerialNumber.String()
}

// wantPaid calls, and wants the call to go through.
func (g *gadget) wantPaid() {
	g.t.Helper()
	if status, err := g.pay(); err != nil || status != http.StatusOK {
		g.t.Fatalf("the call gets %d, %v", status, err)
	}
}

// TestDeviceWithoutCertificate makes one call and succeeds, by each kind of entity: it asks for a certificate, gets it, signs, and the
// call reaches the application once. The next session takes no new certificate, and another app takes it where it may.
func TestDeviceWithoutCertificate(t *testing.T) {
	t.Parallel()
	for _, entity := range []provisioning.Entity{
		{Kind: provisioning.KindApplication}, {Kind: provisioning.KindGroup, Group: "retail"}, {Kind: provisioning.KindDevice},
	} {
		t.Run(entity.String(), func(t *testing.T) {
			all := &provisions{t: t, mode: deviceauth.Auto, entity: entity}
			each(t, func(t *testing.T, w *world) {
				g := w.install(t, "2.0", installed.Folder(t.TempDir()))
				g.wantPaid()
				w.wantRealms(t, g.gate.Tokens().Access, map[string]time.Time{"device": w.clock.Now(), "password": w.clock.Now()})
				first := g.serial()
				must(t, g.gate.Logout(t.Context()))
				again := w.install(t, "2.1", g.storage)
				again.wantPaid()
				if again.serial() != first {
					t.Error("the next session takes another certificate")
				}
				if n := w.paid.Load(); n != 2 {
					t.Errorf("two calls reached the application %d times", n)
				}
			}, all.model)
		})
	}
}

// TestDeviceRenewsItsCertificate in the last third of its life, with its key, and goes on when it was away for longer than that; the
// authority may take another key meanwhile.
func TestDeviceRenewsItsCertificate(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Auto, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	each(t, func(t *testing.T, w *world) {
		p, g := all.of(w), w.install(t, "2.0", installed.Folder(t.TempDir()))
		g.wantPaid()
		first, key := g.serial(), g.identity().Key
		session := func(after time.Duration) string {
			t.Helper()
			w.clock.Advance(after)
			must(t, g.gate.Logout(t.Context()))
			g.wantPaid()
			return g.serial()
		}
		if session(50*24*time.Hour) != first {
			t.Error("it was renewed when more than a third of its time was left")
		}
		p.rotate(w.clock.Now())
		if session(time.Hour) != first {
			t.Error("the authority's new key took the certificate away")
		}
		second := session(15 * 24 * time.Hour)
		if second == first {
			t.Error("it was not renewed")
		}
		if third := session(100 * 24 * time.Hour); third == second {
			t.Error("it was over, and is still used")
		}
		if !key.Public().(*ecdsa.PublicKey).Equal(g.identity().Key.Public()) {
			t.Error("the key has changed")
		}
	}, all.model)
}

// fragile is a storage that is gone when it is written to for the time of that number.
type fragile struct {
	installed.Folder
	write int
}

var errGone = errors.New("the process ends")

func (f *fragile) Save(ctx context.Context, name string, identity installed.Identity) error {
	if f.write--; f.write == 0 {
		return errGone
	}
	return f.Folder.Save(ctx, name, identity)
}

// TestDeviceTakesAnotherKey when its certificate is renewed, whatever it is interrupted by, and is the same device: whoever has copied the
// old key is out once the new one was shown.
func TestDeviceTakesAnotherKey(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Auto, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	rekeying := func(c *installed.Config) {
		c.Rekey = func(crypto.PublicKey) bool { return true }
	}
	each(t, func(t *testing.T, w *world) {
		for _, write := range []int{0, 1, 2, 3, 4} { // the one at which its process ends
			folder, copied := installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
			g := w.installWith(t, folder, rekeying)
			g.wantPaid()
			old := g.identity()
			must(t, copied.Save(t.Context(), "application at "+issuer, old))
			w.clock.Advance(65 * 24 * time.Hour)
			ends := w.installWith(t, folder, func(c *installed.Config) {
				rekeying(c)
				c.Storage = &fragile{folder, write}
			})
			for range 2 { // the old key goes in the second session
				if _, err := ends.pay(); err != nil && !errors.Is(err, errGone) {
					t.Errorf("the call ends with %v", err)
				}
				must(t, ends.gate.Logout(t.Context()))
			}
			after := w.installWith(t, folder, rekeying)
			for range 2 {
				after.wantPaid()
				must(t, after.gate.Logout(t.Context()))
			}
			now := after.identity()
			if old.Key.Public().(*ecdsa.PublicKey).Equal(now.Key.Public()) || deviceOf(t, old) != deviceOf(t, now) || old.Installation != now.Installation {
				t.Errorf("interrupted at the write %d it was %s and is %s", write, deviceOf(t, old), deviceOf(t, now))
			}
			if status, err := w.install(t, "2.0", copied).pay(); !errors.Is(err, installed.ErrRefused) {
				t.Errorf("a copy of the old key gets %d, %v", status, err)
			}
		}
	}, all.model)
}

// deviceOf is the name in a certificate.
func deviceOf(t *testing.T, i installed.Identity) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(i.Chain[0])
	must(t, err)
	return leaf.URIs[0].String()
}

// TestDeviceSurvivesItsAuthority: one that is down costs nobody anything who has a certificate, and those who have none may come again.
func TestDeviceSurvivesItsAuthority(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Auto, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	each(t, func(t *testing.T, w *world) {
		p, old, fresh := all.of(w), w.install(t, "2.0", installed.Folder(t.TempDir())), w.install(t, "2.0", installed.Folder(t.TempDir()))
		old.wantPaid()
		p.down(errors.New("the authority is down"))
		must(t, old.gate.Logout(t.Context()))
		old.wantPaid()
		status, err := fresh.pay()
		if _, wait := errors.AsType[*client.WaitError](err); !wait {
			t.Errorf("a device without a certificate gets %d, %v", status, err)
		}
		p.down(nil)
		fresh.wantPaid()
	}, all.model)
}

// TestStolenIdentity: who has copied the certificate has no key, and an answer that was overheard is good for nothing.
func TestStolenIdentity(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Auto, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	each(t, func(t *testing.T, w *world) {
		g := w.install(t, "2.0", installed.Folder(t.TempDir()))
		g.wantPaid()
		stolen := g.identity()
		var err error
		stolen.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		folder := installed.Folder(t.TempDir())
		must(t, folder.Save(t.Context(), "application at "+issuer, stolen))
		thief := w.install(t, "2.0", folder)
		thief.wantPaid() // as a device of its own
		if thief.serial() == g.serial() {
			t.Error("the thief is taken for the device")
		}

		one, two := w.phone(t), w.phone(t)
		asked := one.ask("read")
		answers, err := g.handler.Answer(t.Context(), client.Challenge{Issuer: issuer, Data: data(t, asked)})
		must(t, err)
		two.ask("read")
		if a := two.give(map[string]map[string]string{"device": answers}); challenge(t, a, "device")["failure"] == nil {
			t.Errorf("an answer of another session is taken: %v", a.body)
		}
		if a := one.give(map[string]map[string]string{"device": answers}); a.status == http.StatusOK || challenge(t, a, "password") == nil {
			t.Errorf("the answer is not taken where it belongs: %v", a.body)
		}
	}, all.model)
}

func data(t *testing.T, a answer) map[string]string {
	t.Helper()
	said := map[string]string{}
	held, _ := challenge(t, a, "device")["data"].(map[string]any)
	for name, value := range held {
		said[name], _ = value.(string)
	}
	return said
}

// TestRevokedDevice: what it has got is worth nothing on every node that has read the log, its refresh token included, and it gets nothing
// more; when its app begins anew it is another device.
func TestRevokedDevice(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.Auto, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	each(t, func(t *testing.T, w *world) {
		g, other := w.install(t, "2.0", installed.Folder(t.TempDir())), w.install(t, "2.0", installed.Folder(t.TempDir()))
		g.wantPaid()
		other.wantPaid()
		leaf, err := x509.ParseCertificate(g.identity().Chain[0])
		must(t, err)
		name := leaf.URIs[0].String()
		w.clock.Advance(time.Second)
		fresh, err := all.of(w).store.Revoke(t.Context(), name[strings.LastIndexByte(name, ':')+1:])
		if !fresh || err != nil {
			t.Fatalf("revoked: %v, %v", fresh, err)
		}
		w.settle(t)
		w.clock.Advance(time.Second)
		if status, err := g.pay(); !errors.Is(err, installed.ErrRefused) {
			t.Errorf("the revoked device gets %d, %v", status, err)
		}
		other.wantPaid()
		must(t, g.handler.Forget(t.Context(), issuer, "application"))
		g.wantPaid()
		if n := w.paid.Load(); n != 4 {
			t.Errorf("four calls reached the application %d times", n)
		}
	}, all.model)
}

// TestModeNone believes what it is told.
func TestModeNone(t *testing.T) {
	all := &provisions{t: t, mode: deviceauth.None, entity: provisioning.Entity{Kind: provisioning.KindApplication}}
	each(t, func(t *testing.T, w *world) {
		g := w.install(t, "2.0", installed.Folder(t.TempDir()))
		g.wantPaid()
		if len(g.identity().Chain) != 0 {
			t.Error("there is a certificate")
		}
	}, all.model)
}
