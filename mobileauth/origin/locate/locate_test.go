// SPDX-License-Identifier: Apache-2.0

package locate_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin"
	"github.com/gatehouse-id/gatehouse/mobileauth/origin/locate"
)

var address = netip.MustParseAddr("192.0.2.7")

// service starts a web service, and returns what asks it.
func service(t *testing.T, answer http.HandlerFunc) *locate.Service {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	s, err := locate.New(callout.Config{URL: server.URL, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func say(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client has gone
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	const jsonType = "application/json"
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   origin.Place
		fails  bool
	}{
		{name: "a place", answer: say(200, jsonType, `{"country_code":"NL","region":"Utrecht","city":"Utrecht","more":[1]}`),
			want: origin.Place{CountryCode: "NL", Region: "Utrecht", City: "Utrecht"}},
		{name: "an unknown address", answer: say(200, jsonType, `{}`)},
		{name: "an unknown address by status", answer: say(404, jsonType, `{"error":"unknown"}`)},
		{name: "a page", answer: say(200, "text/html", `<html>`), fails: true},
		{name: "no JSON", answer: say(200, jsonType, `NL`), fails: true},
		{name: "another type of value", answer: say(200, jsonType, `{"city":7}`), fails: true},
		{name: "a list", answer: say(200, jsonType, `[]`), fails: true},
		{name: "too much", answer: say(200, jsonType, `{"city":"`+strings.Repeat("x", 1<<20)+`"}`), fails: true},
		{name: "an error", answer: say(503, jsonType, `{}`), fails: true},
		{name: "a redirect", fails: true, answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		}},
		{name: "a connection that is closed in the middle", fails: true, answer: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"city":`) // cut off below
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := service(t, c.answer).Locate(t.Context(), address)
			if c.fails != (err != nil) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if err != nil && strings.Contains(err.Error(), address.String()) {
				t.Errorf("the error %q names the address", err)
			}
		})
	}
}

// TestLocateAsks: the address stands in the body and nowhere else.
func TestLocateAsks(t *testing.T) {
	t.Parallel()
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"ip":"192.0.2.7"}` || r.Method != http.MethodPost || strings.Contains(r.RequestURI, "192") {
			t.Errorf("%s %s: %s, %v", r.Method, r.RequestURI, body, err)
		}
		say(200, "application/json", `{}`)(w, r)
	})
	if _, err := s.Locate(t.Context(), address); err != nil {
		t.Error(err)
	}
}

// TestLocateLeavesAlone: what is down is not asked again and again, and somebody who goes away does not count.
func TestLocateLeavesAlone(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := service(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		say(500, "application/json", `{}`)(w, r)
	})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if _, err := s.Locate(gone, address); !errors.Is(err, context.Canceled) {
			t.Fatalf("somebody who went away is told %v", err)
		}
	}
	for range 5 {
		if _, err := s.Locate(t.Context(), address); err == nil || errors.Is(err, locate.ErrOpen) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := s.Locate(t.Context(), address); !errors.Is(err, locate.ErrOpen) {
		t.Errorf("after five faults: %v", err)
	}
	if n := asked.Load(); n != 5 {
		t.Errorf("asked %d times", n)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://geo.example.com/", "https://user@geo.example.com/", "ftp://geo.example.com/"} {
		if _, err := locate.New(callout.Config{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}

// FuzzLocate: an answer is a place or an error.
func FuzzLocate(f *testing.F) {
	f.Add(200, "application/json", `{"country_code":"NL"}`)
	f.Add(200, "text/html", `<html>`)
	f.Add(404, "", ``)
	f.Fuzz(func(t *testing.T, status int, contentType, body string) {
		if status < 200 || status > 599 || strings.ContainsAny(contentType, "\r\n\x00") {
			t.Skip()
		}
		place, err := service(t, say(status, contentType, body)).Locate(t.Context(), address)
		if err != nil && place != (origin.Place{}) {
			t.Errorf("both %+v and %v", place, err)
		}
	})
}
