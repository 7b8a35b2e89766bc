// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
)

func request(t testing.TB, body string, header ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

// refusal returns code and parameters of a problem.
func refusal(t testing.TB, err error) (wire.Code, []wire.Param) {
	t.Helper()
	var p *wire.Problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is no problem", err)
	}
	return p.Code, p.Params
}

func TestRead(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", wire.MaxBody)
	for _, test := range []struct {
		name, body string
		header     []string
		code       wire.Code
	}{
		{"JSON", "{}", []string{"Content-Type", "application/json"}, ""},
		{"charset", "{}", []string{"Content-Type", "application/json; charset=UTF-8"}, ""},
		{"largest", long, []string{"Content-Type", "application/json"}, ""},
		{"too large", long + "x", []string{"Content-Type", "application/json"}, wire.BodyTooLarge},
		{"no type", "{}", nil, wire.UnsupportedMedia},
		{"form", "a=1", []string{"Content-Type", "application/x-www-form-urlencoded"}, wire.UnsupportedMedia},
		{"patch", "{}", []string{"Content-Type", "application/merge-patch+json"}, wire.UnsupportedMedia},
		{"two types", "{}", []string{"Content-Type", "application/json", "Content-Type", "application/json"}, wire.UnsupportedMedia},
		{"other charset", "{}", []string{"Content-Type", "application/json; charset=utf-16"}, wire.UnsupportedMedia},
		{"compressed", "{}", []string{"Content-Type", "application/json", "Content-Encoding", "gzip"}, wire.UnsupportedMedia},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, known := range []bool{true, false} {
				r := request(t, test.body, test.header...)
				if !known {
					r.ContentLength = -1
				}
				body, err := wire.Read(r, wire.JSON)
				if test.code == "" {
					if err != nil || string(body) != test.body {
						t.Errorf("%v", err)
					}
					continue
				}
				if code, _ := refusal(t, err); code != test.code {
					t.Errorf("got %s, want %s", code, test.code)
				}
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (broken) Close() error             { return nil }

func TestReadABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	r := request(t, "", "Content-Type", wire.JSON)
	r.Body, r.ContentLength = broken{}, -1
	if _, err := wire.Read(r, wire.JSON); err == nil {
		t.Fatal("accepted")
	} else if code, _ := refusal(t, err); code != wire.InvalidRequest {
		t.Errorf("got %s", code)
	}
}

type inner struct {
	Label string `json:"label"`
}

type message struct {
	inner
	Title  string            `json:"title"`
	Count  int               `json:"count"`
	Yes    bool              `json:"yes"`
	Fields []inner           `json:"fields"`
	Free   map[string]string `json:"free"`
	Maybe  *string           `json:"maybe"`
	At     time.Time         `json:"at"`
	Hidden string            `json:"-"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, body string
		code       wire.Code
		params     []wire.Param
	}{
		{name: "everything", body: `{"title":"a","count":3,"yes":true,"fields":[{"label":"x"}],"free":{"any":"thing"},"maybe":null,"at":"2026-01-02T03:04:05Z"}`},
		{name: "nothing", body: `{}`},
		{name: "unknown", body: `{"titel":"a"}`, code: wire.InvalidBody, params: []wire.Param{{"titel", "is not a member of this call"}}},
		{name: "another case", body: `{"Title":"a"}`, code: wire.InvalidBody, params: []wire.Param{{"Title", "is not a member of this call"}}},
		{name: "unknown inside", body: `{"fields":[{"label":"x"},{"Label":"y"}]}`, code: wire.InvalidBody, params: []wire.Param{{"fields[1].Label", "is not a member of this call"}}},
		{name: "hidden", body: `{"Hidden":"a","-":"b"}`, code: wire.InvalidBody, params: []wire.Param{{"-", "is not a member of this call"}, {"Hidden", "is not a member of this call"}}},
		{name: "types", body: `{"title":1,"count":"1","yes":0,"fields":{},"free":[]}`, code: wire.InvalidBody, params: []wire.Param{
			{"count", "want a whole number"}, {"fields", "want an array"}, {"free", "want an object"}, {"title", "want a string"}, {"yes", "want true or false"},
		}},
		{name: "a fraction", body: `{"count":1.5}`, code: wire.InvalidBody, params: []wire.Param{{"count", "want a whole number"}}},
		{name: "a whole number written as a fraction", body: `{"count":1.0}`, code: wire.InvalidBody, params: []wire.Param{{"count", "want a whole number"}}},
		{name: "beyond 64 bits", body: `{"count":99999999999999999999}`, code: wire.InvalidBody, params: []wire.Param{{"count", "want a whole number"}}},
		{name: "null", body: `{"title":null,"free":{"a":null}}`, code: wire.InvalidBody, params: []wire.Param{{`free["a"]`, "want a string"}, {"title", "want a string"}}},
		{name: "a time that is none", body: `{"at":"yesterday"}`, code: wire.InvalidBody},
		{name: "twice", body: `{"title":"a","title":"b"}`, code: wire.InvalidBody},
		{name: "twice by an escape", body: `{"title":"a","t\u0069tle":"b"}`, code: wire.InvalidBody},
		{name: "twice inside", body: `{"fields":[{"label":"a","label":"b"}]}`, code: wire.InvalidBody},
		{name: "an array", body: `[]`, code: wire.InvalidBody},
		{name: "more", body: `{}{}`, code: wire.InvalidBody},
		{name: "cut off", body: `{"title":"a"`, code: wire.InvalidBody},
		{name: "empty", body: ``, code: wire.InvalidBody},
		{name: "not UTF-8", body: "{\"title\":\"\xff\"}", code: wire.InvalidBody},
		{name: "a lone surrogate", body: `{"title":"\ud800"}`, code: wire.InvalidBody},
		{name: "deep", body: `{"free":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, code: wire.InvalidBody},
		{name: "wide", body: "{" + strings.Repeat(`"a":1,`, 200) + `"b":1}`, code: wire.InvalidBody},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var into message
			err := wire.Decode([]byte(test.body), &into)
			if test.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			code, params := refusal(t, err)
			if diff := cmp.Diff(test.params, params); diff != "" || code != test.code {
				t.Errorf("%s\n%s", code, diff)
			}
		})
	}
}

func TestDecodeListsABoundedNumberOfFaults(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 5000)
	body := `{"fields":[` + strings.Repeat(`{"x":1},`, 500) + `{"` + long + `":1}]}`
	_, params := refusal(t, wire.Decode([]byte(body), new(message)))
	if len(params) != 20 {
		t.Errorf("%d faults are listed", len(params))
	}
	_, params = refusal(t, wire.Decode([]byte(`{"`+long+`":1}`), new(message)))
	if len(params[0].Name) > 100 {
		t.Errorf("a name of %d bytes is repeated", len(params[0].Name))
	}
}

// FuzzDecode: what is accepted is what encoding/json reads of it, and means the same when it is written and read again.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"title":"a","fields":[{"label":"x"}]}`, `{"free":{"a":"b"},"maybe":null}`, `{"count":-0}`, `{"at":"2026-01-02T03:04:05Z"}`, `{"a":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var first, second message
		if err := wire.Decode(body, &first); err != nil {
			refusal(t, err)
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			return // a year beyond 9999
		}
		if err := json.Unmarshal(written, &second); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if again, _ := json.Marshal(second); string(again) != string(written) {
			t.Fatalf("%s became %s", written, again)
		}
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
		want  []uint64
		code  wire.Code
	}{
		{"none", nil, nil, wire.VersionRequired},
		{"one", []string{`"3"`}, []uint64{3}, ""},
		{"a list", []string{`"3", "4" ,"5"`}, []uint64{3, 4, 5}, ""},
		{"two lines", []string{`"3"`, `"4"`}, []uint64{3, 4}, ""},
		{"weak", []string{`W/"3"`}, nil, ""},
		{"somebody else's", []string{`"abc", "03", "+3", "3.0"`}, nil, ""},
		{"a comma inside", []string{`"3,4"`}, nil, ""},
		{"any", []string{`*`}, nil, wire.InvalidParameter},
		{"bare", []string{`3`}, nil, wire.InvalidParameter},
		{"open", []string{`"3`}, nil, wire.InvalidParameter},
		{"empty", []string{``}, nil, wire.InvalidParameter},
		{"long", []string{`"` + strings.Repeat("3", 2000) + `"`}, nil, wire.InvalidParameter},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, "")
			r.Header["If-Match"] = test.lines
			if test.lines == nil {
				delete(r.Header, "If-Match")
			}
			got, err := wire.Versions(r)
			if test.code != "" {
				if code, _ := refusal(t, err); code != test.code {
					t.Errorf("got %s", code)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func FuzzVersions(f *testing.F) {
	for _, seed := range []string{`"1"`, `W/"1", "2"`, `*`, `"", "18446744073709551615"`, `"1`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := request(t, "")
		r.Header["If-Match"] = []string{line}
		versions, err := wire.Versions(r)
		if err != nil {
			refusal(t, err)
			return
		}
		for _, v := range versions {
			if !strings.Contains(line, wire.ETag(v)) {
				t.Fatalf("%q admits %d", line, v)
			}
		}
	})
}

func TestFresh(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{`"3"`: true, `W/"3"`: true, `"2", "3"`: true, `"4"`: false, ``: false, `3`: false} {
		if got := wire.Fresh(request(t, "", "If-None-Match", line), 3); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
	if wire.Fresh(request(t, ""), 3) {
		t.Error("fresh without a header")
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	cursor := wire.Cursor("/users?", "usr_1")
	if after, err := wire.After("/users?", cursor); err != nil || after != "usr_1" {
		t.Errorf("%q, %v", after, err)
	}
	if after, err := wire.After("/users?", ""); err != nil || after != "" {
		t.Errorf("%q, %v", after, err)
	}
	for _, bad := range []string{
		wire.Cursor("/devices?", "usr_1"), wire.Cursor("/users?", ""), wire.Cursor("/users?", "a\nb"), cursor + "=", cursor + "\n",
		"usr_1", "!", strings.Repeat("A", 1000), cursor[:4],
	} {
		_, err := wire.After("/users?", bad)
		if code, _ := refusal(t, err); code != wire.InvalidCursor {
			t.Errorf("%q: %s", bad, code)
		}
	}
}

// FuzzCursor: a cursor has one spelling, and what is accepted was made for this list.
func FuzzCursor(f *testing.F) {
	f.Add(wire.Cursor("a", "usr_1"))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, cursor string) {
		after, err := wire.After("a", cursor)
		if err == nil && cursor != "" && wire.Cursor("a", after) != cursor {
			t.Fatalf("%q stands for %q", cursor, after)
		}
	})
}

func TestTrace(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, test := range []struct {
		name, line string
		ok         bool
	}{
		{"good", good, true},
		{"a later version", "01" + good[2:] + "-more", true},
		{"more in version 00", good + "-more", false},
		{"version ff", "ff" + good[2:], false},
		{"no trace id", "00-" + strings.Repeat("0", 32) + good[35:], false},
		{"no parent id", good[:36] + strings.Repeat("0", 16) + "-01", false},
		{"capitals", strings.ToUpper(good), false},
		{"short", good[:54], false},
		{"a line break", good + "\r\nX: y", false},
		{"empty", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			trace := wire.TraceOf(request(t, "", "Traceparent", test.line), "rq_1")
			h := http.Header{}
			trace.Echo(h)
			if h.Get("X-Request-Id") != "rq_1" || (h.Get("Traceparent") == test.line) != test.ok && test.line != "" {
				t.Errorf("%v", h)
			}
			if want := map[bool]string{true: good[3:35]}[test.ok]; trace.ID() != want {
				t.Errorf("id %q", trace.ID())
			}
		})
	}
	two := request(t, "", "Traceparent", good, "Traceparent", good)
	if wire.TraceOf(two, "").Parent != "" {
		t.Error("two headers are one")
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	cause := errors.New("secret cause")
	for _, test := range []struct {
		problem *wire.Problem
		header  map[string]string
		body    string
	}{
		{
			wire.New(wire.InvalidValue, "no").With("a", "b").Because(cause), nil,
			`{"type":"https://x/docs#invalid_value","title":"A value breaks a rule","status":422,"code":"invalid_value","detail":"no","invalid_params":[{"name":"a","reason":"b"}],"request_id":"rq_1"}`,
		},
		{
			&wire.Problem{Code: wire.TooManyRequests, RetryAfter: 2500 * time.Millisecond}, map[string]string{"Retry-After": "3"},
			`{"type":"https://x/docs#too_many_requests","title":"Too many requests","status":429,"code":"too_many_requests","request_id":"rq_1"}`,
		},
		{
			wire.New(wire.Unavailable, ""), map[string]string{"Retry-After": "2"},
			`{"type":"https://x/docs#temporarily_unavailable","title":"The server is not ready, try again shortly","status":503,"code":"temporarily_unavailable","request_id":"rq_1"}`,
		},
		{
			&wire.Problem{Code: wire.Unauthenticated, Challenge: "Bearer"}, map[string]string{"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"},
			`{"type":"https://x/docs#unauthenticated","title":"The credentials are missing or wrong","status":401,"code":"unauthenticated","request_id":"rq_1"}`,
		},
	} {
		w := httptest.NewRecorder()
		test.problem.Write(w, "https://x/docs#", wire.Trace{RequestID: "rq_1"})
		if diff := cmp.Diff(test.body, w.Body.String()); diff != "" || w.Code != test.problem.Status() || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d %v\n%s", w.Code, w.Header(), diff)
		}
		for name, want := range test.header {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	err := wire.New(wire.InternalError, "x").Because(cause)
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "secret cause") {
		t.Errorf("%v", err)
	}
	for code, status := range wire.Codes() {
		if status < 400 || status > 503 || wire.New(code, "").Status() != status {
			t.Errorf("%s has status %d", code, status)
		}
	}
	if wire.New("unheard_of", "").Status() != 500 {
		t.Error("a code that nobody knows is not our fault")
	}
}
