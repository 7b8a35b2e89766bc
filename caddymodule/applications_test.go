// SPDX-License-Identifier: Apache-2.0

package caddymodule_test

import (
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// TestVersionsAreSeenByOtherNodes: a server that runs reads what another one over the same store has switched off.
func TestVersionsAreSeenByOtherNodes(t *testing.T) {
	t.Parallel()
	const bank = "application bank {\n ios com.example.bank\n version 1.* active\n}"
	here, there := open(t, usual+"\n"+bank, "").app, open(t, usual+"\n"+bank, "").app
	if !here.Apps().Disabled("bank", "ios", "1.0") {
		t.Error("a version is let in by a server that has not read what is switched off")
	}
	for _, app := range []interface{ Start() error }{here, there} {
		if err := app.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if here.Apps().Disabled("bank", "ios", "1.0") || here.Apps().Stale() {
		t.Error("a server that has started does not know the versions")
	}
	if _, err := here.Apps().Set(t.Context(), "bank", mobileauth.Rule{Pattern: "1.0", Status: mobileauth.Disabled}); err != nil {
		t.Fatal(err)
	}
	if !here.Apps().Disabled("bank", "ios", "1.0") {
		t.Error("a version is let in where it was switched off")
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	late := time.After(10 * mobileauth.Interval) // on a machine that is busy
	for !there.Apps().Disabled("bank", "ios", "1.0") {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("another server does not see that a version was switched off")
		}
	}
}
