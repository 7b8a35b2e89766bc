// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
)

func TestEveryFieldHasItsRule(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	long := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name   string
		change func(*handset.Device)
	}{
		{"no id", func(d *handset.Device) { d.ID = "" }},
		{"an id that is none", func(d *handset.Device) { d.ID = "dev_../../x" }},
		{"no user", func(d *handset.Device) { d.UserID = "" }},
		{"a long user", func(d *handset.Device) { d.UserID = long(handset.MaxUserID + 1) }},
		{"a user with a line break", func(d *handset.Device) { d.UserID = "a\nb" }},
		{"no application", func(d *handset.Device) { d.Application = "" }},
		{"a platform that is none", func(d *handset.Device) { d.Platform = "I OS" }},
		{"a version that is none", func(d *handset.Device) { d.AppVersion = "1 2" }},
		{"a hash that is none", func(d *handset.Device) { d.Hash = "abc" }},
		{"a status that is none", func(d *handset.Device) { d.Status = "fine" }},
		{"a long name", func(d *handset.Device) { d.Name = long(handset.MaxName + 1) }},
		{"a very long name", func(d *handset.Device) { d.Name = strings.Repeat("\u200b", 2000) }},
		{"a name that is no text", func(d *handset.Device) { d.Name = "\xff" }},
		{"a long model", func(d *handset.Device) { d.Model = long(handset.MaxText + 1) }},
		{"a long system", func(d *handset.Device) { d.OS = long(handset.MaxText + 1) }},
		{"a long reason", func(d *handset.Device) { d.StatusReason = long(handset.MaxReason + 1) }},
		{"no signing key", func(d *handset.Device) { d.SignKey = nil }},
		{"a signing key that is none", func(d *handset.Device) { d.SignKey = json.RawMessage(`{"kty":"EC"}`) }},
		{"an encryption key that is none", func(d *handset.Device) { d.EncKey = json.RawMessage(`{"kty":"oct","k":"AAAA"}`) }},
		{"a point off the curve", func(d *handset.Device) {
			d.EncKey = json.RawMessage(`{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 42) + `E","y":"` + strings.Repeat("A", 42) + `E"}`)
		}},
		{"a large OpenPGP key", func(d *handset.Device) { d.PGP = make([]byte, handset.MaxPGP+1) }},
		{"a large server key", func(d *handset.Device) { d.ServerKey = make([]byte, handset.MaxServerKey+1) }},
		{"a large OpenPGP key of the server", func(d *handset.Device) { d.PGPServerKey = make([]byte, handset.MaxServerKey+1) }},
		{"a large public OpenPGP key of the server", func(d *handset.Device) { d.PGPServer = make([]byte, handset.MaxServerKey+1) }},
		{"a long name of a server key", func(d *handset.Device) { d.ServerKeyID = long(300) }},
		{"many old keys", func(d *handset.Device) { d.OldKeys = make([]handset.OldKeys, handset.MaxOldKeys+1) }},
		{"an unknown factor", func(d *handset.Device) { d.Factors[0].Kind = "voice" }},
		{"a custom factor without a name", func(d *handset.Device) { d.Factors[0].Kind = "custom:" }},
		{"possession as a factor", func(d *handset.Device) { d.Factors[0].Kind = envelope.MethodPossession }},
		{"a short secret", func(d *handset.Device) { d.Factors[0].Secret = secret(1)[:31] }},
		{"two PINs", func(d *handset.Device) { d.Factors = append(d.Factors, d.Factors[0]) }},
		{"many factors", func(d *handset.Device) {
			for i := range envelope.MaxFactors {
				d.Factors = append(d.Factors, handset.Factor{Kind: fmt.Sprint("custom:f", i), Secret: secret(1)})
			}
		}},
		{"a push service that is none", func(d *handset.Device) { d.Push = &handset.Push{Service: "A B", Address: "x"} }},
		{"no push address", func(d *handset.Device) { d.Push = &handset.Push{Service: "apns"} }},
		{"a long push address", func(d *handset.Device) {
			d.Push = &handset.Push{Service: "apns", Address: long(handset.MaxAddress + 1)}
		}},
		{"a format that is none", func(d *handset.Device) { d.Attestation.Format = "a b" }},
		{"a result that is none", func(d *handset.Device) { d.Attestation.Result = "good" }},
		{"a grade that is none", func(d *handset.Device) { d.Attestation = handset.Attestation{Result: handset.Verified, Grade: "good"} }},
		{"a grade that nothing shows", func(d *handset.Device) {
			d.Attestation = handset.Attestation{Result: handset.Failed, Grade: attestation.TEE}
		}},
		{"a long key of the platform's", func(d *handset.Device) { d.Attestation.Key = long(257) }},
		{"a long name of one", func(d *handset.Device) { d.Attestation.KeyID = long(257) }},
		{"a long name of the key that it is about", func(d *handset.Device) { d.Attestation.SignKeyID = long(257) }},
		{"a long detail", func(d *handset.Device) { d.Attestation.Detail = long(handset.MaxDetail + 1) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := fresh(t, "usr_1", tt.change)
			_, err := h.tryAdd(d)
			var field *handset.FieldError
			if !errors.Is(err, handset.ErrInvalid) || !errors.As(err, &field) || field.Field == "" {
				t.Fatalf("adding it: %v", err)
			}
			if _, err := h.Get(t.Context(), d.ID); !errors.Is(err, handset.ErrNotFound) {
				t.Errorf("it is there: %v", err)
			}
		})
	}
}

// TestOneKeyForBothUses: a key that signs does not decrypt.
func TestOneKeyForBothUses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	d := fresh(t, "usr_1")
	var jwk map[string]any
	must(t, json.Unmarshal(d.SignKey, &jwk))
	enc, err := json.Marshal(map[string]any{"kty": jwk["kty"], "crv": jwk["crv"], "x": jwk["x"], "y": jwk["y"]})
	must(t, err)
	d.EncKey = enc
	if _, err := h.tryAdd(d); !errors.Is(err, handset.ErrInvalid) {
		t.Errorf("adding it: %v", err)
	}
}

// TestLargestDeviceFits: whatever a device may have can be stored, also where every byte of it has to be escaped.
func TestLargestDeviceFits(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		text := func(n int) string { return strings.Repeat("<", n) }
		d := fresh(t, text(handset.MaxUserID), func(d *handset.Device) {
			d.Name, d.Model, d.OS, d.StatusReason = text(handset.MaxName), text(handset.MaxText), text(handset.MaxText), text(handset.MaxReason)
			d.Push = &handset.Push{Service: "apns", Address: text(handset.MaxAddress)}
			d.PGP, d.PGPServer = make([]byte, handset.MaxPGP), make([]byte, handset.MaxServerKey)
			d.ServerKey, d.PGPServerKey = make([]byte, handset.MaxServerKey), make([]byte, handset.MaxServerKey)
			d.Attestation = handset.Attestation{Format: "x", Result: handset.Failed, Detail: text(handset.MaxDetail)}
			for i := range envelope.MaxFactors - 1 {
				d.Factors = append(d.Factors, handset.Factor{Kind: fmt.Sprint("custom:", i, strings.Repeat("f", 31)), Secret: secret(9)})
			}
			for i := range handset.MaxOldKeys {
				d.OldKeys = append(d.OldKeys, handset.OldKeys{Sign: fmt.Sprintf("%043d", i), Enc: fmt.Sprintf("%043d", 100+i)})
			}
			d.OldKeys[0].SignKey, d.OldKeys[0].EncKey = d.SignKey, d.EncKey
		})
		_, err := h.tryAdd(d)
		must(t, err)
		_, err = h.Quarantine(h.ctx(), d.ID, d.StatusReason)
		must(t, err)
		other := &handset.Push{Service: "fcm", Address: d.Push.Address}
		if got, err := h.SetPush(h.ctx(), d.ID, other); err != nil || got.PushWanted == nil {
			t.Errorf("with another address beside it: %v", err)
		}
		if got := h.get(d.ID); got.Push.Address != d.Push.Address || len(got.Factors) != envelope.MaxFactors {
			t.Error("what comes back is something else")
		}
	})
}

// TestAKeyIsRegisteredOnce: not twice, not in the other role, not while its device is remembered, not one that a device had.
func TestAKeyIsRegisteredOnce(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		own, other, rolled := mobiletest.Keys(t).Public(), mobiletest.Keys(t).Public(), mobiletest.Keys(t).Public()
		first := h.add("usr_1", func(d *handset.Device) { must(t, d.SetKeys(own)) })
		refused := func(when string, pair envelope.PublicKeys) {
			t.Helper()
			d := fresh(t, "usr_2", func(d *handset.Device) { must(t, d.SetKeys(pair)) })
			if _, err := h.tryAdd(d); !errors.Is(err, handset.ErrKeyTaken) {
				t.Errorf("%s: %v", when, err)
			}
		}
		refused("both keys", own)
		refused("its signing key", envelope.PublicKeys{Sign: own.Sign, Enc: other.Enc})
		refused("its encryption key", envelope.PublicKeys{Sign: other.Sign, Enc: own.Enc})
		must(t, h.update(func(tx storage.Tx) error {
			d, _, err := h.Find(tx, first.ID)
			if err != nil {
				return err
			}
			if err := h.RollKeys(&d, d.SignKeyID, rolled); err != nil {
				return err
			}
			return h.Put(tx, &d, operator)
		}))
		refused("keys that it had", own)
		refused("keys that it has now", rolled)
		_, err := h.Deactivate(h.ctx(), first.ID, "")
		must(t, err)
		refused("keys of a deactivated device", rolled)
		h.clock.Advance(handset.KeepDeactivated)
		h.add("usr_2", func(d *handset.Device) { must(t, d.SetKeys(own)) })
		if _, err := h.Get(t.Context(), first.ID); !errors.Is(err, handset.ErrNotFound) {
			t.Errorf("the deactivated device after a year: %v", err)
		}
	})
}

func TestKeysRegisteredAtOnce(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		pair := mobiletest.Keys(t).Public()
		errs := mobiletest.Together(8, func(i int) error {
			d := fresh(t, fmt.Sprint("usr_", i), func(d *handset.Device) { must(t, d.SetKeys(pair)) })
			_, err := h.tryAdd(d)
			return err
		})
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, handset.ErrKeyTaken) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d devices have the key", won)
		}
	})
}

// TestAUserHasABoundedNumberOfDevices, also when they are added at once; a deactivated one makes room.
func TestAUserHasABoundedNumberOfDevices(t *testing.T) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, i, func(c *handset.Config) { c.MaxDevices = 3 })
			errs := mobiletest.Together(8, func(int) error {
				_, err := h.tryAdd(fresh(t, "usr_1"))
				return err
			})
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, handset.ErrLimit) {
					t.Error(err)
				}
			}
			devices, err := h.ByUser(t.Context(), "usr_1")
			must(t, err)
			if won != 3 || len(devices) != 3 {
				t.Fatalf("%d were added, %d are there", won, len(devices))
			}
			_, err = h.Lock(h.ctx(), devices[0].ID, "")
			must(t, err)
			if _, err := h.tryAdd(fresh(t, "usr_1")); !errors.Is(err, handset.ErrLimit) {
				t.Errorf("beside a locked one: %v", err)
			}
			_, err = h.Deactivate(h.ctx(), devices[0].ID, "")
			must(t, err)
			h.add("usr_1")
			h.add("usr_2")
		})
	}
}

// TestAPendingDeviceEndsByItself and frees its place, its keys and its address.
func TestAPendingDeviceEndsByItself(t *testing.T) {
	t.Parallel()
	for i, e := range engines.All {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, i, func(c *handset.Config) { c.MaxDevices = 1 })
			d := h.add("usr_1", func(d *handset.Device) {
				d.Status, d.PendingUntil = handset.Pending, h.clock.Now().Add(time.Minute)
				d.Push = &handset.Push{Service: "apns", Address: "a"}
			})
			again := d
			again.ID, again.Version, again.Status, again.PendingUntil = handset.NewID(), 0, handset.Active, time.Time{}
			if _, err := h.tryAdd(again); !errors.Is(err, handset.ErrLimit) {
				t.Fatalf("beside it: %v", err)
			}
			h.clock.Advance(time.Minute)
			_, err := h.tryAdd(again)
			must(t, err)
			if devices, err := h.ByUser(t.Context(), "usr_1"); err != nil || len(devices) != 1 || devices[0].ID != again.ID {
				t.Errorf("there are %v, %v", devices, err)
			}
			if _, err := h.Get(t.Context(), d.ID); !errors.Is(err, handset.ErrNotFound) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}

// TestDeactivatedDevicesArePushedOut: a user who registers all the time does not fill the store.
func TestDeactivatedDevicesArePushedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 0)
	var first string
	for i := range 40 {
		d := h.add("usr_1")
		if i == 0 {
			first = d.ID
		}
		_, err := h.Deactivate(h.ctx(), d.ID, "")
		must(t, err)
	}
	devices, err := h.ByUser(t.Context(), "usr_1")
	must(t, err)
	if len(devices) > 20 || len(devices) < 10 || len(h.values("handset/")) != len(devices) {
		t.Errorf("%d are listed, %d stored", len(devices), len(h.values("handset/")))
	}
	if _, err := h.Get(t.Context(), first); !errors.Is(err, handset.ErrNotFound) {
		t.Errorf("the first: %v", err)
	}
	if changes, err := h.History(t.Context(), first, 0, 0); err != nil || len(changes) != 2 {
		t.Errorf("its history: %v, %v", changes, err)
	}
}

func TestADeviceStaysWithItsUser(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		d.UserID = "usr_2"
		if err := h.update(func(tx storage.Tx) error { return h.Put(tx, &d, operator) }); !errors.Is(err, handset.ErrInvalid) {
			t.Errorf("giving it to another: %v", err)
		}
	})
}

// TestAPushAddressIsOnOneDevice: it moves within a user and within a handset, and is refused to everybody else.
func TestAPushAddressIsOnOneDevice(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		hash, err := h.Hash(t.Context(), "handset")
		must(t, err)
		push := handset.Push{Service: "fcm", Address: "address"}
		on := func(d *handset.Device) { d.Hash = hash }
		first, second, neighbour, stranger := h.add("usr_1", on), h.add("usr_1"), h.add("usr_2", on), h.add("usr_3")
		holder := func(want handset.Device) {
			t.Helper()
			for _, d := range []handset.Device{first, second, neighbour, stranger} {
				if got := h.get(d.ID).Push; (got != nil) != (d.ID == want.ID) {
					t.Errorf("device %q of %q has %v", d.ID, d.UserID, got)
				}
			}
		}
		set := func(d handset.Device) error {
			_, err := h.SetPush(h.ctx(), d.ID, &push)
			return err
		}
		must(t, set(second))
		holder(second)
		must(t, set(first))
		holder(first)
		must(t, set(neighbour))
		holder(neighbour)
		if err := set(stranger); !errors.Is(err, handset.ErrPushTaken) {
			t.Errorf("a stranger: %v", err)
		}
		if err := set(second); !errors.Is(err, handset.ErrPushTaken) {
			t.Errorf("on another handset: %v", err)
		}
		holder(neighbour)
		d := fresh(t, "usr_4", func(d *handset.Device) { d.Push = &push })
		if _, err := h.tryAdd(d); !errors.Is(err, handset.ErrPushTaken) {
			t.Errorf("a new device: %v", err)
		}
		other := push
		other.Service = "apns"
		if _, err := h.SetPush(h.ctx(), stranger.ID, &other); err != nil {
			t.Errorf("at another service: %v", err)
		}
		_, err = h.SetPush(h.ctx(), neighbour.ID, nil)
		must(t, err)
		must(t, set(second))
	})
}

// TestAnAddressIsTakenByAnActiveDeviceOnly: a registration that nobody has confirmed leaves the other device its notifications.
func TestAnAddressIsTakenByAnActiveDeviceOnly(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		push := &handset.Push{Service: "fcm", Address: "address"}
		first := h.add("usr_1", func(d *handset.Device) { d.Push = push })
		for _, status := range []handset.Status{handset.Pending, handset.Quarantined} {
			second := h.add("usr_1", func(d *handset.Device) {
				d.Push, d.Status, d.PendingUntil = push, status, h.clock.Now().Add(time.Hour)
			})
			if second.Push != nil || second.PushWanted == nil || h.get(first.ID).Push == nil {
				t.Fatalf("a device that is %s took the address", status)
			}
			second.Status = handset.Active
			must(t, h.update(func(tx storage.Tx) error {
				next := second
				return h.Put(tx, &next, operator)
			}))
			if got := h.get(second.ID); got.Push == nil || got.PushWanted != nil || h.get(first.ID).Push != nil {
				t.Errorf("after it became active it has %v", got.Push)
			}
			_, err := h.Deactivate(h.ctx(), second.ID, "")
			must(t, err)
			_, err = h.SetPush(h.ctx(), first.ID, push)
			must(t, err)
		}
		stranger := h.add("usr_2", func(d *handset.Device) { d.Push, d.Status = push, handset.Quarantined })
		got, err := h.Release(h.ctx(), stranger.ID)
		if err != nil || got.Status != handset.Active || got.Push != nil || got.PushWanted != nil || h.get(first.ID).Push == nil {
			t.Errorf("a stranger's device becomes %s with %v, %v", got.Status, got.Push, err)
		}
	})
}

// TestAQuarantinedDeviceKeepsItsAddress, and one that it sets then waits beside it.
func TestAQuarantinedDeviceKeepsItsAddress(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.Push = &handset.Push{Service: "fcm", Address: "one"} })
		_, err := h.Quarantine(h.ctx(), d.ID, "")
		must(t, err)
		got, err := h.SetPush(h.ctx(), d.ID, &handset.Push{Service: "fcm", Address: "two"})
		if err != nil || got.Push.Address != "one" || got.PushWanted.Address != "two" {
			t.Errorf("it has %v and wants %v, %v", got.Push, got.PushWanted, err)
		}
		got, err = h.Release(h.ctx(), d.ID)
		if err != nil || got.Push.Address != "two" || got.PushWanted != nil {
			t.Errorf("it has %v and wants %v, %v", got.Push, got.PushWanted, err)
		}
	})
}

func TestADeadPushAddress(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1", func(d *handset.Device) { d.Push = &handset.Push{Service: "fcm", Address: "old"} })
		_, err := h.PushDead(h.ctx(), d.ID, "fcm", "another")
		must(t, err)
		if !h.get(d.ID).Push.DeadAt.IsZero() {
			t.Fatal("what was said of another address counts")
		}
		got, err := h.PushDead(h.ctx(), d.ID, "fcm", "old")
		must(t, err)
		if got.Push.DeadAt.IsZero() || h.get(d.ID).Push.DeadAt.IsZero() {
			t.Fatal("it is not noted")
		}
		version := got.Version
		if got, err = h.PushDead(h.ctx(), d.ID, "fcm", "old"); err != nil || got.Version != version {
			t.Errorf("twice: %v, version %d", err, got.Version)
		}
		got, err = h.SetPush(h.ctx(), d.ID, &handset.Push{Service: "fcm", Address: "old"})
		must(t, err)
		if !got.Push.DeadAt.IsZero() {
			t.Error("set again, it is dead still")
		}
	})
}

func TestCleanName(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "Jan's phone", "Jan's phone"},
		{"space", " \t a \u00a0\u2003 b\n", "a b"},
		{"composition", "e\u0301", "é"},
		{"zero width", "a\u200b\u200d\ufeffb", "ab"},
		{"direction", "\u202eabc\u2066", "abc"},
		{"filler and selector", "a\u3164\ufe0fb", "ab"},
		{"controls", "a\x00\x1b[31mb", "a[31mb"},
		{"private and unassigned", "a\ue000\U000e01f0b", "ab"},
		{"emoji", "📱 1", "📱 1"},
		{"brought together", "e\u200b\u0301", "é"},
		{"nothing", "\u200b \u202e", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := handset.CleanName(tt.in); err != nil || got != tt.want {
				t.Errorf("CleanName(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func FuzzCleanName(f *testing.F) {
	for _, seed := range []string{"Jan's phone", " a \u200b b ", "e\u200b\u0301", "\u202e\xff", strings.Repeat("é", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := handset.CleanName(name)
		if err != nil {
			return
		}
		again, err := handset.CleanName(clean)
		if err != nil || again != clean {
			t.Errorf("%q is cleaned to %q, and that to %q, %v", name, clean, again, err)
		}
		if strings.ContainsAny(clean, "\x00\r\n\t\u200b\u202e\u2066") || len([]rune(clean)) > handset.MaxName {
			t.Errorf("%q is left of %q", clean, name)
		}
	})
}
