// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// Book is the lists of devices in a store. It works within its caller's transactions and is safe for concurrent use.
type Book struct {
	keep    time.Duration
	devices *storage.Table[Devices]
}

// NewBook returns a book that remembers a device for as long after the last login on it as it is told: no shorter than anything that
// rests on a login can last.
func NewBook(keep time.Duration) *Book {
	return &Book{keep: keep, devices: &storage.Table[Devices]{
		Name: "userdevice", Version: 1,
		ID:     func(d *Devices) string { return d.Subject },
		Expiry: func(d *Devices) time.Time { return d.Last().Add(keep) },
	}}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables() []storage.Kind { return []storage.Kind{NewBook(0).devices} }

// Key returns where the devices of a user stand, for [storage.Prefetch].
func (b *Book) Key(subject string) string { return b.devices.Key(subject) }

// Meet notes that a user logs in on devices. Nothing is written that the list says already.
func (b *Book) Meet(tx storage.Tx, subject string, devices []string, now time.Time) error {
	if len(devices) == 0 {
		return nil
	}
	d, err := b.list(tx, subject, now)
	if err != nil {
		return err
	}
	changed := false
	for _, device := range devices {
		changed = d.Meet(device, now) || changed
	}
	if !changed {
		return nil
	}
	return b.devices.Put(tx, d)
}

// Of returns the devices on which a user has logged in.
func (b *Book) Of(tx storage.Tx, subject string, now time.Time) (devices []string, err error) {
	d, err := b.list(tx, subject, now)
	for _, met := range d.Met {
		devices = append(devices, met.Device)
	}
	return devices, err
}

func (b *Book) list(tx storage.Tx, subject string, now time.Time) (Devices, error) {
	d, _, err := b.devices.Find(tx, subject)
	d.Subject = subject
	d.Expire(now, b.keep)
	return d, err
}
