// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
)

// TestNotMeIsFollowed: who began what a person did not is slowed and told for how long, the account page of every session of
// theirs warns, and those who watch over people hear of it, though the client that asked named no address.
func TestNotMeIsFollowed(t *testing.T) {
	t.Parallel()
	url, calls := receiver(t)
	h := newHouse(t, read(t, "mobile {\n callback "+url+" {\n alerts\n allow 127.0.0.0/8 ::1\n }\n}"), func(h *house) { h.parts.Account = new(phones.Account) })
	user, phone := h.enrol()
	other, _ := h.enrolAs("4712")
	ask := func(whom string) (*http.Response, map[string]any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+restapi.Path+"/operations/authentication",
			strings.NewReader(`{"user_id":"`+whom+`","context":{"title":"Sign in"}}`))
		must(t, err)
		r.Header.Set("Content-Type", "application/json")
		response, err := h.client.Do(r)
		must(t, err)
		defer func() { _ = response.Body.Close() }()
		var answer map[string]any
		must(t, json.NewDecoder(response.Body).Decode(&answer))
		return response, answer
	}
	owned, err := h.parts.Account.Of(t.Context(), user)
	must(t, err)
	if !owned.Disowned.IsZero() {
		t.Errorf("before they said anything the page warns of %v", owned.Disowned)
	}
	first, asked := ask(user)
	if first.StatusCode != http.StatusCreated || len(fmt.Sprint(asked["number"])) != 2 {
		t.Fatalf("%d %v: the number is asked by default", first.StatusCode, asked)
	}
	question, err := phone.Fetch(t.Context(), fmt.Sprint(asked["id"]))
	must(t, err)
	must(t, phone.Deny(t.Context(), question, envelope.NotMe)) // neither the number nor a PIN: to decline is no harder
	again, refused := ask(user)
	wait, err := strconv.Atoi(again.Header.Get("Retry-After"))
	if again.StatusCode != http.StatusTooManyRequests || err != nil || wait < 20 || wait > 30 || refused["code"] != "too_many_requests" {
		t.Errorf("%d, Retry-After %q, %v", again.StatusCode, again.Header.Get("Retry-After"), refused)
	}
	if response, answer := ask(other); response.StatusCode != http.StatusCreated {
		t.Errorf("somebody else is not asked: %d %v", response.StatusCode, answer)
	}
	if owned, err = h.parts.Account.Of(t.Context(), user); err != nil || time.Since(owned.Disowned) > time.Minute {
		t.Errorf("the page warns of %v: %v", owned.Disowned, err)
	}
	var alert struct{ Operation, Alert, State string }
	must(t, json.Unmarshal((<-calls).body, &alert))
	if alert.Operation != asked["id"] || alert.Alert != "not_me" {
		t.Errorf("the alert is %+v", alert)
	}
	page, err := h.parts.Trail.List(t.Context(), time.Time{}, 100)
	must(t, err)
	said := false
	for _, e := range page {
		said = said || e.Operation == asked["id"] && e.Name == "operation.answer" && e.Reason == "not_me"
	}
	if !said {
		t.Errorf("the trail does not say it: %+v", page)
	}
}

// TestTheNumberIsAskedBesideAFactor: a fingerprint or a PIN does not take its place.
func TestTheNumberIsAskedBesideAFactor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	user, phone := h.enrol()
	for _, kind := range []string{"authentication", "authorisation", "signature"} {
		status, asked := h.call("POST", "/operations/"+kind, `{"user_id":"`+user+`","methods":["pin"],"context":{"title":"Pay"}}`)
		if status != http.StatusCreated || len(fmt.Sprint(asked["number"])) != 2 {
			t.Fatalf("%s: %d %v", kind, status, asked)
		}
		question, err := phone.Fetch(t.Context(), fmt.Sprint(asked["id"]))
		must(t, err)
		if err := phone.Approve(t.Context(), question, device.Approval{Proof: device.Proof{PIN: pin}}); err == nil {
			t.Errorf("%s: it is approved without the number", kind)
		}
		if status, _ := h.call("POST", "/operations/"+fmt.Sprint(asked["id"])+"/cancel", `{}`); status != http.StatusOK {
			t.Fatalf("%s: taking it back: %d", kind, status)
		}
	}
}
