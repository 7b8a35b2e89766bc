// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/delivery"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// TestReportsAreBounded: so many reports come from one address, with the secret or without; another address is not held up, and the
// first is heard again when it has waited as long as it was told.
func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	h := newHouse(t, nil)
	parts := h.parts
	parts.Now = clock.Now
	parts.Guests = &channels.Guests{SMS: []delivery.Gateway{{
		Name: "pigeons", Sender: &pigeons{address: h.url + "/sms/reports/pigeons/" + secretSegment},
	}}}
	built, err := phones.New(nil, bank(t), parts)
	must(t, err)
	face := built.Faces()["/sms/reports/pigeons/"]
	tell := func(address, secret string) *httptest.ResponseRecorder {
		ctx := httpx.WithCaller(t.Context(), httpx.Caller{ClientIP: address})
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/sms/reports/pigeons/"+secret, strings.NewReader(string(sms.Delivered)))
		w := httptest.NewRecorder()
		face.ServeHTTP(w, r)
		return w
	}
	admitted := 0
	for admitted < 10_000 && tell("192.0.2.1", "another-secret-0123456789").Code == http.StatusNotFound {
		admitted++
	}
	if admitted < 100 || admitted == 10_000 {
		t.Fatalf("%d are admitted at once", admitted)
	}
	refused := tell("192.0.2.1", secretSegment)
	wait, err := strconv.Atoi(refused.Header().Get("Retry-After"))
	if refused.Code != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 60 {
		t.Errorf("%d, Retry-After %q", refused.Code, refused.Header().Get("Retry-After"))
	}
	if got := tell("192.0.2.2", secretSegment).Code; got != http.StatusNoContent {
		t.Errorf("another address is answered with %d", got)
	}
	clock.Advance(time.Duration(wait) * time.Second)
	if got := tell("192.0.2.1", secretSegment).Code; got != http.StatusNoContent {
		t.Errorf("after the wait it is answered with %d", got)
	}
}
