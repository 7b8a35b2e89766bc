// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// TestEndedIsTold: metrics are told of an operation when it is not open any more, and not before.
func TestEndedIsTold(t *testing.T) {
	t.Parallel()
	told := map[string]operation.State{}
	w := newWorld(t, 0, func(c *operation.Config) { c.Ended = func(o operation.Operation) { told[o.ID] = o.State } })
	p := w.phone("usr_1")
	approved, cancelled, open := w.ask("usr_1"), w.ask("usr_1"), w.ask("usr_1")
	if len(told) > 0 {
		t.Errorf("told of %v, which are open", told)
	}
	p.approve(approved)
	if _, err := w.Cancel(t.Context(), cancelled.ID, "changed my mind"); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || told[approved.ID] != operation.Approved || told[cancelled.ID] != operation.Cancelled {
		t.Errorf("told %v", told)
	}
	if state, is := told[open.ID]; is {
		t.Errorf("told of one that is open as %s", state)
	}
}
