// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

var (
	operator = audit.Actor{By: "operator"}
	errDown  = errors.New("the store is down")
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// house is a store of devices under test.
type house struct {
	*handset.Store
	t     testing.TB
	db    *storagetest.FaultyDB
	clock *storagetest.Clock
	users *mobiletest.Users
	trail *audit.Trail
}

func sealer(t testing.TB) storage.Sealer {
	s, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	must(t, err)
	return s
}

// newHouse counts revocations in the store, where a closure that runs twice counts once.
func newHouse(t testing.TB, engine int, change ...func(*handset.Config)) *house {
	t.Helper()
	h := &house{t: t, clock: storagetest.NewClock(), users: &mobiletest.Users{}}
	h.db = engines.All[engine].Open(t, h.clock.Now)
	var err error
	h.trail, err = audit.New(audit.Config{DB: h.db, Logger: slog.New(slog.DiscardHandler), Now: h.clock.Now})
	must(t, err)
	config := handset.Config{
		DB: h.db, Sealer: sealer(t), Users: h.users, Audit: h.trail, Now: h.clock.Now,
		OnRevoke: []func(storage.Tx, handset.Device) error{func(tx storage.Tx, d handset.Device) error {
			return tx.Put(storage.Item{Key: "revoked/" + d.ID + "/" + fmt.Sprint(d.Version), Value: []byte(d.Status)})
		}},
		OnNotice: []func(storage.Tx, handset.Notice) error{func(tx storage.Tx, n handset.Notice) error {
			value := fmt.Sprintf("%s %s %s", n.What, n.Before, n.Device.Status)
			return tx.Put(storage.Item{Key: fmt.Sprintf("notice/%s/%d/%d", n.Device.ID, n.Device.Version, n.Device.Failures), Value: []byte(value)})
		}},
	}
	for _, fn := range change {
		fn(&config)
	}
	h.Store, err = handset.New(config)
	must(t, err)
	return h
}

// over runs a test over every engine.
func over(t *testing.T, test func(t *testing.T, h *house)) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			test(t, newHouse(t, i))
		})
	}
}

// values are the stored values below a prefix, in the order of their keys.
func (h *house) values(prefix string) []string {
	h.t.Helper()
	var found []string
	must(h.t, h.db.View(h.t.Context(), func(tx storage.Tx) error {
		found = nil
		for item, err := range tx.Scan(prefix, "", 0) {
			if err != nil {
				return err
			}
			found = append(found, string(item.Value))
		}
		return nil
	}))
	return found
}

func (h *house) update(fn func(tx storage.Tx) error) error {
	return h.db.Update(h.t.Context(), fn)
}

func (h *house) ctx() context.Context { return audit.WithActor(h.t.Context(), operator) }

func secret(fill byte) handset.Secret {
	s := make([]byte, envelope.SecretLen)
	for i := range s {
		s[i] = fill
	}
	return s
}

// fresh describes a device of a user that has a PIN.
func fresh(t testing.TB, userID string, change ...func(*handset.Device)) handset.Device {
	d := handset.Device{
		ID: handset.NewID(), UserID: userID, Name: "Phone", Application: "bank", Platform: "ios", Status: handset.Active,
		Factors: []handset.Factor{{Kind: envelope.FactorPIN, Secret: secret(1)}},
	}
	must(t, d.SetKeys(mobiletest.Keys(t).Public()))
	for _, fn := range change {
		fn(&d)
	}
	return d
}

// add stores a device.
func (h *house) add(userID string, change ...func(*handset.Device)) handset.Device {
	h.t.Helper()
	d, err := h.tryAdd(fresh(h.t, userID, change...))
	must(h.t, err)
	return d
}

// tryAdd gives the closure a copy, since it may run twice.
func (h *house) tryAdd(d handset.Device) (stored handset.Device, err error) {
	err = h.update(func(tx storage.Tx) error {
		stored = d
		return h.Put(tx, &stored, operator)
	})
	return stored, err
}

func (h *house) get(id string) handset.Device {
	h.t.Helper()
	d, err := h.Get(h.t.Context(), id)
	must(h.t, err)
	return d
}

// answer has a proof judged as a caller does: found, and then verified, in one transaction.
func (h *house) answer(id string, p handset.Proof) (v handset.Verdict, err error) {
	said := h.said(p)
	err = h.update(func(tx storage.Tx) error {
		v = handset.Verdict{} // not that of a run that came to nothing
		d, found, err := h.Find(tx, id)
		if err != nil {
			return err
		}
		if !found {
			return handset.ErrNotFound
		}
		if err := h.Usable(tx, &d); err != nil {
			return err
		}
		v, err = h.Verify(tx, &d, said, audit.Actor{By: "device:" + id})
		return err
	})
	return v, err
}

// said is the proof with a statement that was made just now and was not heard before.
func (h *house) said(p handset.Proof) handset.Proof {
	p.Statement.ID, p.Statement.At = envelope.NewID(), h.clock.Now()
	return p
}

// statement is one that a device signed. Which is of no matter here: it is opened elsewhere.
var statement = sync.OnceValue(func() envelope.Statement {
	k, err := mobiletest.Draw()
	if err != nil {
		panic(err)
	}
	s, err := envelope.SignStatement(envelope.Statement{
		Device: "dev_x", Audience: "https://id.example.com", ID: envelope.NewID(), At: time.Unix(1, 0),
		Purpose: envelope.PurposeDisconnect,
	}, k)
	if err != nil {
		panic(err)
	}
	return s
})

// proof is one by a factor of a kind, made with the given secret.
func proof(kind string, s handset.Secret, accept ...string) handset.Proof {
	return handset.Proof{
		Statement: statement(), Accept: accept,
		Factors: envelope.Factors{kind: statement().MAC(envelope.Secret(s))},
	}
}

func pin(s handset.Secret) handset.Proof {
	return proof(envelope.FactorPIN, s, envelope.FactorPIN)
}
