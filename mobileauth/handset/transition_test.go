// SPDX-License-Identifier: Apache-2.0

package handset_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/storage"
)

var statuses = []handset.Status{
	handset.Pending, handset.Active, handset.Quarantined, handset.Locked, handset.Lost, handset.Stolen, handset.Deactivated,
}

// allowed is the picture in the documentation, in other words than the code's.
func allowed(from, to handset.Status) bool {
	if from == to {
		return true
	}
	switch to {
	case handset.Pending:
		return false
	case handset.Deactivated:
		return true
	case handset.Active, handset.Quarantined:
		return from != handset.Stolen && from != handset.Deactivated
	case handset.Locked:
		return from == handset.Active || from == handset.Quarantined || from == handset.Lost
	case handset.Lost:
		return from == handset.Active || from == handset.Quarantined || from == handset.Locked
	case handset.Stolen:
		return from != handset.Pending && from != handset.Deactivated
	}
	return false
}

// reach stores a new device and brings it to a status.
func (h *house) reach(status handset.Status) handset.Device {
	h.t.Helper()
	d := fresh(h.t, "usr_"+handset.NewID())
	switch status {
	case handset.Pending, handset.Quarantined:
		d.Status, d.PendingUntil = status, h.clock.Now().Add(time.Hour)
	}
	d, err := h.tryAdd(d)
	must(h.t, err)
	switch status {
	case handset.Locked:
		d, err = h.Lock(h.ctx(), d.ID, "")
	case handset.Lost, handset.Stolen:
		d, err = h.Lose(h.ctx(), d.ID, status, "")
	case handset.Deactivated:
		d, err = h.Deactivate(h.ctx(), d.ID, "")
	}
	must(h.t, err)
	if d.Status != status {
		h.t.Fatalf("the device is %s, want %s", d.Status, status)
	}
	return d
}

func TestEveryTransition(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for _, from := range statuses {
			for _, to := range statuses {
				d := h.reach(from)
				d.Status = to
				err := h.update(func(tx storage.Tx) error {
					next := d
					return h.Put(tx, &next, operator)
				})
				want := error(nil)
				if !allowed(from, to) {
					want = handset.ErrTransition
				}
				if !errors.Is(err, want) {
					t.Errorf("%s to %s: %v, want %v", from, to, err, want)
				}
				if from.May(to) != allowed(from, to) {
					t.Errorf("%s may become %s: %v", from, to, from.May(to))
				}
				if got := h.get(d.ID).Status; err != nil && got != from {
					t.Errorf("%s to %s was refused, and it is %s", from, to, got)
				}
			}
		}
	})
}

func TestANewDeviceIsNeverOut(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for _, status := range statuses {
			d := fresh(t, "usr_1", func(d *handset.Device) { d.Status = status })
			d.PendingUntil = h.clock.Now().Add(time.Hour)
			_, err := h.tryAdd(d)
			if got, want := errors.Is(err, handset.ErrTransition), status.Out(); got != want {
				t.Errorf("adding a device that is %s: %v", status, err)
			}
		}
	})
}

// TestCommands runs every command on a device of every status.
func TestCommands(t *testing.T) {
	type command struct {
		name string
		run  func(h *house, id string) (handset.Device, error)
		want map[handset.Status]handset.Status // what becomes of it; all others are refused
	}
	in := func(to handset.Status, from ...handset.Status) map[handset.Status]handset.Status {
		m := map[handset.Status]handset.Status{}
		for _, f := range from {
			m[f] = to
		}
		return m
	}
	commands := []command{
		{"lock", func(h *house, id string) (handset.Device, error) { return h.Lock(h.ctx(), id, "why") },
			in(handset.Locked, handset.Active, handset.Quarantined, handset.Locked, handset.Lost)},
		{"lose", func(h *house, id string) (handset.Device, error) { return h.Lose(h.ctx(), id, handset.Lost, "why") },
			in(handset.Lost, handset.Active, handset.Quarantined, handset.Locked, handset.Lost)},
		{"steal", func(h *house, id string) (handset.Device, error) { return h.Lose(h.ctx(), id, handset.Stolen, "why") },
			in(handset.Stolen, handset.Active, handset.Quarantined, handset.Locked, handset.Lost, handset.Stolen)},
		{"lose otherwise", func(h *house, id string) (handset.Device, error) { return h.Lose(h.ctx(), id, handset.Active, "why") }, nil},
		{"deactivate", func(h *house, id string) (handset.Device, error) { return h.Deactivate(h.ctx(), id, "why") },
			in(handset.Deactivated, statuses...)},
		{"quarantine", func(h *house, id string) (handset.Device, error) { return h.Quarantine(h.ctx(), id, "why") },
			in(handset.Quarantined, handset.Active, handset.Quarantined)},
		{"release", func(h *house, id string) (handset.Device, error) { return h.Release(h.ctx(), id) },
			in(handset.Active, handset.Active, handset.Quarantined)},
		{"unlock", func(h *house, id string) (handset.Device, error) { return h.Unlock(h.ctx(), id) },
			map[handset.Status]handset.Status{
				handset.Active: handset.Active, handset.Quarantined: handset.Quarantined, handset.Locked: handset.Active, handset.Lost: handset.Active,
			}},
	}
	for _, c := range commands {
		t.Run(c.name, func(t *testing.T) {
			over(t, func(t *testing.T, h *house) {
				for _, from := range statuses {
					d := h.reach(from)
					got, err := c.run(h, d.ID)
					to, fine := c.want[from]
					if !fine {
						if !errors.Is(err, handset.ErrTransition) || h.get(d.ID).Version != d.Version {
							t.Errorf("%s: %v", from, err)
						}
						continue
					}
					must(t, err)
					if got.Status != to {
						t.Errorf("%s becomes %s, want %s", from, got.Status, to)
					}
					if diff := cmp.Diff(got, h.get(d.ID)); diff != "" {
						t.Errorf("%s: what is returned is not what is stored:\n%s", from, diff)
					}
				}
				if _, err := c.run(h, handset.NewID()); !errors.Is(err, handset.ErrNotFound) && c.want != nil {
					t.Errorf("nobody: %v", err)
				}
			})
		})
	}
}

// TestUnlockingIsNoRelease: a detour over locked and lost does not lead out of quarantine.
func TestUnlockingIsNoRelease(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.reach(handset.Quarantined)
		for _, out := range []func() (handset.Device, error){
			func() (handset.Device, error) { return h.Lock(h.ctx(), d.ID, "a") },
			func() (handset.Device, error) { return h.Lose(h.ctx(), d.ID, handset.Lost, "b") },
			func() (handset.Device, error) { return h.Lock(h.ctx(), d.ID, "c") },
		} {
			_, err := out()
			must(t, err)
		}
		got, err := h.Unlock(h.ctx(), d.ID)
		must(t, err)
		if got.Status != handset.Quarantined || got.StatusReason != "" || !got.LockedAt.IsZero() {
			t.Errorf("after unlocking: %+v", got)
		}
	})
}

// TestWhatRestsOnADeviceEndsWithIt counts revocations as they were committed.
func TestWhatRestsOnADeviceEndsWithIt(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.reach(handset.Active)
		for i, step := range []struct {
			run  func() (handset.Device, error)
			want int
		}{
			{func() (handset.Device, error) { return h.Rename(h.ctx(), d.ID, "n", d.Version) }, 0},
			{func() (handset.Device, error) { return h.Lock(h.ctx(), d.ID, "a") }, 1},
			{func() (handset.Device, error) { return h.Lock(h.ctx(), d.ID, "b") }, 1},
			{func() (handset.Device, error) { return h.Unlock(h.ctx(), d.ID) }, 1},
			{func() (handset.Device, error) { return h.Quarantine(h.ctx(), d.ID, "") }, 2},
			{func() (handset.Device, error) { return h.Release(h.ctx(), d.ID) }, 2},
			{func() (handset.Device, error) { return h.Lose(h.ctx(), d.ID, handset.Stolen, "") }, 3},
			{func() (handset.Device, error) { return h.Deactivate(h.ctx(), d.ID, "") }, 4},
			{func() (handset.Device, error) { return h.Deactivate(h.ctx(), d.ID, "") }, 4},
		} {
			_, err := step.run()
			must(t, err)
			if got := len(h.values("revoked/" + d.ID)); got != step.want {
				t.Errorf("after step %d: %d revocations, want %d", i, got, step.want)
			}
		}
		if got := h.values("notice/" + d.ID); !slices.Contains(got, "status stolen deactivated") || !slices.Contains(got, "status active locked") {
			t.Errorf("notices: %q", got)
		}
	})
}

// TestARevocationThatFailsKeepsTheDevice: both or neither.
func TestARevocationThatFailsKeepsTheDevice(t *testing.T) {
	t.Parallel()
	fail := true
	h := newHouse(t, 0, func(c *handset.Config) {
		c.OnRevoke = append(c.OnRevoke, func(storage.Tx, handset.Device) error {
			if fail {
				return errDown
			}
			return nil
		})
	})
	d := h.reach(handset.Active)
	if _, err := h.Lock(h.ctx(), d.ID, ""); !errors.Is(err, errDown) {
		t.Fatalf("locking: %v", err)
	}
	if got := h.get(d.ID); got.Status != handset.Active || len(h.values("revoked/")) != 0 {
		t.Errorf("the device is %s", got.Status)
	}
	fail = false
	_, err := h.Lock(h.ctx(), d.ID, "")
	must(t, err)
}

func TestADeactivatedDeviceHasNoSecretsAndNoAddress(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		push := &handset.Push{Service: "apns", Address: "address"}
		d := h.add("usr_1", func(d *handset.Device) {
			d.ServerKey, d.PGPServerKey, d.Push = []byte("k"), []byte("k"), push
		})
		got, err := h.Deactivate(h.ctx(), d.ID, "gone")
		must(t, err)
		if got.Factors != nil || got.ServerKey != nil || got.PGPServerKey != nil || got.Push != nil {
			t.Errorf("it kept %+v", got)
		}
		h.add("usr_2", func(d *handset.Device) { d.Push = push })
		if _, err := h.Rename(h.ctx(), d.ID, "x", got.Version); !errors.Is(err, handset.ErrTransition) {
			t.Errorf("renaming it: %v", err)
		}
		if _, err := h.SetPush(h.ctx(), d.ID, nil); !errors.Is(err, handset.ErrTransition) {
			t.Errorf("its push address: %v", err)
		}
	})
}

func TestRenamingTakesTheVersion(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		got, err := h.Rename(h.ctx(), d.ID, "  My\tphone\u200b ", d.Version)
		must(t, err)
		if got.Name != "My phone" || got.Version != d.Version+1 {
			t.Errorf("it is %q in version %d", got.Name, got.Version)
		}
		if _, err := h.Rename(h.ctx(), d.ID, "Other", d.Version); !errors.Is(err, handset.ErrVersion) {
			t.Errorf("with the version of before: %v", err)
		}
		if got := h.get(d.ID); got.Name != "My phone" {
			t.Errorf("it is %q", got.Name)
		}
	})
}

// TestOneOfTwoWritersWins: two that read the same version do not overwrite each other.
func TestOneOfTwoWritersWins(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		errs := mobiletest.Together(8, func(i int) error {
			_, err := h.Rename(h.ctx(), d.ID, fmt.Sprint("name ", i), d.Version)
			return err
		})
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, handset.ErrVersion):
				t.Error(err)
			}
		}
		if won != 1 || h.get(d.ID).Version != d.Version+1 {
			t.Errorf("%d won", won)
		}
	})
}

func TestAStaleRecordIsNotWritten(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		d := h.add("usr_1")
		_, err := h.Lock(h.ctx(), d.ID, "helpdesk")
		must(t, err)
		d.SetFactor(handset.Factor{Kind: envelope.FactorBiometric, Secret: secret(3)})
		err = h.update(func(tx storage.Tx) error {
			next := d
			return h.Put(tx, &next, operator)
		})
		if got := h.get(d.ID); !errors.Is(err, handset.ErrVersion) || got.Status != handset.Locked {
			t.Errorf("%v, and the device is %s", err, got.Status)
		}
	})
}

func TestAQuarantinedOrUserlessDeviceIsNotUsable(t *testing.T) {
	over(t, func(t *testing.T, h *house) {
		for _, status := range statuses {
			d := h.reach(status)
			err := h.update(func(tx storage.Tx) error { return h.Usable(tx, &d) })
			if (err == nil) != (status == handset.Active) || err != nil && !errors.Is(err, handset.ErrUnusable) {
				t.Errorf("%s: %v", status, err)
			}
		}
		d := h.reach(handset.Active)
		h.users.Lock(d.UserID)
		if err := h.update(func(tx storage.Tx) error { return h.Usable(tx, &d) }); !errors.Is(err, handset.ErrUnusable) {
			t.Errorf("of a locked user: %v", err)
		}
		h.users.Say(d.UserID, errDown)
		err := h.update(func(tx storage.Tx) error { return h.Usable(tx, &d) })
		if !errors.Is(err, errDown) || errors.Is(err, handset.ErrUnusable) {
			t.Errorf("of a user who cannot be looked up: %v", err)
		}
	})
}
