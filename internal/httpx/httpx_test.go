// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const formType = "application/x-www-form-urlencoded"

func request(t testing.TB, method, target, contentType, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func TestForm(t *testing.T) {
	t.Parallel()
	long := "a=" + strings.Repeat("x", httpx.MaxBody-2)
	for _, test := range []struct {
		name        string
		method      string
		target      string
		contentType string
		body        string
		want        oauth.Params
		status      int
	}{
		{name: "good", body: "a=1&b=%C3%A9", want: oauth.Params{"a": "1", "b": "é"}},
		{name: "empty value is absent", body: "a=", want: oauth.Params{"a": ""}},
		{name: "empty body", body: "", want: oauth.Params{}},
		{name: "charset", contentType: formType + "; charset=UTF-8", body: "a=1", want: oauth.Params{"a": "1"}},
		{name: "type in capitals", contentType: "Application/X-WWW-Form-Urlencoded", body: "a=1", want: oauth.Params{"a": "1"}},
		{name: "GET", method: http.MethodGet, status: 405},
		{name: "PUT", method: http.MethodPut, body: "a=1", status: 405},
		{name: "query", target: "/?client_secret=x", body: "a=1", status: 400},
		{name: "no type", contentType: "-", body: "a=1", status: 415},
		{name: "JSON", contentType: "application/json", body: "{}", status: 415},
		{name: "multipart", contentType: "multipart/form-data; boundary=x", body: "--x--", status: 415},
		{name: "other charset", contentType: formType + "; charset=utf-16", body: "a=1", status: 415},
		{name: "malformed type", contentType: formType + "; charset", body: "a=1", status: 415},
		{name: "repeated", body: "a=1&a=1", status: 400},
		{name: "bad escape", body: "a=%zz", status: 400},
		{name: "NUL", body: "a=%00", status: 400},
		{name: "semicolon", body: "a=1;b=2", status: 400},
		{name: "largest value is refused before the body is", body: long, status: 400},
		{name: "too large", body: long + "x", status: 413},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.method == "" {
				test.method = http.MethodPost
			}
			if test.target == "" {
				test.target = "/"
			}
			switch test.contentType {
			case "":
				test.contentType = formType
			case "-":
				test.contentType = ""
			}
			got, err := httpx.Form(request(t, test.method, test.target, test.contentType, test.body))
			check(t, got, err, test.want, test.status)
		})
	}
}

func check(t *testing.T, got oauth.Params, err error, want oauth.Params, status int) {
	t.Helper()
	if status == 0 {
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return
	}
	var e *oauth.Error
	if !errors.As(err, &e) || e.Code != oauth.InvalidRequest || e.HTTPStatus() != status {
		t.Fatalf("got %v (%v), want invalid_request with %d", err, got, status)
	}
}

func TestFormReadsNoMoreThanItTakes(t *testing.T) {
	t.Parallel()
	r := request(t, http.MethodPost, "/", formType, "")
	endless := &endless{}
	r.Body, r.ContentLength = endless, -1
	_, err := httpx.Form(r)
	check(t, nil, err, nil, 413)
	if endless.read > 2*httpx.MaxBody {
		t.Errorf("%d bytes were read", endless.read)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	e.read += len(p)
	return len(p), nil
}

func (*endless) Close() error { return nil }

func TestFormRefusesWhatAProxyCouldReadOtherwise(t *testing.T) {
	t.Parallel()
	twoTypes := request(t, http.MethodPost, "/", formType, "a=1")
	twoTypes.Header.Add("Content-Type", "application/json")
	coded := request(t, http.MethodPost, "/", formType, "a=1")
	coded.Header.Set("Content-Encoding", "gzip")
	for _, r := range []*http.Request{twoTypes, coded} {
		_, err := httpx.Form(r)
		check(t, nil, err, nil, 415)
	}
	limited := request(t, http.MethodPost, "/", formType, strings.Repeat("a", 100))
	limited.ContentLength = -1
	limited.Body = http.MaxBytesReader(httptest.NewRecorder(), limited.Body, 10)
	_, err := httpx.Form(limited)
	check(t, nil, err, nil, 413)
	broken := request(t, http.MethodPost, "/", formType, "")
	broken.Body, broken.ContentLength = brokenBody{}, -1
	_, err = httpx.Form(broken)
	check(t, nil, err, nil, 400)
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("the line was cut") }
func (brokenBody) Close() error             { return nil }

func TestQueryOrForm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, method, target, contentType, body string
		want                                    oauth.Params
		status                                  int
	}{
		{name: "GET", method: "GET", target: "/?a=1&b=2", want: oauth.Params{"a": "1", "b": "2"}},
		{name: "HEAD", method: "HEAD", target: "/?a=1", want: oauth.Params{"a": "1"}},
		{name: "GET ignores the body", method: "GET", target: "/?a=1", contentType: formType, body: "a=2", want: oauth.Params{"a": "1"}},
		{name: "POST", method: "POST", target: "/", contentType: formType, body: "a=1", want: oauth.Params{"a": "1"}},
		{name: "POST with a query", method: "POST", target: "/?b=2", contentType: formType, body: "a=1", want: oauth.Params{"a": "1", "b": "2"}},
		{name: "repeated across both", method: "POST", target: "/?a=1", contentType: formType, body: "a=1", status: 400},
		{name: "repeated", method: "GET", target: "/?a=1&a=2", status: 400},
		{name: "DELETE", method: "DELETE", target: "/?a=1", status: 405},
		{name: "JSON", method: "POST", target: "/", contentType: "application/json", body: "{}", status: 415},
		{name: "long query", method: "GET", target: "/?a=" + strings.Repeat("x", httpx.MaxBody), status: 414},
		{name: "long query of a POST", method: "POST", target: "/?a=" + strings.Repeat("x", httpx.MaxBody), contentType: formType, status: 414},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := httpx.QueryOrForm(request(t, test.method, test.target, test.contentType, test.body))
			check(t, got, err, test.want, test.status)
		})
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if !httpx.Allow(w, request(t, "POST", "/", "", ""), "GET", "POST") || w.Body.Len() != 0 {
		t.Fatal("an allowed method was refused")
	}
	if httpx.Allow(w, request(t, "PUT", "/", "", ""), "GET", "POST") {
		t.Fatal("a method was allowed that is not listed")
	}
	if w.Code != 405 || w.Header().Get("Allow") != "GET, POST" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestWriteError(t *testing.T) {
	t.Parallel()
	const secret = "THE-CAUSE"
	unavailable := oauth.Unavailable(errors.New(secret))
	for _, test := range []struct {
		name    string
		err     error
		status  int
		body    map[string]string
		headers map[string]string
		level   string
	}{
		{
			name: "client's fault", err: oauth.NewError(oauth.InvalidGrant, "the code is not valid"), status: 400, level: "INFO",
			body: map[string]string{"error": "invalid_grant", "error_description": "the code is not valid"},
		},
		{
			name: "unknown", err: errors.New(secret), status: 500, level: "ERROR",
			body: map[string]string{"error": "server_error", "error_description": "the server could not process the request", "request_id": "req-1"},
		},
		{
			name: "unavailable", err: unavailable, status: 503, level: "WARN", headers: map[string]string{"Retry-After": "2"},
			body: map[string]string{"error": "temporarily_unavailable", "error_description": "the server is not ready, try again shortly", "request_id": "req-1"},
		},
		{
			name: "throttled", err: oauth.TooMany(90*time.Second + time.Millisecond), status: 429, level: "INFO",
			headers: map[string]string{"Retry-After": "91"},
			body:    map[string]string{"error": "temporarily_unavailable", "error_description": "too many attempts, try again later"},
		},
		{
			name: "method", err: func() error { _, err := httpx.Form(request(t, "GET", "/", "", "")); return err }(), status: 405, level: "INFO",
			headers: map[string]string{"Allow": "POST"},
			body:    map[string]string{"error": "invalid_request", "error_description": "the method must be POST"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			w := httptest.NewRecorder()
			r := request(t, "POST", "/token?secret=1", formType, "")
			r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "192.0.2.1", RequestID: "req-1"}))
			httpx.WriteError(w, r, test.err, slog.New(slog.NewJSONHandler(&log, nil)))
			if w.Code != test.status {
				t.Errorf("status %d, want %d", w.Code, test.status)
			}
			var body map[string]string
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.body, body); diff != "" {
				t.Error(diff)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q", name, got)
				}
			}
			for name, want := range test.headers {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("not one log line: %s", log.String())
			}
			if line["level"] != test.level || line["request_id"] != "req-1" || line["client_ip"] != "192.0.2.1" || line["path"] != "/token" {
				t.Errorf("%v", line)
			}
		})
	}
}

func TestWriteErrorKeepsWhatTheCallerSet(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Retry-After", "77")
	httpx.WriteError(w, request(t, "POST", "/", "", ""), oauth.Unavailable(nil), nil)
	if got := w.Header().Get("Retry-After"); got != "77" {
		t.Errorf("Retry-After is %q", got)
	}
}

func TestWriteJSONRefusesWhatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	httpx.WriteJSON(w, 200, func() {})
	if w.Code != 500 || w.Body.Len() != 0 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestCallerTravelsInTheContext(t *testing.T) {
	t.Parallel()
	if got := httpx.CallerOf(t.Context()); got != (httpx.Caller{}) {
		t.Errorf("a caller out of nowhere: %v", got)
	}
	want := httpx.Caller{ClientIP: "192.0.2.1", RequestID: "r"}
	if got := httpx.CallerOf(httpx.WithCaller(t.Context(), want)); got != want {
		t.Errorf("got %v", got)
	}
}

// TestAsked: what the sender has asked for, whatever somebody has made of it since.
func TestAsked(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/userinfo%2Fx?a=b", nil)
	if method, path := httpx.Asked(r); method != "POST" || path != "/userinfo%2Fx" {
		t.Errorf("as it came: %s %s", method, path)
	}
	r = r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{Method: "GET", Path: "/me"}))
	if method, path := httpx.Asked(r); method != "GET" || path != "/me" {
		t.Errorf("rewritten: %s %s", method, path)
	}
}

func FuzzForm(f *testing.F) {
	f.Add("a=1&b=2", formType)
	f.Add("a=%zz", formType+";charset=utf-8")
	f.Add("a=1;b", "text/plain")
	f.Fuzz(func(t *testing.T, body, contentType string) {
		params, err := httpx.Form(request(t, "POST", "/", contentType, body))
		var e *oauth.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("not an OAuth error: %v", err)
		}
		for name, value := range params {
			if strings.ContainsAny(name+value, "\r\n\x00") {
				t.Fatalf("control characters passed: %q=%q", name, value)
			}
		}
	})
}

func BenchmarkForm(b *testing.B) {
	const body = "grant_type=client_credentials&scope=accounts%3Aread"
	r := request(b, "POST", "/", formType, "")
	r.ContentLength = int64(len(body))
	reader := strings.NewReader(body)
	r.Body = readCloser{reader}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		if _, err := httpx.Form(r); err != nil {
			b.Fatal(err)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func TestCORS(t *testing.T) { // OpenID Connect Discovery 3
	t.Parallel()
	w := httptest.NewRecorder()
	r := request(t, "OPTIONS", "/token", "", "")
	r.Header.Set("Origin", "https://spa.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	if !httpx.CORS(w, r, "GET", "POST") || w.Code != 204 {
		t.Fatalf("a preflight is answered with %d", w.Code)
	}
	want := http.Header{
		"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Methods": {"GET, POST"},
		"Access-Control-Allow-Headers": {"Authorization, Content-Type, DPoP"}, "Access-Control-Max-Age": {"3600"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Error(diff)
	}
	w = httptest.NewRecorder()
	if httpx.CORS(w, request(t, "POST", "/token", "", ""), "POST") {
		t.Fatal("a request was taken for a preflight")
	}
	want = http.Header{"Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"WWW-Authenticate, Retry-After, DPoP-Nonce"}}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Error(diff)
	}
	if httpx.CORS(httptest.NewRecorder(), request(t, "OPTIONS", "/token", "", ""), "POST") {
		t.Fatal("OPTIONS without a method to ask for is no preflight")
	}
}

// TestSeconds: nobody is told to come back before there is any use in it.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0", 1: "1", time.Millisecond: "1", time.Second: "1", time.Second + 1: "2", 90*time.Second + time.Millisecond: "91",
	} {
		if got := httpx.Seconds(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
