// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/audit"
)

func TestActorTravelsInTheContext(t *testing.T) {
	t.Parallel()
	if got := audit.ActorOf(t.Context()); got != (audit.Actor{}) {
		t.Errorf("nobody was named: %+v", got)
	}
	want := audit.Actor{By: "client:portal", ClientID: "portal", ClientIP: "192.0.2.1", RequestID: "rq_1"}
	if got := audit.ActorOf(audit.WithActor(t.Context(), want)); got != want {
		t.Errorf("got %+v", got)
	}
}
