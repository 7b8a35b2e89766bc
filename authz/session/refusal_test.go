// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/storage"
)

var pages = sync.OnceValues(func() (*web.Renderer, error) { return web.New(web.Config{}) })

func TestErrorPages(t *testing.T) {
	t.Parallel()
	renderer, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	slow := &session.Refusal{Status: 429, Message: web.ErrorThrottled, Reason: "too often", RetryAfter: time.Minute}
	for _, tt := range []struct {
		name   string
		err    error
		status int
		says   string
		retry  string
	}{
		{"ended", fmt.Errorf("looking: %w", authz.ErrRequestEnded), 400, "expired", ""},
		{"another browser", session.ErrOtherBrowser, 403, "cookie", ""},
		{"unknown client", session.ErrClient, 400, "Unknown app", ""},
		{"refusal", slow, 429, "Too many requests", "60"},
		{"OAuth error", oauth.NewError(oauth.InvalidRequest, "something is odd"), 400, "invalid_request: something is odd", ""},
		{"unavailable", fmt.Errorf("MARK: %w", storage.ErrClosed), 503, "Back in a moment", "2"},
		{"broken", errors.New("MARK"), 500, "Something went wrong", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var lines bytes.Buffer
			p := session.ErrorPages{Pages: renderer, Logger: slog.New(slog.NewTextHandler(&lines, nil))}
			rec, r := httptest.NewRecorder(), visit(t)
			p.Refuse(rec, r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{RequestID: "rid-1"})), tt.err)
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.says) {
				t.Errorf("status %d, want %d and %q:\n%s", rec.Code, tt.status, tt.says, rec.Body)
			}
			if got := rec.Header().Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
			if !strings.Contains(rec.Body.String(), "rid-1") || !strings.Contains(lines.String(), "rid-1") {
				t.Error("page and log do not share the request's number")
			}
			if strings.Contains(rec.Body.String(), "MARK") {
				t.Error("the cause is on the page")
			}
			if tt.status >= 500 && !strings.Contains(lines.String(), tt.err.Error()) {
				t.Errorf("the log does not tell the cause: %s", &lines)
			}
		})
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	form := "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		name, method, target, contentType, body string
		status                                  int
	}{
		{"GET", http.MethodGet, "/x?a=b", "", "", 0},
		{"POST", http.MethodPost, "/x", form, "a=b", 0},
		{"POST with a query", http.MethodPost, "/x?a=b", form, "", 400},
		{"HEAD", http.MethodHead, "/x?a=b", "", "", 405},
		{"PUT", http.MethodPut, "/x", form, "a=b", 405},
		{"JSON", http.MethodPost, "/x", "application/json", "{}", 415},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.target, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			params, err := session.Params(r)
			if tt.status == 0 {
				if err != nil || params.Get("a") != "b" {
					t.Errorf("Params = %v, %v", params, err)
				}
				return
			}
			if got := oauth.AsError(err).HTTPStatus(); err == nil || got != tt.status {
				t.Errorf("Params = %v (%d), want status %d", err, got, tt.status)
			}
		})
	}
}

// Where a cookie could have been planted, the token of a form proves nothing: what the browser itself says does.
func TestFormsOfNeighboursAreRefused(t *testing.T) {
	t.Parallel()
	for site, status := range map[string]int{"": 0, "none": 0, "same-origin": 0, "same-site": 403, "cross-site": 403} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", strings.NewReader("a=b"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null") // as browsers send for pages without referrer
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		_, err := session.Params(r)
		if (err != nil) != (status != 0) || err != nil && oauth.AsError(err).HTTPStatus() != status {
			t.Errorf("a form from %q: %v, want status %d", site, err, status)
		}
		r = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x?a=b", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		if _, err := session.Params(r); err != nil {
			t.Errorf("a link from %q: %v", site, err)
		}
	}
}
