// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/internal/audit"
)

const (
	testSMS  = "mobile/test/sms"
	testPush = "mobile/test/push"
	number   = "+31612345678"
	masked   = "+31 ** *** **78"
)

// sent are the messages that the gateway took to a number.
func sent(to string) (n int) {
	for _, m := range gateway.Messages() {
		if m.To == to {
			n++
		}
	}
	return n
}

// What cannot be tried is said with the status that it has, names no number, and sends nothing.
func TestMobileTestsThatAreRefused(t *testing.T) {
	t.Parallel()
	const untouched = "+31611111111"
	for _, tt := range []struct {
		name, path, body string
		status           int
		says             string
	}{
		{"no JSON", testSMS, `to=` + untouched, 400, "not usable"},
		{"nothing", testSMS, "", 400, "not usable"},
		{"a list", testSMS, `["` + untouched + `"]`, 400, "not usable"},
		{"a member that there is not", testSMS, `{"to":"` + untouched + `","text":"buy"}`, 400, "text"},
		{"two objects", testSMS, `{"to":"` + untouched + `"}{"to":"` + untouched + `"}`, 400, "more follows"},
		{"too much", testSMS, `{"to":"` + untouched + `","language":"` + strings.Repeat("x", 65<<10) + `"}`, 400, "too large"},
		{"a dry run that is a word", testSMS, `{"to":"` + untouched + `","dry_run":"yes"}`, 400, "not usable"},
		{"no number", testSMS, `{}`, 400, "not a telephone number"},
		{"a number of a town", testSMS, `{"to":"0611111111"}`, 400, "international form"},
		{"a number with an extension", testSMS, `{"to":"` + untouched + `;ext=1"}`, 400, "international form"},
		{"a number that reorders", testSMS, `{"to":"\u202e` + untouched + `"}`, 400, "international form"},
		{"a number without end", testSMS, `{"to":"+` + strings.Repeat("3", 60<<10) + `"}`, 400, "international form"},
		{"a gateway that there is not", testSMS, `{"to":"` + untouched + `","gateway":"pigeons"}`, 400, `"pigeons"`},
		{"a gateway of a long name", testSMS, `{"to":"` + untouched + `","gateway":"` + strings.Repeat("p", 1000) + `"}`, 400, "no gateway"},
		{"a type that there is not", testSMS, `{"to":"` + untouched + `","type":"none"}`, 400, `"none"`},
		{"a type by push", testSMS, `{"to":"` + untouched + `","type":"push_pin"}`, 400, "with the method sms"},
		{"nobody's phone", testPush, `{"device":"dev_none"}`, 404, `"dev_none"`},
		{"no phone", testPush, `{}`, 404, "device"},
		{"a phone of a long name", testPush, `{"device":"` + strings.Repeat("d", 1000) + `"}`, 404, "device"},
		{"a phone with a line break", testPush, `{"device":"dev\n_1"}`, 404, `dev\n_1`},
		{"a member of the other", testPush, `{"device":"dev_none","to":"` + untouched + `"}`, 400, "to"},
		{"no object", testPush, `"dev_none"`, 400, "not usable"},
	} {
		got := send(http.MethodPost, tt.path, tt.body)
		wantProblem(t, tt.name, got, tt.status, tt.says)
		if strings.Contains(got.Body.String(), untouched[1:]) || got.Body.Len() > 500 {
			t.Errorf("%s: the answer repeats what it was told: %.300s", tt.name, got.Body)
		}
	}
	for _, path := range []string{testSMS, testPush} {
		if got := send(http.MethodGet, path, ""); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("looking at %s is %d", path, got.Code)
		}
	}
	if n := sent(untouched); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// tests are the events of tests that came as far as a gateway.
func tests(t *testing.T) (found []audit.Event) {
	t.Helper()
	for _, e := range read[audit.Page](t, send(http.MethodGet, "audit?limit=1000&name=mobile.test", "")).Events {
		if e.Object == "sms:provider" {
			found = append(found, e)
		}
	}
	return found
}

// A test is sent once, counted, and written down with the number masked. A dry run is neither. At once there are no more than the limit
// allows, however many ask.
func TestMobileTestMessages(t *testing.T) {
	t.Parallel()
	try := func(body string) phones.SMSTrial {
		t.Helper()
		got := send(http.MethodPost, testSMS, body)
		if strings.Contains(got.Body.String(), "612345678") || strings.Contains(got.Body.String(), "s3cret") {
			t.Errorf("the answer tells more than it should: %s", got.Body)
		}
		return read[phones.SMSTrial](t, got)
	}
	dry := try(`{"to":"+31 6 1234 5678","type":"sms_code","dry_run":true}`)
	if dry.Sent || !dry.DryRun || dry.To != masked || dry.Text != "Your code: 000000" || dry.Gateway != "provider" || dry.Kind != "http" || dry.Limits.User != 6 {
		t.Errorf("it would do %+v", dry)
	}
	if found := tests(t); len(found) != 0 || sent(number) != 0 {
		t.Fatalf("a dry run sent %d messages, and is written down: %+v", sent(number), found)
	}
	first := try(`{"to":"` + number + `","gateway":"provider"}`)
	if !first.Sent || first.MessageID == "" || first.Failure != nil || sent(number) != 1 {
		t.Fatalf("sent: %+v", first)
	}
	if failed := try(`{"to":"` + bad + `"}`); failed.Sent || failed.Failure == nil || failed.Failure.Class != "number" || failed.Failure.Advice == "" {
		t.Errorf("to a number that is none: %+v", failed.Failure)
	}
	if abroad := try(`{"to":"+447911123456"}`); abroad.Sent || abroad.Failure == nil || abroad.Failure.Reason != "country" || sent("+447911123456") != 0 {
		t.Errorf("to another country: %+v", abroad.Failure)
	}
	answers := make([]*httptest.ResponseRecorder, 12)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() { answers[i] = send(http.MethodPost, testSMS, `{"to":"`+number+`"}`) })
	}
	group.Wait()
	went, over := 0, 0
	for _, a := range answers {
		switch got := read[phones.SMSTrial](t, a); {
		case got.Sent:
			went++
		case got.Failure != nil && got.Failure.Reason == "limit_user":
			over++
		default:
			t.Errorf("at once: %+v", got)
		}
	}
	if went != 4 || over != 8 || sent(number) != 5 { // two were counted before, one of them refused by the gateway
		t.Errorf("of twelve at once %d went out and %d were over the limit of six; the gateway has %d", went, over, sent(number))
	}
	count := map[string]int{}
	for _, e := range tests(t) {
		if strings.Contains(e.Reason, number[3:]) || e.By != "operator" {
			t.Errorf("written down: %+v", e)
		}
		count[e.Outcome]++
	}
	if count["done"] != 5 || count["failed"] != 10 { // the number, the country, and eight over the limit
		t.Errorf("on the trail are %v", count)
	}
}

// What an operator sees of the channels has the types and the gateway, and no secret.
func TestMobileStatus(t *testing.T) {
	t.Parallel()
	got := send(http.MethodGet, "mobile/status", "")
	if got.Code != http.StatusOK || strings.Contains(got.Body.String(), "s3cret") || strings.Contains(got.Body.String(), number[1:]) {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	for _, want := range []string{"provider", "sms_code", "push_pin"} {
		if !strings.Contains(got.Body.String(), want) {
			t.Errorf("it says nothing of %s: %s", want, got.Body)
		}
	}
}
