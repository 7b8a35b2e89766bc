// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestHashOfAHandset(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hashes := make([]string, 8)
		for _, err := range mobiletest.Together(8, func(i int) (err error) { hashes[i], err = h.Hash(t.Context(), "one"); return err }) {
			must(t, err)
		}
		for _, hash := range hashes {
			if hash != hashes[0] || len(hash) != 64 {
				t.Errorf("one handset is %q and %q", hash, hashes[0])
			}
		}
		other, err := h.Hash(t.Context(), "two")
		must(t, err)
		none, err := h.Hash(t.Context(), "")
		if other == hashes[0] || none != "" || err != nil {
			t.Errorf("another is %q, none is %q, %v", other, none, err)
		}
		if _, err := h.Hash(t.Context(), strings.Repeat("x", handset.MaxHandset+1)); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("a long one: %v", err)
		}
		for _, value := range h.values("handset_key") {
			if strings.Contains(value, `"key"`) {
				t.Error("the key is readable")
			}
		}
	})
}

// TestAHandsetIsRecognisedUnderAnotherSealingKey: with a new key in front of the old one.
func TestAHandsetIsRecognisedUnderAnotherSealingKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	before, err := h.Hash(t.Context(), "one")
	must(t, err)
	next, err := seal.New(
		seal.Key{ID: "new", Secret: []byte("ABCDEF0123456789abcdef0123456789")},
		seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")},
	)
	must(t, err)
	s, err := handset.New(handset.Config{DB: h.db, Sealer: next, Users: h.users, Audit: h.trail, Now: h.clock.Now})
	must(t, err)
	after, err := s.Hash(t.Context(), "one")
	if err != nil || after != before {
		t.Errorf("it is %q, was %q, %v", after, before, err)
	}
}

func TestLockingAHandset(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hash, err := h.Hash(t.Context(), "one")
		must(t, err)
		on := func(d *handset.Device) { d.Hash = hash }
		var ids []string
		for i, status := range []handset.Status{handset.Active, handset.Quarantined, handset.Pending} {
			d := h.add(fmt.Sprint("usr_", i), on, func(d *handset.Device) {
				d.Status = status
				if status == handset.Pending {
					d.PendingUntil = h.clock.Now().Add(time.Hour)
				}
			})
			ids = append(ids, d.ID)
		}
		gone := h.add("usr_9", on)
		_, err = h.Deactivate(h.ctx(), gone.ID, "")
		must(t, err)
		elsewhere := h.add("usr_0")
		locked, err := h.LockHash(h.ctx(), hash, "sold")
		must(t, err)
		if len(locked) != 3 {
			t.Errorf("%d were locked", len(locked))
		}
		for i, want := range []handset.Status{handset.Locked, handset.Locked, handset.Deactivated} {
			if got := h.get(ids[i]); got.Status != want || got.StatusReason != "sold" {
				t.Errorf("device %d is %s for %q", i, got.Status, got.StatusReason)
			}
		}
		if h.get(elsewhere.ID).Status != handset.Active {
			t.Error("a device elsewhere was locked")
		}
		if n := len(h.values("revoked/")); n != 4 { // one of them for the one that was deactivated before
			t.Errorf("%d revocations", n)
		}
		if _, err := h.tryAdd(fresh(t, "usr_5", on)); !errors.Is(err, handset.ErrBlocked) {
			t.Errorf("a new device on it: %v", err)
		}
		if again, err := h.LockHash(h.ctx(), hash, "sold"); err != nil || len(again) != 0 {
			t.Errorf("once more: %v, %v", again, err)
		}
		if b, found, err := h.Blocked(t.Context(), hash); err != nil || !found || b.Reason != "sold" || b.By != "operator" {
			t.Errorf("the block: %+v, %v, %v", b, found, err)
		}
		must(t, h.UnlockHash(h.ctx(), hash))
		h.add("usr_5", on)
		if h.get(ids[0]).Status != handset.Locked {
			t.Error("the devices were unlocked with it")
		}
		if err := h.UnlockHash(h.ctx(), hash); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("unlocking twice: %v", err)
		}
		for _, bad := range []string{"", "x", strings.Repeat("A", 64)} {
			if _, err := h.LockHash(h.ctx(), bad, ""); !errors.Is(err, handset.ErrInvalid) {
				t.Errorf("locking %q: %v", bad, err)
			}
		}
	})
}

// TestAHandsetThatIsRegisteredWhileItIsLocked ends up without a device that may answer.
func TestAHandsetThatIsRegisteredWhileItIsLocked(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hash, err := h.Hash(t.Context(), "one")
		must(t, err)
		errs := mobiletest.Together(9, func(i int) error {
			if i == 4 {
				_, err := h.LockHash(h.ctx(), hash, "")
				return err
			}
			_, err := h.tryAdd(fresh(t, fmt.Sprint("usr_", i), func(d *handset.Device) { d.Hash = hash }))
			return err
		})
		for _, err := range errs {
			if err != nil && !errors.Is(err, handset.ErrBlocked) {
				t.Error(err)
			}
		}
		devices, err := h.ByHash(t.Context(), hash, "", 0)
		must(t, err)
		for _, d := range devices {
			if d.Status != handset.Locked {
				t.Errorf("device %s is %s", d.ID, d.Status)
			}
		}
	})
}

// TestALockThatBreaksOffLeavesTheBlock and is finished by repeating it.
func TestALockThatBreaksOffLeavesTheBlock(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hash, err := h.Hash(t.Context(), "one")
		must(t, err)
		on := func(d *handset.Device) { d.Hash = hash }
		h.add("usr_1", on)
		h.add("usr_2", on)
		h.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Nth: 3, Err: errDown})
		done, err := h.LockHash(h.ctx(), hash, "")
		if !errors.Is(err, errDown) || len(done) != 1 {
			t.Fatalf("%d were locked, %v", len(done), err)
		}
		if _, err := h.tryAdd(fresh(t, "usr_3", on)); !errors.Is(err, handset.ErrBlocked) {
			t.Errorf("a new device: %v", err)
		}
		rest, err := h.LockHash(h.ctx(), hash, "")
		if err != nil || len(rest) != 1 {
			t.Errorf("the rest: %d, %v", len(rest), err)
		}
	})
}

func TestDeactivatingAllOfAUser(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for range 3 {
			h.add("usr_1")
		}
		other := h.add("usr_2")
		must(t, h.DeactivateAll(h.ctx(), "usr_1", "user_removed"))
		must(t, h.DeactivateAll(h.ctx(), "usr_1", "user_removed"))
		devices, err := h.ByUser(t.Context(), "usr_1")
		must(t, err)
		for _, d := range devices {
			if d.Status != handset.Deactivated || d.StatusReason != "user_removed" {
				t.Errorf("device %s is %s", d.ID, d.Status)
			}
		}
		if len(devices) != 3 || h.get(other.ID).Status != handset.Active {
			t.Errorf("%d devices, the other is %s", len(devices), h.get(other.ID).Status)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hash, err := h.Hash(t.Context(), "one")
		must(t, err)
		for i := range 5 {
			h.add(fmt.Sprint("usr_", i), func(d *handset.Device) { d.Hash = hash })
		}
		lists := map[string]func(after string, limit int) ([]handset.Device, error){
			"all": func(after string, limit int) ([]handset.Device, error) { return h.List(t.Context(), after, limit) },
			"by hash": func(after string, limit int) ([]handset.Device, error) {
				return h.ByHash(t.Context(), hash, after, limit)
			},
		}
		for name, list := range lists {
			seen, after := map[string]bool{}, ""
			for range 3 {
				page, err := list(after, 2)
				must(t, err)
				for _, d := range page {
					if seen[d.ID] || d.ID <= after {
						t.Errorf("%s: %s comes after %s", name, d.ID, after)
					}
					seen[d.ID], after = true, d.ID
				}
			}
			if len(seen) != 5 {
				t.Errorf("%s: %d devices", name, len(seen))
			}
		}
	})
}

// TestWithoutTheStore: every call says that the store is down, and nothing of it happened.
func TestWithoutTheStore(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		hash, err := h.Hash(t.Context(), "one")
		must(t, err)
		ctx := h.ctx()
		calls := map[string]func() error{
			"Get":           func() error { _, err := h.Get(ctx, d.ID); return err },
			"ByUser":        func() error { _, err := h.ByUser(ctx, d.UserID); return err },
			"ByHash":        func() error { _, err := h.ByHash(ctx, hash, "", 0); return err },
			"List":          func() error { _, err := h.List(ctx, "", 0); return err },
			"Hash":          func() error { _, err := h.Hash(ctx, "one"); return err },
			"History":       func() error { _, err := h.History(ctx, d.ID, 0, 0); return err },
			"Blocked":       func() error { _, _, err := h.Blocked(ctx, hash); return err },
			"Rename":        func() error { _, err := h.Rename(ctx, d.ID, "x", d.Version); return err },
			"Lock":          func() error { _, err := h.Lock(ctx, d.ID, ""); return err },
			"Unlock":        func() error { _, err := h.Unlock(ctx, d.ID); return err },
			"Lose":          func() error { _, err := h.Lose(ctx, d.ID, handset.Lost, ""); return err },
			"Deactivate":    func() error { _, err := h.Deactivate(ctx, d.ID, ""); return err },
			"DeactivateAll": func() error { return h.DeactivateAll(ctx, d.UserID, "") },
			"Quarantine":    func() error { _, err := h.Quarantine(ctx, d.ID, ""); return err },
			"Release":       func() error { _, err := h.Release(ctx, d.ID); return err },
			"LockHash":      func() error { _, err := h.LockHash(ctx, hash, ""); return err },
			"UnlockHash":    func() error { return h.UnlockHash(ctx, hash) },
			"SetPush":       func() error { _, err := h.SetPush(ctx, d.ID, nil); return err },
			"PushDead":      func() error { _, err := h.PushDead(ctx, d.ID, "a", "b"); return err },
			"Report":        func() error { _, err := h.Report(ctx, d.ID, "9", "9"); return err },
			"Seen":          func() error { return h.Seen(ctx, d.ID) },
			"Admit":         func() error { _, err := h.Admit(ctx, h.message(d)); return err },
			"ChangeFactor": func() error {
				_, _, err := h.ChangeFactor(ctx, h.message(d), h.said(pin(secret(1))), "biometric", nil)
				return err
			},
			"ChangeKeys": func() error {
				_, _, err := h.ChangeKeys(ctx, h.message(d), h.said(pin(secret(1))), mobiletest.Keys(t).Public(), nil)
				return err
			},
			"ChangePush": func() error { _, err := h.ChangePush(ctx, h.message(d), nil); return err },
			"Disconnect": func() error { _, err := h.Disconnect(ctx, h.message(d)); return err },
		}
		for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
			h.db.Inject(storagetest.Fault{Op: op, Err: errDown})
		}
		before := h.peek("")
		for name, call := range calls {
			if err := call(); !errors.Is(err, errDown) && !(name == "UnlockHash" && errors.Is(err, handset.ErrNotFound)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if after := h.peek(""); strings.Join(before, "\n") != strings.Join(after, "\n") {
			t.Error("something was written")
		}
	})
}

// peek reads the store behind its faults.
func (h *house) peek(prefix string) []string {
	h.t.Helper()
	h.db.Clear()
	defer func() {
		for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
			h.db.Inject(storagetest.Fault{Op: op, Err: errDown})
		}
	}()
	return h.values(prefix)
}

// TestAReplyThatIsLost: what was committed is there, and saying it again is no failure.
func TestAReplyThatIsLost(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		h.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
		if _, err := h.Lock(h.ctx(), d.ID, "a"); !errors.Is(err, storage.ErrUnknown) {
			t.Fatalf("locking: %v", err)
		}
		got, err := h.Lock(h.ctx(), d.ID, "a")
		if err != nil || got.Status != handset.Locked || len(h.values("revoked/")) != 1 {
			t.Errorf("again: %s, %v", got.Status, err)
		}
	})
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	good := handset.Config{DB: h.db, Sealer: sealer(t), Users: h.users, Audit: h.trail, Now: h.clock.Now}
	tests := []struct {
		name   string
		change func(*handset.Config)
	}{
		{"no store", func(c *handset.Config) { c.DB = nil }},
		{"no sealer", func(c *handset.Config) { c.Sealer = nil }},
		{"no users", func(c *handset.Config) { c.Users = nil }},
		{"no audit", func(c *handset.Config) { c.Audit = nil }},
		{"no clock", func(c *handset.Config) { c.Now = nil }},
		{"more tries than allowed", func(c *handset.Config) { c.MaxFailures = handset.MaxMaxFailures + 1 }},
		{"no end of devices", func(c *handset.Config) { c.MaxDevices = handset.MaxMaxDevices + 1 }},
		{"a window in the past", func(c *handset.Config) { c.Window = -1 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := good
			tt.change(&c)
			if _, err := handset.New(c); err == nil {
				t.Error("it is accepted")
			}
		})
	}
	_, err := handset.New(good)
	must(t, err)
}

// TestSecretsDoNotPrint in any of the ways in which somebody might log a device.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	d := fresh(t, "usr_1", func(d *handset.Device) {
		d.Factors[0].Secret, d.ServerKey, d.PGPServerKey = []byte("hush"), []byte("hush"), []byte("hush")
	})
	asJSON, err := json.Marshal(d)
	must(t, err)
	secretJSON, err := json.Marshal(d.Factors[0].Secret)
	must(t, err)
	for _, text := range []string{fmt.Sprint(d), fmt.Sprintf("%+v %#v", d, d), d.LogValue().String(), string(asJSON), string(secretJSON)} {
		if strings.Contains(text, "hush") || strings.Contains(text, "aHVza") || strings.Contains(text, "104 117 115") {
			t.Errorf("it prints in %s", text)
		}
	}
}

func TestADeviceIsFoundByTheKeyThatIsItsOwn(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.ServerKeyID, d.ServerKey = "key-1", []byte("private") })
		h.add("usr_1")
		got, err := h.ByServerKey(t.Context(), "key-1")
		if err != nil || got.ID != d.ID || string(got.ServerKey) != "private" {
			t.Errorf("found %q, %v", got.ID, err)
		}
		_, err = h.Deactivate(h.ctx(), d.ID, "")
		must(t, err)
		for _, kid := range []string{"key-1", "key-2", "", strings.Repeat("k", 600), "a\x00"} {
			if _, err := h.ByServerKey(t.Context(), kid); !errors.Is(err, handset.ErrNotFound) {
				t.Errorf("%q: %v", kid, err)
			}
		}
	})
}

func TestReportsOfVersions(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		got, err := h.Report(h.ctx(), d.ID, "2.0", "18.1")
		if err != nil || got.AppVersion != "2.0" || got.OS != "18.1" {
			t.Fatalf("%+v, %v", got, err)
		}
		again, err := h.Report(h.ctx(), d.ID, "2.0", "18.1")
		if err != nil || again.Version != got.Version {
			t.Errorf("the same: version %d, %v", again.Version, err)
		}
		if _, err := h.Report(h.ctx(), d.ID, "two point o", ""); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("no version: %v", err)
		}
		_, err = h.Lock(h.ctx(), d.ID, "")
		must(t, err)
		if _, err := h.Report(h.ctx(), d.ID, "3.0", ""); !errors.Is(err, handset.ErrTransition) {
			t.Errorf("of a locked one: %v", err)
		}
	})
}
