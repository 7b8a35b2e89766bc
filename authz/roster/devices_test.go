// SPDX-License-Identifier: Apache-2.0

package roster_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/roster"
)

func TestDevicesAreMet(t *testing.T) {
	t.Parallel()
	var d roster.Devices
	if !d.Last().IsZero() {
		t.Errorf("nobody has logged in, at %s", d.Last())
	}
	for _, tt := range []struct {
		name    string
		device  string
		after   time.Duration
		changes bool
	}{
		{"the first time", "ins_a", 0, true},
		{"again at once", "ins_a", time.Minute, false},
		{"another one", "ins_b", 30 * time.Minute, true},
		{"within the hour", "ins_a", time.Hour - 1, false},
		{"an hour later", "ins_a", time.Hour, true},
	} {
		if got := d.Meet(tt.device, noon.Add(tt.after)); got != tt.changes {
			t.Errorf("%s: changed %v, want %v", tt.name, got, tt.changes)
		}
	}
	want := []roster.Met{
		{Device: "ins_a", Since: noon, Last: noon.Add(time.Hour)},
		{Device: "ins_b", Since: noon.Add(30 * time.Minute), Last: noon.Add(30 * time.Minute)},
	}
	if diff := cmp.Diff(want, d.Met); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if got := d.Last(); !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("the last login was at %s", got)
	}
	d.Expire(noon.Add(90*time.Minute), time.Hour)
	if diff := cmp.Diff(want[:1], d.Met); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// Whoever logs in on one device after the other fills nothing, and loses the one that was there least lately.
func TestDevicesAreBounded(t *testing.T) {
	t.Parallel()
	var d roster.Devices
	for i := range roster.MaxDevices {
		d.Meet(fmt.Sprint("ins_", i), noon.Add(time.Duration(i)*time.Minute))
	}
	d.Meet("ins_0", noon.Add(2*time.Hour))
	d.Meet("ins_new", noon.Add(3*time.Hour))
	if len(d.Met) != roster.MaxDevices || d.Met[0].Device != "ins_0" || d.Met[1].Device != "ins_2" {
		t.Errorf("%d devices are left, beginning with %+v", len(d.Met), d.Met[:2])
	}
}
