// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
)

// Wrong answers count although the realm asks on: on the trail, in the metrics and against the address.
func TestWrongAnswersThatAreAskedFurther(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		refusal *realm.Refusal
		counts  bool
		events  int
	}{
		{"a further question", nil, false, 0},
		{"wrong answers", &realm.Refusal{Reason: "wrong_answers"}, true, 3},
		{"nobody's fault", &realm.Refusal{Reason: "wrong_answers", Blameless: true}, false, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.challenge, b.result = &realm.Challenge{Message: "again", Refusal: tt.refusal}, accepted(alice)
			var observed []string
			var stored []audit.Event
			for n := range 3 {
				got, err := b.Try(b.request(address), visit("password"), nil)
				if err != nil || got.Challenge != b.challenge || got.Result.Status != "" {
					t.Fatalf("Try = %+v, %v", got, err)
				}
				if n < tt.events {
					observed = append(observed, "password:refused")
					stored = append(stored, audit.Event{
						Name: "login.attempt", Outcome: audit.Refused, Reason: "wrong_answers", ClientID: "app", Realm: "password",
						ClientIP: address, RequestID: "rid",
					})
				}
			}
			b.wantObserved(observed...)
			if diff := cmp.Diff(stored, b.stored); diff != "" {
				t.Errorf("stored events (-want +got):\n%s", diff)
			}
			got, err := b.Try(b.request(address), visit("password"), map[string]string{"code": "1"})
			if throttled := got.Result.Status == realm.Throttled; err != nil || throttled != tt.counts {
				t.Errorf("the next answers are %s, %v", got.Result.Status, err)
			}
			if got, err := b.Try(b.request("198.51.100.1"), visit("password"), map[string]string{}); err != nil || got.Result.Status != realm.Accepted {
				t.Errorf("another address is %s, %v", got.Result.Status, err)
			}
		})
	}
}

// A refusal that nobody could find afterwards is a fault, and nothing more is asked.
func TestWrongAnswersAndNoTrail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.challenge, b.trail = &realm.Challenge{Refusal: &realm.Refusal{}}, errBroken
	if got, err := b.Try(b.request(address), visit("password"), nil); !errors.Is(err, errBroken) || got.Challenge != nil {
		t.Errorf("Try = %+v, %v", got, err)
	}
}
