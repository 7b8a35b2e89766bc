// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
)

const payment = `{"user_external_ref":"crm-1","context":{"title":"Pay","content":"Pay Ann","fields":[{"type":"amount","label":"Amount","value":"10.00","currency":"EUR"},{"type":"payee","label":"To","value":"Ann"}],"language":"en"},"external_id":"pay-7","time_to_live":300,"number_match":4,"methods":["biometric","pin"],"callback_url":"https://portal.example.com/done"}`

// person is a user with a phone that answers.
type person struct {
	w      *world
	userID string
	device string
	keys   envelope.Keys
	secret envelope.Secret
}

func (w *world) person() *person {
	w.t.Helper()
	p := &person{w: w, userID: w.addUser(alice).get("id"), keys: mobiletest.Keys(w.t)}
	var err error
	p.secret, err = envelope.NewSecret()
	must(w.t, err)
	p.device = w.addDevice(p.userID, func(d *handset.Device) {
		must(w.t, d.SetKeys(p.keys.Public()))
		d.Factors[0].Secret = p.secret[:]
	}).ID
	return p
}

// answer decides on an operation as the phone would: over the bytes that the API shows, with the number if there is one.
func (p *person) answer(o *answer, decision envelope.Decision) operation.Outcome {
	p.w.t.Helper()
	now := p.w.clock.Now()
	s := envelope.Statement{
		Device: p.device, Audience: issuer, ID: envelope.NewID(), At: now, Purpose: envelope.PurposeApproval,
		Operation: o.get("id"), DisplayHash: envelope.DisplayHash([]byte(o.get("display"))), Decision: decision,
		Number: o.get("number"), Method: envelope.FactorPIN,
	}
	if decision == envelope.Deny {
		s.Reason, s.Number, s.Method = envelope.NotMe, "", ""
	}
	signed, err := envelope.SignStatement(s, p.keys)
	must(p.w.t, err)
	a := operation.Answer{
		Message:   handset.Message{DeviceID: p.device, KID: p.keys.Public().Sign.ID(), JTI: envelope.NewID(), IssuedAt: now},
		Statement: signed, Factors: envelope.Factors{},
	}
	if decision == envelope.Approve {
		a.Factors[envelope.FactorPIN] = signed.MAC(p.secret)
	}
	out, err := p.w.operations.Answer(p.w.t.Context(), a)
	must(p.w.t, err)
	return out
}

func TestPaymentIsApprovedAndRedeemed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	started := w.do("POST", "/operations/authorisation", payment, "Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").is(201)
	id := started.get("id")
	if started.Get("Location") != "/api/v1/operations/"+id || len(started.get("number")) != 4 || started.get("state") != "pending" ||
		started.get("user_id") != p.userID || started.get("methods") != "[biometric pin]" || started.get("callback_url") == "" ||
		!strings.Contains(started.get("display"), `"value":"10.00"`) || started.Get("Traceparent") == "" {
		t.Errorf("%v %s", started.Header, started.body)
	}
	w.do("POST", "/operations/"+id+"/redeem", "").is(409).refused("invalid_state")
	if out := p.answer(started, envelope.Approve); out.Code != operation.Accepted {
		t.Fatalf("%+v", out)
	}
	approved := w.do("GET", "/operations/"+id, "").is(200)
	if approved.get("state") != "approved" || approved.get("number") != "" || approved.get("method") != "pin" || approved.get("factor") != "true" ||
		approved.get("answered_by") != p.device || approved.get("statement") == "" || approved.get("redeem_by") == "" {
		t.Errorf("%s", approved.body)
	}
	w.do("POST", "/operations/"+id+"/cancel", "").is(409).refused("invalid_state")
	if redeemed := w.do("POST", "/operations/"+id+"/redeem", "").is(200); redeemed.get("state") != "redeemed" {
		t.Errorf("%s", redeemed.body)
	}
	w.do("POST", "/operations/"+id+"/redeem", "").is(409).refused("invalid_state")
}

func TestDenialIsData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	started := w.do("POST", "/operations/authorisation", payment).is(201)
	p.answer(started, envelope.Deny)
	if a := w.do("GET", "/operations/"+started.get("id"), "").is(200); a.get("state") != "denied" || a.get("reason") != "not_me" {
		t.Errorf("%s", a.body)
	}
	if a := w.do("GET", "/users/"+p.userID+"/standing", "").is(200); a.get("not_me") != "true" || a.get("open") != "[]" {
		t.Errorf("%s", a.body)
	}
	w.do("POST", "/users/"+p.userID+"/unblock", `{"reason":"asked by phone"}`).is(204)
	if a := w.do("GET", "/users/"+p.userID+"/standing", "").is(200); a.get("not_me") != "false" {
		t.Errorf("%s", a.body)
	}
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	started := w.do("POST", "/operations/authorisation", payment).is(201)
	path := "/operations/" + started.get("id")
	ended := make(chan *answer, 1)
	delivered := make(chan *answer, 1)
	go func() { delivered <- w.do("GET", path+"?wait=60s&version=1", "") }()
	go func() { ended <- w.do("GET", path+"?wait=60", "") }()
	for w.operations.Waiting() < 2 {
		runtime.Gosched()
	}
	if _, err := w.operations.Deliver(t.Context(), started.get("id"), p.device); err != nil {
		t.Fatal(err)
	}
	if a := (<-delivered).is(200); a.get("state") != "delivered" {
		t.Errorf("%s", a.body)
	}
	p.answer(started, envelope.Approve)
	if a := (<-ended).is(200); a.get("state") != "approved" {
		t.Errorf("%s", a.body)
	}
	w.do("GET", path+"?wait=60", "").is(200) // what has ended is not waited for
	for _, bad := range []string{"?wait=soon", "?wait=-1s", "?wait=1m", "?wait=99999s", "?version=0", "?version=x", "?waits=1"} {
		w.do("GET", path+bad, "").is(400).refused("invalid_parameter")
	}
}

func TestLongPollEndsWithItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.person()
		path := "/operations/" + w.do("POST", "/operations/authorisation", payment).is(201).get("id")
		began := time.Now()
		if a := w.do("GET", path+"?wait=20s", "").is(200); a.get("state") != "pending" {
			t.Errorf("%s", a.body)
		}
		if took := time.Since(began); took < 19*time.Second || took > 22*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestLongPollEndsWithItsCaller: nobody is waited for who has gone.
func TestLongPollEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person()
	r := w.request("GET", "/operations/"+w.do("POST", "/operations/authorisation", payment).is(201).get("id")+"?wait=60s", "")
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan *answer, 1)
	go func() { done <- w.send(r.WithContext(ctx), "") }()
	for w.operations.Waiting() < 1 {
		runtime.Gosched()
	}
	cancel()
	(<-done).is(503)
	if w.operations.Waiting() != 0 {
		t.Error("somebody waits still")
	}
}

// TestOnlyTheStarterKnows: to another client an operation is not there, unless its scopes say more; and the number is for the
// client that began.
func TestOnlyTheStarterKnows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	started := w.do("POST", "/operations/authorisation", payment).is(201)
	path := "/operations/" + started.get("id")
	const other, desk = "Test other gatehouse:operations", "Test desk gatehouse:operations gatehouse:operations:all"
	for _, call := range [][2]string{{"GET", ""}, {"POST", "/cancel"}, {"POST", "/redeem"}} {
		w.do(call[0], path+call[1], "", "Authorization", other).is(404).refused("not_found")
	}
	list := func(auth, query string) string {
		return w.do("GET", "/operations?"+query, "", "Authorization", auth).is(200).get("operations")
	}
	if list(other, "user_id="+p.userID) != "[]" || list(other, "external_id=pay-7") != "[]" || list(all, "external_id=pay-7") == "[]" {
		t.Error("a list tells what the call for one does not")
	}
	seen := w.do("GET", path, "", "Authorization", desk).is(200)
	if seen.get("number") != "" || seen.get("id") != started.get("id") || list(desk, "user_id="+p.userID) == "[]" || strings.Contains(list(desk, "user_id="+p.userID), "number:") {
		t.Errorf("%s", seen.body)
	}
	p.answer(started, envelope.Approve)
	w.do("POST", path+"/redeem", "", "Authorization", desk).is(409).refused("invalid_state")
	w.do("GET", path, "", "Authorization", "Test portal gatehouse:operations:all").is(403).refused("insufficient_scope")
	w.do("POST", path+"/redeem", "", "Authorization", "Test portal gatehouse:operations:read").is(403).refused("insufficient_scope")
	w.do("POST", path+"/redeem", "").is(200)
	w.do("GET", "/operations", "").is(400).refused("invalid_parameter")
	w.do("GET", "/operations?user_id=a&external_id=b", "").is(400).refused("invalid_parameter")
}

// TestOthersLeaveNoTrace: what another client asks a user is not told by a cursor, by a short page, or by the user's standing.
func TestOthersLeaveNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	const other, desk = "Test other gatehouse:operations", "Test desk gatehouse:operations gatehouse:operations:all"
	question := `{"user_id":"` + p.userID + `","context":{"title":"Pay"}}`
	theirs := w.do("POST", "/operations/authorisation", question, "Authorization", other).is(201).get("id")
	w.clock.Advance(time.Millisecond)
	first := w.do("POST", "/operations/authorisation", payment).is(201).get("id")
	w.clock.Advance(time.Millisecond)
	w.do("POST", "/operations/authorisation", question, "Authorization", other).is(201)
	w.clock.Advance(time.Millisecond)
	second := w.do("POST", "/operations/authorisation", payment).is(201).get("id")

	list := "/operations?limit=1&user_id=" + p.userID
	page := w.do("GET", list, "").is(200)
	if !strings.Contains(page.get("operations"), second) || page.get("next") == "" {
		t.Fatalf("the first page: %s", page.body)
	}
	page = w.do("GET", list+"&cursor="+page.get("next"), "").is(200)
	if !strings.Contains(page.get("operations"), first) || page.get("next") != "" {
		t.Errorf("the second page, behind which is only another's: %s", page.body)
	}
	standing := func(auth ...string) string {
		return w.do("GET", "/users/"+p.userID+"/standing", "", auth...).is(200).get("open")
	}
	if got := standing(); strings.Contains(got, theirs) || !strings.Contains(got, first) || !strings.Contains(got, second) {
		t.Errorf("the user's standing is %s", got)
	}
	if got := standing("Authorization", desk); !strings.Contains(got, theirs) || !strings.Contains(got, first) {
		t.Errorf("to a client that sees all it is %s", got)
	}
}

func TestIdempotentStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person()
	first := w.do("POST", "/operations/authorisation", payment, "Idempotency-Key", "k").is(201)
	again := w.do("POST", "/operations/authorisation", payment, "Idempotency-Key", "k").is(200)
	if again.get("id") != first.get("id") || again.Get("Idempotent-Replayed") != "true" || again.get("number") != first.get("number") || again.Get("Location") != first.Get("Location") {
		t.Errorf("%s", again.body)
	}
	changed := strings.Replace(payment, "10.00", "10.01", 1)
	w.do("POST", "/operations/authorisation", changed, "Idempotency-Key", "k").is(422).refused("idempotency_key_reused")
	w.do("POST", "/operations/signature", payment, "Idempotency-Key", "k").is(422).refused("idempotency_key_reused")
	w.do("POST", "/operations/authorisation", payment, "Idempotency-Key", "").is(201)
}

func TestBadStarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	body := func(members string) string {
		return `{"user_id":"` + p.userID + `","context":{"title":"Pay"}` + members + `}`
	}
	for _, test := range []struct {
		name, kind, body string
		status           int
		code, params     string
	}{
		{"nobody", "authorisation", `{"context":{"title":"Pay"}}`, 422, "invalid_value", "[user_id]"},
		{"two names", "authorisation", body(`,"user_external_ref":"crm-1"`), 422, "invalid_value", "[user_id]"},
		{"unknown user", "authorisation", `{"user_id":"usr_x","context":{"title":"Pay"}}`, 409, "not_possible", "[]"},
		{"unknown reference", "authorisation", `{"user_external_ref":"x","context":{"title":"Pay"}}`, 409, "not_possible", "[]"},
		{"unknown device", "authorisation", body(`,"device_id":"dev_x"`), 409, "not_possible", "[]"},
		{"unknown kind", "payment", body(""), 404, "not_found", "[]"},
		{"an operation", "op_x", body(""), 405, "method_not_allowed", "[]"},
		{"no time", "authorisation", body(`,"time_to_live":0`), 422, "invalid_value", "[time_to_live]"},
		{"too long", "authorisation", body(`,"time_to_live":601`), 422, "invalid_value", "[time_to_live]"},
		{"one digit", "authorisation", body(`,"number_match":1`), 422, "invalid_value", "[number_match]"},
		{"nine digits", "authorisation", body(`,"number_match":9`), 422, "invalid_value", "[number_match]"},
		{"another's callback", "authorisation", body(`,"callback_url":"https://portal.example.com/done?x"`), 422, "invalid_value", "[callback_url]"},
		{"a method that is none", "authorisation", body(`,"methods":["face"]`), 422, "invalid_value", "[methods[0]]"},
		{"right to left", "authorisation", `{"user_id":"x","context":{"title":"Pay ` + "\u202e" + `001"}}`, 422, "invalid_value", "[context.title]"},
		{"zero width", "authorisation", `{"user_id":"x","context":{"title":"Pay","content":"a` + "\u200b" + `b"}}`, 422, "invalid_value", "[context.content]"},
		{"a field of no type", "authorisation", body(`,"methods":{}`), 400, "invalid_body", "[methods]"},
		{"unknown inside", "authorisation", `{"user_id":"x","context":{"title":"Pay","fields":[{"typ":"amount"}]}}`, 400, "invalid_body", "[context.fields[0].typ]"},
		{"1 MiB of context", "signature", `{"user_id":"x","context":{"title":"Pay","content":"` + strings.Repeat("x", 1<<20) + `"}}`, 413, "body_too_large", "[]"},
		{"60 KiB of context", "signature", `{"user_id":"x","context":{"title":"Pay","content":"` + strings.Repeat("x", 60<<10) + `"}}`, 422, "invalid_value", "[context.content]"},
		{"a registration of nobody", "registration", `{"user_id":"x","application":"bank"}`, 409, "not_possible", "[]"},
		{"a registration for no app", "registration", `{"user_id":"` + p.userID + `"}`, 422, "invalid_value", "[]"},
		{"a registration for another app", "registration", `{"user_id":"` + p.userID + `","application":"shop"}`, 422, "invalid_value", "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := w.on(t).do("POST", "/operations/"+test.kind, test.body).is(test.status)
			if got := fmt.Sprint(a.refused(test.code)); got != test.params {
				t.Errorf("%s: %s", got, a.body)
			}
		})
	}
}

func TestTooManyOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.person()
	for range 5 {
		w.do("POST", "/operations/authorisation", payment).is(201)
	}
	w.do("POST", "/operations/authorisation", payment).is(409).refused("too_many_open")
	var list struct {
		Operations []struct {
			ID string `json:"id"`
		} `json:"operations"`
		Next string `json:"next"`
	}
	w.do("GET", "/operations?limit=3&user_id="+p.userID, "").is(200).json(&list)
	seen := len(list.Operations)
	w.do("GET", "/operations?limit=3&user_id="+p.userID+"&cursor="+list.Next, "").is(200).json(&list)
	if seen += len(list.Operations); seen != 5 {
		t.Errorf("%d operations are listed", seen)
	}
	if a := w.do("POST", "/operations/"+list.Operations[0].ID+"/cancel", `{"reason":"changed_mind"}`).is(200); a.get("state") != "cancelled" || a.get("reason") != "changed_mind" {
		t.Errorf("%s", a.body)
	}
	w.do("POST", "/operations/authorisation", payment).is(201)
}

// TestLongPollWhenTooManyWait answers at once, and says when to ask again.
func TestLongPollWhenTooManyWait(t *testing.T) {
	t.Parallel()
	var operations *operation.Store
	w := newWorld(t, func(c *restapi.Config) {
		var err error
		operations, err = operation.New(operation.Config{
			DB: c.DB, Sealer: c.Sealer, Users: c.Users, Devices: c.Devices, Audit: c.Trail, Now: c.Now,
			Limits: operation.Limits{Waiters: 1},
		})
		must(t, err)
		c.Operations = operations
	})
	w.person()
	path := "/operations/" + w.do("POST", "/operations/authorisation", payment).is(201).get("id")
	first := make(chan *answer, 1)
	go func() { first <- w.do("GET", path+"?wait=60s", "") }()
	for operations.Waiting() < 1 {
		runtime.Gosched()
	}
	if a := w.do("GET", path+"?wait=60s", "").is(200); a.Get("Retry-After") == "" || a.get("state") != "pending" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	w.do("POST", path+"/cancel", "").is(200)
	(<-first).is(200)
}
