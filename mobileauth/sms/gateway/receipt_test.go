// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/gateway"
	service "github.com/gatehouse-id/gatehouse/tests/services/smsgateway"
)

var words = map[string]sms.State{"DELIVRD": sms.Delivered, "ACCEPTD": sms.Sent, "UNDELIV": sms.Failed, "2": sms.Delivered}

func signing() *gateway.HMAC {
	return &gateway.HMAC{Secret: "s3cret", Field: "X-Signature", Prefix: "sha256=", TimeField: "X-Timestamp"}
}

// receive starts a receiver and returns its address and what it was told.
func (w *world) receive(t *testing.T, r gateway.Receipts, fail error) (address string, told func() []sms.Report) {
	t.Helper()
	var got []sms.Report
	s := w.sender(t, func(c *gateway.Config) { c.Receipts = &r })
	handler, err := s.Reports(path, "https://auth.example.com/sms/"+path, func(_ context.Context, r sms.Report) error {
		got = append(got, r)
		return fail
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/sms/" + path, func() []sms.Report {
		all := got
		got = nil
		return all
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{Secret: "s3cret"})
	address, told := w.receive(t, gateway.Receipts{
		ID: "/id", State: "/status", Reason: "/error", Words: words, Classes: map[string]sms.Class{"no_such_number": sms.Number}, HMAC: signing(),
	}, nil)
	one := func(state sms.State, class sms.Class, reason string) []sms.Report {
		return []sms.Report{{ID: "m-1", State: state, Class: class, Reason: reason, At: now}}
	}
	for _, tt := range []struct {
		name   string
		c      service.Receipt
		status int
		want   []sms.Report
	}{
		{"sent", service.Receipt{Body: `{"id":"m-1","status":"ACCEPTD"}`}, 204, one(sms.Sent, "", "")},
		{"delivered", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD","error":"none"}`}, 204, one(sms.Delivered, "", "")},
		{"delivered, by a number", service.Receipt{Body: `{"id":"m-1","status":2}`}, 204, one(sms.Delivered, "", "")},
		{"failed", service.Receipt{Body: `{"id":"m-1","status":"UNDELIV","error":"no_such_number"}`}, 204, one(sms.Failed, sms.Number, "no_such_number")},
		{"failed, by a word of nobody's", service.Receipt{Body: `{"id":"m-1","status":"UNDELIV","error":"moon"}`}, 204, one(sms.Failed, sms.Ambiguous, "moon")},
		{"failed, with a text", service.Receipt{Body: `{"id":"m-1","status":"UNDELIV","error":"to +31612345678"}`}, 204, one(sms.Failed, sms.Ambiguous, "")},
		{"an hour's charset", service.Receipt{Body: `{"id":"m-1","status":2}`, Type: "application/json; charset=utf-8"}, 204, one(sms.Delivered, "", "")},
		{"another word", service.Receipt{Body: `{"id":"m-1","status":"delivrd"}`}, 204, nil},
		{"no state", service.Receipt{Body: `{"id":"m-1"}`}, 204, nil},
		{"no id", service.Receipt{Body: `{"status":"DELIVRD"}`}, 204, nil},
		{"an id that is an object", service.Receipt{Body: `{"id":{},"status":"DELIVRD"}`}, 204, nil},
		{"no object", service.Receipt{Body: `[1]`}, 204, nil},
		{"no JSON", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"`}, 404, nil},
		{"another type", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"}`, Type: "text/plain"}, 404, nil},
		{"a forged signature", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"}`, Signature: "sha256=00"}, 404, nil},
		{"old", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"}`, At: now.Add(-5*time.Minute - time.Second)}, 404, nil},
		{"nearly old", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"}`, At: now.Add(-5 * time.Minute)}, 204, one(sms.Delivered, "", "")},
		{"of the future", service.Receipt{Body: `{"id":"m-1","status":"DELIVRD"}`, At: now.Add(6 * time.Minute)}, 404, nil},
	} {
		tt.c.To = address
		status, err := w.Call(t.Context(), tt.c)
		if err != nil || status != tt.status {
			t.Errorf("%s: %d, %v, want %d", tt.name, status, err, tt.status)
		}
		if diff := cmp.Diff(tt.want, told()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestListsAndForms(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	list, told := w.receive(t, gateway.Receipts{List: "/results/items", ID: "/msg/0/id", State: "/s", Words: words}, nil)
	for body, want := range map[string]int{
		`{"results":{"items":[{"msg":[{"id":"a"}],"s":2},{"msg":[],"s":2},{"msg":[{"id":"b"}],"s":"UNDELIV"}]}}`: 2,
		`{"results":{"items":[]}}`: 0, `{"results":{}}`: -1, `{"results":{"items":{}}}`: -1, `{"results":{"items":[` + strings.Repeat("0,", 100) + `0]}}`: -1,
	} {
		status, err := w.Call(t.Context(), service.Receipt{To: list, Body: body})
		if got := told(); err != nil || len(got) != max(want, 0) || (status == 404) != (want < 0) {
			t.Errorf("%s: %d, %v, told %v", body, status, err, got)
		}
	}
	form, told := w.receive(t, gateway.Receipts{Format: gateway.Form, ID: "id", State: "st", Reason: "r", Words: words}, nil)
	for body, want := range map[string]int{"id=m-1&st=DELIVRD": 204, "id=m-1&st=UNDELIV&r=moon": 204, "id=a&id=b&st=DELIVRD": 404, "id=%zz&st=DELIVRD": 404} {
		status, err := w.Call(t.Context(), service.Receipt{To: form, Body: body, Type: "application/x-www-form-urlencoded"})
		if got := told(); err != nil || status != want || (len(got) == 1) != (want == 204) {
			t.Errorf("%s: %d, %v, told %v", body, status, err, got)
		}
	}
	if status, err := w.Call(t.Context(), service.Receipt{To: form, Body: "id=m-1&st=DELIVRD"}); err != nil || status != 404 {
		t.Errorf("a form that says it is JSON: %d, %v", status, err)
	}
}

// What a form says twice it does not say, and what stands in a field without a name is no reason.
func TestFormsThatSayTwoThings(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	classes := map[string]sms.Class{"gone": sms.Number}
	for _, tt := range []struct {
		name, reason, body string
		status             int
		class              sms.Class // of the report; empty where there is none
	}{
		{"one reason", "r", "id=m-1&st=UNDELIV&r=gone", 204, sms.Number},
		{"two reasons", "r", "id=m-1&st=UNDELIV&r=gone&r=moon", 404, ""},
		{"the same reason twice", "r", "id=m-1&st=UNDELIV&r=gone&r=gone", 404, ""},
		{"two states", "r", "id=m-1&st=DELIVRD&st=UNDELIV&r=gone", 404, ""},
		{"two ids, the same", "r", "id=m-1&id=m-1&st=UNDELIV", 404, ""},
		{"another field twice", "r", "id=m-1&st=UNDELIV&x=1&x=2", 204, sms.Ambiguous},
		{"a reason where none is looked for", "", "id=m-1&st=UNDELIV&r=gone", 204, sms.Ambiguous},
		{"a reason without a name", "", "id=m-1&st=UNDELIV&=gone", 204, sms.Ambiguous},
		{"two fields without a name", "", "id=m-1&st=UNDELIV&=gone&=gone", 204, sms.Ambiguous},
		{"a semicolon", "r", "id=m-1;st=UNDELIV&r=gone", 404, ""},
	} {
		address, told := w.receive(t, gateway.Receipts{Format: gateway.Form, ID: "id", State: "st", Reason: tt.reason, Words: words, Classes: classes}, nil)
		status, err := w.Call(t.Context(), service.Receipt{To: address, Body: tt.body, Type: "application/x-www-form-urlencoded"})
		got := told()
		if err != nil || status != tt.status || (len(got) == 1) != (tt.class != "") {
			t.Errorf("%s: %d, %v, told %v", tt.name, status, err, got)
		} else if len(got) == 1 && got[0].Class != tt.class {
			t.Errorf("%s: a failure of the class %q, want %q", tt.name, got[0].Class, tt.class)
		}
	}
}

// Who signs is judged by the whole field, in the hash and the encoding that were said, over what came and when it was said to come.
func TestSignaturesOfReceipts(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{Secret: "s3cret"})
	const body = `{"id":"m-1","status":"DELIVRD"}`
	at := strconv.FormatInt(now.Unix(), 10)
	good := w.Sign(at, []byte(body))
	for _, tt := range []struct {
		name      string
		change    func(*gateway.HMAC)
		header    http.Header
		body      string
		authentic bool
	}{
		{"as it is", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, body, true},
		{"not at all", nil, http.Header{"X-Timestamp": {at}}, body, false},
		{"with nothing", nil, http.Header{"X-Signature": {""}, "X-Timestamp": {at}}, body, false},
		{"with the prefix alone", nil, http.Header{"X-Signature": {"sha256="}, "X-Timestamp": {at}}, body, false},
		{"without the prefix", nil, http.Header{"X-Signature": {strings.TrimPrefix(good, "sha256=")}, "X-Timestamp": {at}}, body, false},
		{"in capitals", nil, http.Header{"X-Signature": {strings.ToUpper(good)}, "X-Timestamp": {at}}, body, false},
		{"twice", nil, http.Header{"X-Signature": {good, good}, "X-Timestamp": {at}}, body, false},
		{"with two times", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {at, at}}, body, false},
		{"without a time", nil, http.Header{"X-Signature": {good}}, body, false},
		{"at another time", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {strconv.FormatInt(now.Unix()+1, 10)}}, body, false},
		{"at a time in other digits", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {"0" + at}}, body, false},
		{"at a time that is none", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {"now"}}, body, false},
		{"at a time without end", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {strings.Repeat("9", 30)}}, body, false},
		{"of another body", nil, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, strings.Replace(body, "m-1", "m-2", 1), false},
		{"by another secret", func(h *gateway.HMAC) { h.Secret = "s3cre7" }, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, body, false},
		{"by another hash", func(h *gateway.HMAC) { h.Hash = "sha512" }, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, body, false},
		{"in another encoding", func(h *gateway.HMAC) { h.Encoding = "base64" }, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, body, false},
		{"over a time that nobody looks for", func(h *gateway.HMAC) { h.TimeField = "" }, http.Header{"X-Signature": {good}, "X-Timestamp": {at}}, body, false},
	} {
		h := signing()
		if tt.change != nil {
			tt.change(h)
		}
		address, told := w.receive(t, gateway.Receipts{ID: "/id", State: "/status", Words: words, HMAC: h}, nil)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = tt.header.Clone()
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close() // nothing is in it
		if got := told(); (len(got) == 1) != tt.authentic || (answer.StatusCode == http.StatusNoContent) != tt.authentic {
			t.Errorf("signed %s: %d, told %v", tt.name, answer.StatusCode, got)
		}
	}
}

func TestReportsNobodyWants(t *testing.T) {
	t.Parallel()
	w := start(t, service.Config{})
	for err, want := range map[error]int{sms.ErrUnknown: 204, errors.New("the store is down"): 503} {
		address, _ := w.receive(t, gateway.Receipts{ID: "/id", State: "/s", Words: words}, err)
		if status, err := w.Call(t.Context(), service.Receipt{To: address, Body: `{"id":"x","s":2}`}); err != nil || status != want {
			t.Errorf("%d, %v, want %d", status, err, want)
		}
	}
	told := func(context.Context, sms.Report) error { return nil }
	for name, public := range map[string]string{"another address": "https://auth.example.com/sms", "no address": "://" + path} {
		s := w.sender(t, func(c *gateway.Config) { c.Receipts = &gateway.Receipts{ID: "/id", State: "/s", Words: words} })
		if h, err := s.Reports(path, public, told); err == nil || h != nil || strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h, err := w.sender(t, nil).Reports(path, "https://auth.example.com/"+path, told); err == nil || h != nil {
		t.Error("receipts are read of which nothing is known")
	}
}

// Whatever a provider says: what is told is one of the three states of an id that can be kept.
func FuzzReceipt(f *testing.F) {
	s, err := gateway.New(gateway.Config{
		URL: "https://sms.example.com", Body: `{"to":"{to}","text":"{text}"}`, Now: clock, Answers: gateway.Answers{ID: "/id"},
		Receipts: &gateway.Receipts{List: "/r", ID: "/id", State: "/s", Reason: "/e", Words: words},
	})
	if err != nil {
		f.Fatal(err)
	}
	handler, err := s.Reports(path, "https://auth.example.com/"+path, func(ctx context.Context, r sms.Report) error {
		if !r.State.Valid() || r.ID == "" || len(r.ID) > 128 || strings.ContainsAny(r.ID, " \n") || sms.Word(r.Reason) != r.Reason {
			panic(r.ID)
		}
		return ctx.Err()
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"r":[{"id":"m-1","s":"DELIVRD"},{"id":7,"s":2}]}`)
	f.Add(`{"r":[{"id":"m\n1","s":"UNDELIV","e":"moon"}]}`)
	f.Add(`[[[[`)
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, r); w.Code != 204 && w.Code != 404 {
			t.Errorf("%q: %d", body, w.Code)
		}
	})
}

// Whatever a provider answers: an id can be kept, and a failure says nothing that was said.
func FuzzAnswer(f *testing.F) {
	var says struct {
		status int
		body   string
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(says.status)
		_, _ = w.Write([]byte(says.body))
	}))
	f.Cleanup(server.Close)
	s, err := gateway.New(gateway.Config{
		URL: server.URL, Body: `{"to":"{to}","text":"{text}"}`, Now: clock,
		Answers: gateway.Answers{ID: "/a/0/id", Accepted: "/ok", AcceptedWords: []string{"true"}, Reason: "/e", Classes: map[string]sms.Class{"x": sms.Number}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(200, `{"ok":true,"a":[{"id":"m-1"}]}`)
	f.Add(200, `{"ok":false,"e":"x"}`)
	f.Add(503, `<h1>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 || status == 204 || status == 304 {
			return
		}
		says.status, says.body = status, body
		id, err := s.Send(t.Context(), message())
		if (err == nil) == (id == "") || strings.ContainsAny(id, " \n") || len(id) > 128 {
			t.Errorf("Send = %q, %v", id, err)
		}
		if err == nil && status > 299 || err != nil && status >= 500 && sms.ClassOf(err) != sms.Ambiguous {
			t.Errorf("status %d: %v", status, err)
		}
	})
}
