// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// bygone is another system: its authority, and what it has issued.
type bygone struct {
	t    testing.TB
	ca   *x509.Certificate
	key  crypto.Signer
	next int64
}

// takesOver has a store believe another system, whose OU says which app a certificate is for.
func (f *fixture) takesOver(t testing.TB) *bygone {
	t.Helper()
	b := &bygone{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Worklight CA"}, NotBefore: f.clock.Now().Add(-365 * day),
		NotAfter: f.clock.Now().Add(3650 * day), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, b.key.Public(), b.key)
	must(t, err)
	b.ca, err = x509.ParseCertificate(der)
	must(t, err)
	name := func(text string) former.Attribute {
		a, err := former.ParseAttribute(text)
		must(t, err)
		return a
	}
	f.config.Former, err = former.New(former.Authority{
		Certificates: []*x509.Certificate{b.ca}, Device: name("CN"), Rules: []former.Rule{
			{Attribute: name("OU"), Value: "com.example.Bank", Entity: application, Application: "bank"},
			{Attribute: name("OU"), Value: "com.example.Wallet", Entity: application, Application: "wallet"},
			{Attribute: name("OU"), Value: "retail", Entity: retail},
			{Attribute: name("OU"), Value: "any", Entity: device},
		},
	})
	must(t, err)
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	return b
}

// issue gives a device its certificate, for an app.
func (b *bygone) issue(f *fixture, key crypto.Signer, device, app string) provisioning.Certificate {
	b.t.Helper()
	b.next++
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(100 + b.next), Subject: pkix.Name{CommonName: device, OrganizationalUnit: []string{app}},
		NotBefore: f.clock.Now().Add(-100 * day), NotAfter: f.clock.Now().Add(600 * day), KeyUsage: x509.KeyUsageDigitalSignature,
	}, b.ca, key.Public(), b.key)
	must(b.t, err)
	return provisioning.Certificate{ID: hash(der), Chain: [][]byte{der}}
}

// inherits renews a former certificate for the phone's own key.
func (p *phone) inherits(c provisioning.Certificate, by crypto.Signer) provisioning.Message {
	m := p.renews(c, by)
	if by != p.key {
		m = p.rekeys(c, by)
	}
	m.Former, m.Caller.UserID = c.Chain[0], ""
	return m
}

// TestFormerCertificate comes with a certificate of another system and goes on with one of ours, that names nothing of the old one.
func TestFormerCertificate(t *testing.T) {
	t.Parallel()
	same := newKey(t)
	for _, tt := range []struct {
		name     string
		old, own crypto.Signer
		entity   provisioning.Entity
		says     string
	}{
		{"another key", newKey(t), newKey(t), application, "com.example.Bank"}, {"RSA", rsaKey(t, 2048), newKey(t), application, "com.example.Bank"},
		{"the same key", same, same, application, "com.example.Bank"}, {"a group", newKey(t), newKey(t), retail, "retail"},
		{"a device", newKey(t), newKey(t), device, "any"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			b := f.takesOver(t)
			p.key, p.entity = tt.own, tt.entity
			old := b.issue(f, tt.old, "phone-1", tt.says)
			c, err := f.Issue(t.Context(), p.inherits(old, tt.old))
			must(t, err)
			leaf, err := c.Leaf()
			must(t, err)
			if c.Former || c.Replaces != old.ID || c.Entity() != tt.entity || len(leaf.URIs) != 1 || len(leaf.Subject.Names) != 0 {
				t.Errorf("it gets %+v with the subject %s", c, leaf.Subject)
			}
			want := map[string]string{"former_authority": provisioning.AuthorityID(b.ca), "former_serial": "65", "former_device": "phone-1"}
			if diff := cmp.Diff(want, c.Attributes); diff != "" {
				t.Error(diff)
			}
			again, err := f.Issue(t.Context(), p.inherits(old, tt.old)) // the answer was lost
			if err != nil || again.ID != c.ID {
				t.Errorf("asked again, it is %+v, %v", again, err)
			}
			there, err := f.Present(t.Context(), p.shows(c))
			must(t, err)
			if diff := cmp.Diff(want, there.Attributes); diff != "" {
				t.Error(diff)
			}
			thief := *p
			thief.key, thief.installation = newKey(t), rand.Text()
			_, err = f.Issue(t.Context(), thief.inherits(old, tt.old))
			refused(t, err, provisioning.ReasonReplaced)
			f.clock.Advance(70 * day)
			if second, err := f.Issue(t.Context(), p.renews(c, p.key)); err != nil || second.Attributes["former_device"] != "phone-1" {
				t.Errorf("the renewal is %+v, %v", second, err)
			}
		})
	}
}

// TestFormerCertificateShown: it is good for nothing but one renewal.
func TestFormerCertificateShown(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	b := f.takesOver(t)
	oldKey := newKey(t)
	old := b.issue(f, oldKey, "phone-1", "com.example.Bank")
	shows := p.message(provisioning.TypPresence, old.ID, oldKey, nil)
	shows.Former = old.Chain[0]
	_, err := f.Present(t.Context(), shows)
	refused(t, err, provisioning.ReasonUnknown)
	c, err := f.Issue(t.Context(), p.inherits(old, oldKey))
	must(t, err)
	_, err = f.Present(t.Context(), p.message(provisioning.TypPresence, old.ID, oldKey, nil))
	refused(t, err, provisioning.ReasonFormer)
	alone := *p
	alone.key = oldKey
	_, err = f.Issue(t.Context(), alone.asks()) // by the old key itself, as if it were new
	refused(t, err, provisioning.ReasonReplaced)
	f.present(t, p, c)
	_, err = f.Present(t.Context(), p.message(provisioning.TypPresence, old.ID, oldKey, nil))
	refused(t, err, provisioning.ReasonReplaced)
}

// TestBadFormerCertificates: it stands for its own app and device and no other, and only its own key can say so.
func TestBadFormerCertificates(t *testing.T) {
	t.Parallel()
	type world struct {
		f   *fixture
		b   *bygone
		p   *phone
		key crypto.Signer
		old provisioning.Certificate
	}
	for _, tt := range []struct {
		name string
		make func(w *world) provisioning.Message
		want provisioning.Reason
	}{
		{"another app", func(w *world) provisioning.Message {
			w.p.app = "wallet"
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonEntity},
		{"an app for which nothing stands", func(w *world) provisioning.Message {
			return w.p.inherits(w.b.issue(w.f, w.key, "phone-1", "com.example.Chess"), w.key)
		}, former.ReasonNames},
		{"an app's for a device", func(w *world) provisioning.Message {
			w.p.entity = device
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonEntity},
		{"a group's for an app", func(w *world) provisioning.Message {
			return w.p.inherits(w.b.issue(w.f, w.key, "phone-1", "retail"), w.key)
		}, provisioning.ReasonEntity},
		{"an app that is not of the group", func(w *world) provisioning.Message {
			w.p.entity, w.p.app = retail, "games"
			return w.p.inherits(w.b.issue(w.f, w.key, "phone-1", "retail"), w.key)
		}, provisioning.ReasonGroup},
		{"a version that is switched off", func(w *world) provisioning.Message {
			w.p.version = "1.0"
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonVersion},
		{"another system's", func(w *world) provisioning.Message {
			other := newFixture(w.b.t).takesOver(w.b.t)
			return w.p.inherits(other.issue(w.f, w.key, "phone-1", "com.example.Bank"), w.key)
		}, former.ReasonIssuer},
		{"over", func(w *world) provisioning.Message {
			w.f.clock.Advance(600 * day)
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonExpired},
		{"its authority is over", func(w *world) provisioning.Message {
			w.f.clock.Advance(3650 * day)
			return w.p.inherits(w.b.issue(w.f, w.key, "phone-1", "com.example.Bank"), w.key)
		}, provisioning.ReasonExpired},
		{"not yet", func(w *world) provisioning.Message {
			w.f.clock.Advance(-200 * day)
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonNotYet},
		{"signed by a key of somebody else", func(w *world) provisioning.Message {
			return w.p.inherits(w.old, newKey(w.b.t))
		}, provisioning.ReasonSignature},
		{"the certificate of another device beside the answer", func(w *world) provisioning.Message {
			m := w.p.inherits(w.old, w.key)
			m.Former = w.b.issue(w.f, newKey(w.b.t), "phone-2", "com.example.Bank").Chain[0]
			return m
		}, provisioning.ReasonSignature},
		{"the new key does not agree", func(w *world) provisioning.Message {
			m := w.p.rekeysAs(w.old, w.key, newKey(w.b.t), nil, nil)
			m.Former = w.old.Chain[0]
			return m
		}, provisioning.ReasonPossession},
		{"the new key agrees to something else", func(w *world) provisioning.Message {
			m := w.p.rekeysAs(w.old, w.key, w.p.key, nil, map[string]any{"renews": hash([]byte("x"))})
			m.Former = w.old.Chain[0]
			return m
		}, provisioning.ReasonPossession},
		{"a second answer to the question", func(w *world) provisioning.Message {
			m := w.p.inherits(w.old, w.key)
			m.Spent = true
			return m
		}, provisioning.ReasonReplayed},
		{"nothing beside the answer", func(w *world) provisioning.Message {
			m := w.p.inherits(w.old, w.key)
			m.Former = nil
			return m
		}, provisioning.ReasonUnknown},
		{"no certificate", func(w *world) provisioning.Message {
			m := w.p.inherits(w.old, w.key)
			m.Former = []byte{0}
			return m
		}, provisioning.ReasonMalformed},
		{"a key that is another installation's", func(w *world) provisioning.Message {
			other := newPhone(w.b.t)
			w.f.issue(w.b.t, other)
			w.p.key = other.key
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonKeyReused},
		{"a key that has one of ours already", func(w *world) provisioning.Message {
			other := newPhone(w.b.t)
			other.key = w.key
			w.f.issue(w.b.t, other)
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonKeyReused},
		{"a second one for the same key", func(w *world) provisioning.Message {
			_, err := w.f.Issue(w.b.t.Context(), w.p.inherits(w.old, w.key))
			must(w.b.t, err)
			other := newPhone(w.b.t)
			return other.inherits(w.b.issue(w.f, w.key, "phone-1", "com.example.Bank"), w.key)
		}, provisioning.ReasonKeyReused},
		{"a device that was revoked here", func(w *world) provisioning.Message {
			c, err := w.f.Issue(w.b.t.Context(), w.p.inherits(w.old, w.key))
			must(w.b.t, err)
			_, err = w.f.Revoke(w.b.t.Context(), c.Installation)
			must(w.b.t, err)
			other := newPhone(w.b.t)
			return other.inherits(w.old, w.key)
		}, provisioning.ReasonRevoked},
		{"an authority that was revoked here", func(w *world) provisioning.Message {
			first := newPhone(w.b.t)
			firstKey := newKey(w.b.t)
			_, err := w.f.Issue(w.b.t.Context(), first.inherits(w.b.issue(w.f, firstKey, "phone-2", "com.example.Bank"), firstKey))
			must(w.b.t, err)
			_, err = w.f.RevokeAuthority(w.b.t.Context(), provisioning.AuthorityID(w.b.ca))
			must(w.b.t, err)
			return w.p.inherits(w.old, w.key)
		}, provisioning.ReasonDistrusted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{f: newFixture(t), p: newPhone(t), key: newKey(t)}
			w.b = w.f.takesOver(t)
			w.old = w.b.issue(w.f, w.key, "phone-1", "com.example.Bank")
			_, err := w.f.Issue(t.Context(), tt.make(w))
			refused(t, err, tt.want)
		})
	}
}

// TestFormerUnconfigured: where no other system is named, its certificates are nobody's.
func TestFormerUnconfigured(t *testing.T) {
	t.Parallel()
	f, p, key := newFixture(t), newPhone(t), newKey(t)
	old := newFixture(t).takesOver(t).issue(f, key, "phone-1", "com.example.Bank")
	_, err := f.Issue(t.Context(), p.inherits(old, key))
	refused(t, err, provisioning.ReasonUnknown)
}

// TestFormerOnce: of many who have a copy of the same key one becomes the device.
func TestFormerOnce(t *testing.T) {
	t.Parallel()
	f, key := newFixture(t), newKey(t)
	old := f.takesOver(t).issue(f, key, "phone-1", "com.example.Bank")
	var group sync.WaitGroup
	var mu sync.Mutex
	got := map[string]bool{}
	for range 8 {
		m := newPhone(t).inherits(old, key)
		group.Go(func() {
			c, err := f.Issue(t.Context(), m)
			if err != nil {
				refused(t, err, provisioning.ReasonReplaced)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got[c.Installation] = true
		})
	}
	group.Wait()
	if len(got) != 1 {
		t.Errorf("it became %v", got)
	}
}

// TestFormerFaults: what fails leaves nothing behind, and works the next time.
func TestFormerFaults(t *testing.T) {
	t.Parallel()
	f, p, key := newFixture(t), newPhone(t), newKey(t)
	old := f.takesOver(t).issue(f, key, "phone-1", "com.example.Bank")
	for _, fault := range []storagetest.Fault{
		{Op: storagetest.OnView, Err: storage.ErrUnavailable}, {Op: storagetest.OnUpdate, Err: storage.ErrUnavailable},
		{Op: storagetest.OnCommit, Err: storage.ErrUnavailable},
	} {
		f.db.Inject(fault)
		if _, err := f.Issue(t.Context(), p.inherits(old, key)); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%v: %v", fault, err)
		}
		f.db.Clear()
	}
	f.ca.break_ = func([]*x509.Certificate, error) ([]*x509.Certificate, error) { return nil, errors.New("down") }
	if _, err := f.Issue(t.Context(), p.inherits(old, key)); !errors.Is(err, provisioning.ErrAuthority) {
		t.Error(err)
	}
	f.ca.break_ = nil
	if _, err := f.Get(t.Context(), old.ID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the former certificate is kept: %v", err)
	}
	c, err := f.Issue(t.Context(), p.inherits(old, key))
	must(t, err)
	f.present(t, p, c)
}

// TestFormerBudget: strangers use up nothing of those who come with a former certificate, whose own share is bounded.
func TestFormerBudget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	daily := func(n int) *limit.Limiter {
		l, err := limit.New(limit.Config{Burst: n, Every: 24 * time.Hour, Keys: 100, Now: f.clock.Now})
		must(t, err)
		return l
	}
	f.config.Budget = provisioning.Budget{Strangers: daily(1), Known: daily(1)}
	b := f.takesOver(t)
	stranger := newPhone(t).asks()
	stranger.Caller.UserID = ""
	_, err := f.Issue(t.Context(), stranger)
	must(t, err)
	key, p := newKey(t), newPhone(t)
	old := b.issue(f, key, "phone-1", "com.example.Bank")
	for range 2 {
		_, err = f.Issue(t.Context(), p.inherits(old, key))
		must(t, err)
	}
	another := newKey(t)
	_, err = f.Issue(t.Context(), newPhone(t).inherits(b.issue(f, another, "phone-2", "com.example.Bank"), another))
	refused(t, err, provisioning.ReasonBudget)
}

// TestFormerAttestation: a former certificate says nothing of where the new key is.
func TestFormerAttestation(t *testing.T) {
	t.Parallel()
	f, p, key := newFixture(t), newPhone(t), newKey(t)
	f.asking(t, p, provisioning.AttestationRequired, attestation.TEE)
	old := f.takesOver(t).issue(f, key, "phone-1", "com.example.Bank")
	_, err := f.Issue(t.Context(), p.inherits(old, key))
	refused(t, err, "attestation_absent")
	m := p.attesting(p.inherits(old, key), "tee")
	if c, err := f.Issue(t.Context(), m); err != nil || c.Attestation.Grade != attestation.TEE {
		t.Errorf("it gets %+v, %v", c, err)
	}
}

// TestFormerAuthorityLeaks: whoever has its key may have made up every device that has come from it. They are out, with all that they have got
// since, and no other device is.
func TestFormerAuthorityLeaks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := f.takesOver(t)
	id := provisioning.AuthorityID(b.ca)
	moved, other, lost := newPhone(t), newPhone(t), newPhone(t)
	come := func(p *phone, name string) (provisioning.Certificate, provisioning.Certificate, crypto.Signer) {
		key := newKey(t)
		old := b.issue(f, key, name, "com.example.Bank")
		c, err := f.Issue(t.Context(), p.inherits(old, key))
		must(t, err)
		f.present(t, p, c)
		return old, c, key
	}
	old, c, key := come(moved, "phone-1")
	_, gone, _ := come(lost, "phone-2")
	_, err := f.Revoke(t.Context(), gone.Installation)
	must(t, err)
	ours := f.issue(t, other)
	f.present(t, other, ours)
	f.clock.Advance(70 * day)
	second, err := f.Issue(t.Context(), moved.renews(c, moved.key))
	must(t, err)
	_, err = f.RevokeAuthority(t.Context(), id)
	must(t, err)
	if list, err := former.Moved(t.Context(), f, id); err != nil || len(list) != 1 || list[0] != c.Installation {
		t.Errorf("%q have come from it, %v", list, err)
	}
	for _, want := range []int{1, 0} {
		if n, err := former.RevokeMoved(t.Context(), f, id); err != nil || n != want {
			t.Errorf("it takes out %d and not %d, %v", n, want, err)
		}
	}
	for _, m := range []provisioning.Message{moved.shows(c), moved.shows(second)} {
		_, err = f.Present(t.Context(), m)
		refused(t, err, provisioning.ReasonRevoked)
	}
	for _, m := range []provisioning.Message{moved.asks(), moved.renews(second, moved.key), moved.inherits(old, key)} {
		_, err = f.Issue(t.Context(), m)
		refused(t, err, provisioning.ReasonRevoked)
	}
	f.present(t, other, ours)
	for _, unknown := range []string{"", provisioning.AuthorityID(newFixture(t).takesOver(t).ca)} {
		if n, err := former.RevokeMoved(t.Context(), f, unknown); err != nil || n != 0 {
			t.Errorf("%q: it takes out %d, %v", unknown, n, err)
		}
	}
}

// TestFormerAuthorityLeaksALot: more devices than are read at once, and a store that fails in between.
func TestFormerAuthorityLeaksALot(t *testing.T) {
	t.Parallel()
	records := new(many)
	for i := range 450 {
		records.all = append(records.all, provisioning.Certificate{
			ID: fmt.Sprintf("%04d", i), Installation: fmt.Sprintf("ins_%d", i/2), Attributes: map[string]string{former.AttributeAuthority: "a"},
		})
	}
	records.fails = 100
	if n, err := former.RevokeMoved(t.Context(), records, "a"); !errors.Is(err, storage.ErrUnavailable) || n != 100 {
		t.Errorf("it takes out %d, %v", n, err)
	}
	records.fails = -1
	if n, err := former.RevokeMoved(t.Context(), records, "a"); err != nil || n != 125 || len(records.out) != 225 {
		t.Errorf("it takes out %d of %d, %v", n, len(records.out), err)
	}
}

// many are certificates in a list. After so many revocations it fails.
type many struct {
	all   []provisioning.Certificate
	out   map[string]bool
	fails int
}

func (m *many) List(_ context.Context, _, after string, limit int) (list []provisioning.Certificate, _ error) {
	for _, c := range m.all {
		if c.ID > after && len(list) < limit {
			if m.out[c.Installation] {
				c.RevokedAt = time.Unix(1, 0)
			}
			list = append(list, c)
		}
	}
	return list, nil
}

func (m *many) Revoke(_ context.Context, installation string) (bool, error) {
	if m.out == nil {
		m.out = map[string]bool{}
	}
	if len(m.out) == m.fails {
		return false, storage.ErrUnavailable
	}
	m.out[installation] = true
	return true, nil
}
