// SPDX-License-Identifier: Apache-2.0

package backchannel_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// Section 7.3: the name of a request has its characters and its bits, and the record of one that is fetched does not hold it.
func TestNew(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, mode := range terms.Modes() {
		for range 20 {
			r, id := backchannel.New(noon, time.Minute, mode)
			if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(id) || len(id) < 43 || seen[id] || seen[r.ID] {
				t.Errorf("the name is %q", id)
			}
			seen[id], seen[r.ID] = true, true
			record, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if told := strings.Contains(string(record), id); told != mode.Told() {
				t.Errorf("%s: the record holds the name: %v", mode, told)
			}
			if r.State != backchannel.Waiting || !r.ExpiresAt.Equal(noon.Add(time.Minute)) || r.Interval != 5 || !backchannel.IsRequest(r.ID) {
				t.Errorf("it begins as %s", record)
			}
		}
	}
}

func TestIsRequest(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{"bcr_x": true, "bcr_": false, "bcr": false, "": false, "op_bcr_x": false, "bcrx_": false} {
		if got := backchannel.IsRequest(id); got != want {
			t.Errorf("%q is a request: %v", id, got)
		}
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	item, err := backchannel.Item("bcr_1", "op_1.ended", noon)
	if err != nil || item.Kind != backchannel.SettleKind || item.ID != "op_1.ended" || !item.At.Equal(noon) {
		t.Fatalf("the item is %+v, %v", item, err)
	}
	if request, err := backchannel.ParseItem(item); request != "bcr_1" || err != nil {
		t.Errorf("it is about %q, %v", request, err)
	}
	item.Payload = []byte(`{"request":""}`)
	if _, err := backchannel.ParseItem(item); !outbox.AdviceOf(err).Permanent {
		t.Errorf("one about nothing is %v", err)
	}
}

func TestNewStoreNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := backchannel.NewStore(backchannel.Config{}); err == nil {
		t.Error("a store of nothing")
	}
}
