// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const day = 24 * time.Hour

// TestRenewal: in the last third of its time a certificate is followed by another one for the same key, also by another authority, and
// not by one for something else. Before that, and when the answer was lost, there is the certificate that there is.
func TestRenewal(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	renew := func(m provisioning.Message) provisioning.Certificate {
		t.Helper()
		got, err := f.Issue(t.Context(), m)
		must(t, err)
		return got
	}
	f.clock.Set(c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore)/3 - time.Second))
	if early := renew(p.renews(c, p.key)); early.ID != c.ID || f.ca.issued.Load() != 1 {
		t.Errorf("before the last third it is followed by %+v", early)
	}
	f.clock.Advance(time.Second)
	f.ca.rotate(2 * 365 * day)
	second := renew(p.renews(c, p.key))
	if second.ID == c.ID || second.Installation != c.Installation || second.Key != c.Key || second.Replaces != c.ID || second.Authority == c.Authority {
		t.Errorf("the renewal is %+v", second)
	}
	old, err := f.Get(t.Context(), c.ID)
	if err != nil || !old.ReplacedAt.Equal(f.clock.Now()) {
		t.Errorf("the one before is %+v, %v", old, err)
	}
	for _, m := range []provisioning.Message{p.renews(c, p.key), p.renews(second, p.key), p.asks()} {
		if again := renew(m); again.ID != second.ID {
			t.Errorf("asked again, it is %+v", again)
		}
	}
	if n := f.ca.issued.Load(); n != 2 {
		t.Errorf("%d certificates were signed", n)
	}
	f.present(t, p, c)
	f.present(t, p, second)
	f.present(t, p, c) // it is the same key
	wider := *p
	wider.entity = device
	_, err = f.Issue(t.Context(), wider.renews(c, p.key))
	refused(t, err, provisioning.ReasonEntity)
	f.clock.Set(c.NotAfter)
	_, err = f.Issue(t.Context(), p.renews(c, p.key))
	refused(t, err, provisioning.ReasonExpired)
}

// TestRekey: with another key that the old one vouches for, and that wants it. The old one counts until the other is shown, and its
// copies are worth nothing from then on: no answer, no renewal, no new certificate when it is over.
func TestRekey(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(t, err)
	for _, tt := range []struct {
		name string
		key  crypto.Signer
	}{{"P-256", newKey(t)}, {"P-384", p384}, {"RSA", rsaKey(t, 2048)}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, p := newFixture(t), newPhone(t)
			c := f.issue(t, p)
			rekeyed, thief := *p, *p
			rekeyed.key, thief.key = tt.key, newKey(t)
			_, err := f.Issue(t.Context(), rekeyed.rekeys(c, p.key))
			refused(t, err, provisioning.ReasonEarly)

			f.clock.Advance(70 * day)
			second, err := f.Issue(t.Context(), rekeyed.rekeys(c, p.key))
			must(t, err)
			if second.Key == c.Key || second.Installation != c.Installation || second.Replaces != c.ID {
				t.Errorf("the renewal with another key is %+v", second)
			}
			again, err := f.Issue(t.Context(), rekeyed.rekeys(c, p.key)) // the answer was lost
			if err != nil || again.ID != second.ID {
				t.Errorf("asked again, it is %+v, %v", again, err)
			}
			for _, m := range []provisioning.Message{thief.rekeys(c, p.key), p.renews(c, p.key)} {
				_, err = f.Issue(t.Context(), m)
				refused(t, err, provisioning.ReasonReplaced)
			}
			f.present(t, p, c)
			f.present(t, &rekeyed, second)
			_, err = f.Present(t.Context(), p.shows(c))
			refused(t, err, provisioning.ReasonReplaced)
			for range 2 { // and when it is over
				for _, m := range []provisioning.Message{p.renews(c, p.key), thief.rekeys(c, p.key), p.asks(), p.rekeys(second, tt.key)} {
					_, err = f.Issue(t.Context(), m)
					refused(t, err, provisioning.ReasonReplaced)
				}
				f.clock.Set(c.NotAfter.Add(time.Hour))
			}
			f.present(t, &rekeyed, second)
			if got, err := f.Get(t.Context(), c.ID); err != nil || got.OverAt.IsZero() {
				t.Errorf("the old one is %+v, %v", got, err)
			}
		})
	}
}

// TestReplacedKeyThatIsOver: also while the other key was never shown, nothing follows a certificate that it has replaced.
func TestReplacedKeyThatIsOver(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	f.clock.Advance(70 * day)
	rekeyed := *p
	rekeyed.key = newKey(t)
	second, err := f.Issue(t.Context(), rekeyed.rekeys(c, p.key))
	must(t, err)
	f.clock.Set(c.NotAfter)
	_, err = f.Issue(t.Context(), p.asks())
	refused(t, err, provisioning.ReasonReplaced)
	f.present(t, &rekeyed, second)
}

// TestKeysInARow: a renewal shows the key that signs it, so the one before that is over, and never comes back.
func TestKeysInARow(t *testing.T) {
	t.Parallel()
	f, first := newFixture(t), newPhone(t)
	second, third := *first, *first
	second.key, third.key = newKey(t), newKey(t)
	c := f.issue(t, first)
	f.clock.Advance(70 * day)
	f.config.Profile.Validity = 3 * time.Hour // so that the first is not over by its time
	var err error
	f.Store, err = provisioning.New(f.config)
	must(t, err)
	b, err := f.Issue(t.Context(), second.rekeys(c, first.key))
	must(t, err)
	f.clock.Set(b.NotAfter.Add(-time.Minute))
	f.present(t, first, c)
	a, err := f.Issue(t.Context(), third.rekeys(b, second.key))
	must(t, err)
	_, err = f.Present(t.Context(), first.shows(c))
	refused(t, err, provisioning.ReasonReplaced)
	f.present(t, &second, b)
	f.present(t, &third, a)
	_, err = f.Present(t.Context(), second.shows(b))
	refused(t, err, provisioning.ReasonReplaced)
	f.clock.Set(a.NotAfter.Add(-time.Minute))
	_, err = f.Issue(t.Context(), first.rekeys(a, third.key))
	refused(t, err, provisioning.ReasonReplaced)
}

// TestPossession: the other key has to want it, here and now, and by its own signature: a request alone may be one that was seen of
// somebody else's phone, whose key would be taken for good.
func TestPossession(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	f.clock.Advance(70 * day)
	victim := newPhone(t)
	joined := *p
	joined.key = victim.key
	another := f.issue(t, newPhone(t))
	for _, tt := range []struct {
		name string
		m    provisioning.Message
	}{
		{"nothing", joined.renews(c, p.key)},
		{"by the old key", joined.rekeysAs(c, p.key, p.key, nil, nil)},
		{"by a third key", joined.rekeysAs(c, p.key, newKey(t), nil, nil)},
		{"of another type", joined.rekeysAs(c, p.key, victim.key, map[string]any{"typ": provisioning.TypRequest}, nil)},
		{"in the name of a certificate", joined.rekeysAs(c, p.key, victim.key, map[string]any{"kid": c.ID}, nil)},
		{"with a member more in the header", joined.rekeysAs(c, p.key, victim.key, map[string]any{"x5t": "AA"}, nil)},
		{"to another question", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"nonce": "another"})},
		{"for another server", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"aud": "https://other.example.com"})},
		{"for another realm", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"realm": "other"})},
		{"for another request", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"csr": hash([]byte("x"))})},
		{"for another device", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"renews": another.ID})},
		{"for no device", joined.rekeysAs(c, p.key, victim.key, nil, map[string]any{"renews": ""})},
		{"no text", joined.message(provisioning.TypRequest, c.ID, p.key, func(claims map[string]any) { claims["possession"] = "x" })},
	} {
		_, err := f.Issue(t.Context(), tt.m)
		refused(t, err, provisioning.ReasonPossession)
		if t.Failed() {
			t.Fatal(tt.name)
		}
	}
	f.issue(t, victim) // whose key is still his
}

// TestRekeyTwiceAtOnce: one of two other keys follows, whichever is faster.
func TestRekeyTwiceAtOnce(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c := f.issue(t, p)
	f.clock.Advance(70 * day)
	var together sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for range 8 {
		other := *p
		other.key = newKey(t)
		m := other.rekeys(c, p.key)
		together.Go(func() {
			_, err := f.Issue(t.Context(), m)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				good++
			} else {
				refused(t, err, provisioning.ReasonReplaced)
			}
		})
	}
	together.Wait()
	if good != 1 {
		t.Errorf("%d keys follow one", good)
	}
}

// TestNeverShown: a device that does not show its first certificate within an hour is forgotten, with its key, and one that was known
// before is not.
func TestNeverShown(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	first, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	f.clock.Advance(time.Hour - time.Second)
	again, err := f.Issue(t.Context(), p.asks())
	if err != nil || again.ID != first.ID {
		t.Errorf("within the hour there is %+v, %v", again, err)
	}
	f.clock.Advance(time.Second)
	_, err = f.Present(t.Context(), p.shows(first))
	refused(t, err, provisioning.ReasonUnknown)
	if _, err := f.Get(t.Context(), first.ID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("it is kept: %v", err)
	}
	c := f.issue(t, p)
	if c.Installation == first.Installation {
		t.Error("it is the device that was forgotten")
	}
	f.clock.Advance(2 * time.Hour)
	f.present(t, p, c)

	f.clock.Advance(70 * day)
	second, err := f.Issue(t.Context(), p.renews(c, p.key))
	must(t, err)
	f.clock.Set(c.NotAfter)
	f.present(t, p, second)
	f.clock.Set(second.NotAfter)
	third, err := f.Issue(t.Context(), p.asks()) // it is over, and known
	must(t, err)
	f.clock.Advance(day)
	f.present(t, p, third)
	if third.Installation != c.Installation || third.Replaces != second.ID {
		t.Errorf("what follows one that is over is %+v", third)
	}
}

// A store that fails when a certificate is shown for the first time is a fault; the next answer is taken.
func TestFirstShownFaults(t *testing.T) {
	t.Parallel()
	f, p := newFixture(t), newPhone(t)
	c, err := f.Issue(t.Context(), p.asks())
	must(t, err)
	f.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrUnavailable})
	_, err = f.Present(t.Context(), p.shows(c))
	if _, refused := errors.AsType[*provisioning.Refusal](err); refused || !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("the answer is %v", err)
	}
	f.db.Clear()
	f.present(t, p, c)
}
