// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

func TestShifts(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{value} }
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		want   string
	}{
		{"nothing", func(*http.Request) {}, ""},
		{"a field of its own", header("X-To", "Ann"), ""},
		{"the named field", header("Currency", "EUR"), ""},
		{"a protocol", header("Upgrade", "h2c"), "it changes the protocol of its connection"},
		{"a tunnel", func(r *http.Request) { r.Method = http.MethodConnect }, "it changes the protocol of its connection"},
		{"trailers", func(r *http.Request) { r.Trailer = http.Header{"X-To": nil} }, "it has trailers"},
		{"another method", header("X-Http-Method-Override", "DELETE"), "X-Http-Method-Override may make another request of it"},
		{"another method in the query", func(r *http.Request) { r.URL.RawQuery = "a=1&_method=DELETE" }, "_method may make another request of it"},
		{"a field less", header("Connection", "close, Currency"), "Connection may change the protocol, or take a field off it"},
		{"nothing less", header("Connection", "close"), ""},
		{"a twin", header("Currency_", "USD"), ""},
		{"another spelling", func(r *http.Request) { r.Header["Pay_Currency"] = []string{"USD"} }, "Pay_Currency can be taken for Pay-Currency"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/transfers?a=1", http.NoBody)
			tt.change(r)
			if got := httpx.Shifts(r, []string{"Currency", "Pay-Currency"}); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// unknown hides how long a body is.
type unknown struct{ io.Reader }

// failing is a body that does not arrive.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestTakeBody(t *testing.T) {
	t.Parallel()
	const limit = 100_000
	lost := errors.New("the line is gone")
	full := strings.Repeat("x", limit)
	for _, tt := range []struct {
		name string
		body io.Reader
		want string
		err  error
	}{
		{"none", nil, "", nil},
		{"empty", unknown{strings.NewReader("")}, "", nil},
		{"short", strings.NewReader("a=1"), "a=1", nil},
		{"at the limit", strings.NewReader(full), full, nil},
		{"in pieces, at the limit", unknown{strings.NewReader(full)}, full, nil},
		{"announced too long", strings.NewReader(full + "x"), "", httpx.ErrTooLarge},
		{"too long", unknown{strings.NewReader(full + "x")}, "", httpx.ErrTooLarge},
		{"too long for the server", failing{&http.MaxBytesError{Limit: 1}}, "", httpx.ErrTooLarge},
		{"broken off", failing{lost}, "", lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", tt.body)
			r.Header.Set("Expect", "100-continue")
			r.TransferEncoding = []string{"chunked"}
			got, err := httpx.TakeBody(r, limit)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Fatalf("%d bytes, %v, want %d, %v", len(got), err, len(tt.want), tt.err)
			}
			if err != nil {
				return
			}
			forwarded, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(forwarded, got) || r.ContentLength != int64(len(got)) || r.TransferEncoding != nil || r.Header.Get("Expect") != "" {
				t.Errorf("%d bytes are forwarded of %d, %v, %v", len(forwarded), r.ContentLength, r.Header, err)
			}
			if len(got) > 0 && cap(got) > len(got)+len(got)/2+2*bytes.MinRead {
				t.Errorf("%d bytes keep %d", len(got), cap(got))
			}
		})
	}
}

// TestTrailersBehindABody: fields that were not announced, and are known when the body has been read.
func TestTrailersBehindABody(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.Body = io.NopCloser(trailing{strings.NewReader("a=1"), r})
	if _, err := httpx.TakeBody(r, 10); !errors.Is(err, httpx.ErrTrailers) {
		t.Errorf("%v", err)
	}
}

// trailing has a field at the end.
type trailing struct {
	io.Reader
	r *http.Request
}

func (t trailing) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if err == io.EOF {
		t.r.Trailer = http.Header{"X-To": {"Bob"}}
	}
	return n, err
}
