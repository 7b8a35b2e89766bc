// SPDX-License-Identifier: Apache-2.0

package roster

import (
	"slices"
	"time"
)

// MaxDevices is how many devices of a user are remembered. Beyond that the one on which the user has not logged in for longest is
// forgotten.
const MaxDevices = 64

// metAnew is how long after a login the next one on the same device is written down again.
const metAnew = time.Hour

// Devices lists the devices on which a user has logged in: those whose proofs stood beside one that said who the user is.
type Devices struct {
	Subject string `json:"sub"`
	Met     []Met  `json:"met"`
}

// Met is what is known of a device in the list.
type Met struct {
	Device string `json:"device"`
	// Since is the first login, and Last the latest, to the hour.
	Since time.Time `json:"since"`
	Last  time.Time `json:"last"`
}

// Meet notes that the user logs in on a device, and reports whether that changes the list.
func (d *Devices) Meet(device string, now time.Time) bool {
	i := slices.IndexFunc(d.Met, func(m Met) bool { return m.Device == device })
	switch {
	case i < 0:
		d.Met = append(d.Met, Met{Device: device, Since: now, Last: now})
	case now.Sub(d.Met[i].Last) < metAnew:
		return false
	default:
		d.Met[i].Last = now
	}
	if len(d.Met) > MaxDevices {
		d.forget()
	}
	return true
}

func (d *Devices) forget() {
	oldest := 0
	for i, m := range d.Met {
		if m.Last.Before(d.Met[oldest].Last) {
			oldest = i
		}
	}
	d.Met = slices.Delete(d.Met, oldest, oldest+1)
}

// Expire drops the devices on which the user has not logged in for longer than ttl.
func (d *Devices) Expire(now time.Time, ttl time.Duration) {
	d.Met = slices.DeleteFunc(d.Met, func(m Met) bool { return now.Sub(m.Last) >= ttl })
}

// Last returns when the user has logged in last; the zero time of an empty list.
func (d *Devices) Last() time.Time {
	var last time.Time
	for _, m := range d.Met {
		if m.Last.After(last) {
			last = m.Last
		}
	}
	return last
}
