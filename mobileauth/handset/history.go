// SPDX-License-Identifier: Apache-2.0

package handset

import (
	"bytes"
	"context"
	"crypto/hmac"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/storage"
)

// KeepHistory is how long the history of a device is kept.
const KeepHistory = 365 * 24 * time.Hour

// Words of a [Change]. Each is also an audit event, with "device." in front.
const (
	Created  = "created"
	Restated = "status"
	Renamed  = "renamed"
	Rekeyed  = "keys"
	Factored = "factors"
	Pushed   = "push"
	Reported = "reported"
)

// Change is one version of a device.
type Change struct {
	DeviceID string    `json:"device"`
	Version  uint64    `json:"version"`
	At       time.Time `json:"at"`
	// What changed; there may be several things.
	What   []string `json:"what"`
	Status Status   `json:"status"`
	Reason string   `json:"reason,omitempty"`
	// By is who did it: "operator", "client:ID", "user:ID", "device:ID".
	By string `json:"by,omitempty"`
}

// id sorts the changes of a device by their version.
func (c *Change) id() string { return fmt.Sprintf("%s.%012d", c.DeviceID, c.Version) }

func changed(old, next *Device, now time.Time) Change {
	c := Change{DeviceID: next.ID, Version: next.Version, At: now, Status: next.Status}
	say := func(what string, yes bool) {
		if yes {
			c.What = append(c.What, what)
		}
	}
	if old.ID == "" {
		say(Created, true)
		return c
	}
	say(Restated, old.Status != next.Status || old.StatusReason != next.StatusReason)
	if len(c.What) > 0 {
		c.Reason = next.StatusReason
	}
	say(Renamed, old.Name != next.Name)
	say(Rekeyed, !bytes.Equal(old.SignKey, next.SignKey) || !bytes.Equal(old.EncKey, next.EncKey))
	say(Factored, !slices.EqualFunc(old.Factors, next.Factors, sameFactor))
	say(Pushed, old.Push.hash() != next.Push.hash() || old.Push != nil && next.Push != nil && old.Push.DeadAt != next.Push.DeadAt)
	say(Reported, old.AppVersion != next.AppVersion || old.OS != next.OS || old.Attestation != next.Attestation)
	return c
}

func sameFactor(a, b Factor) bool {
	return a.Kind == b.Kind && a.At.Equal(b.At) && hmac.Equal(a.Secret, b.Secret)
}

// event is what the audit trail has of a change: its first word, or that the record was written as it was.
func (c *Change) event(d *Device, by audit.Actor) audit.Event {
	name := "device.written"
	if len(c.What) > 0 {
		name = "device." + c.What[0]
	}
	reason := string(c.Status)
	if c.Reason != "" {
		reason += ": " + c.Reason
	}
	return audit.Event{
		Name: name, Outcome: audit.Accepted, Reason: reason, Subject: d.UserID, DeviceID: d.ID, Operation: d.Operation,
	}.Caused(by)
}

// History returns the changes of a device, oldest first and beginning after the given version, at most limit of them. It
// outlives the device.
func (s *Store) History(ctx context.Context, id string, after uint64, limit int) (changes []Change, err error) {
	if !validDevice.MatchString(id) {
		return nil, fmt.Errorf("reading the history of a device: %w", ErrNotFound)
	}
	from := Change{DeviceID: id, Version: after}
	err = s.db.View(ctx, func(tx storage.Tx) error {
		changes = nil
		for c, err := range s.history.All(tx, from.id(), page(limit)) {
			if err != nil {
				return err
			}
			if c.DeviceID != id {
				return nil
			}
			changes = append(changes, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of device %q: %w", id, err)
	}
	return changes, nil
}
