// SPDX-License-Identifier: Apache-2.0

package signedpost_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
)

var (
	now      = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

func config(t testing.TB, address string, allow ...netip.Prefix) (signedpost.Config, jose.PrivateKey) {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	return signedpost.Config{
		Receiver: signedpost.Receiver{URL: address, Allow: allow}, Key: func() (jose.PrivateKey, error) { return key, nil }, Typ: "test+jws",
		Field: "Test-Signature", Now: func() time.Time { return now }, Timeout: time.Minute,
	}, key
}

func client(t testing.TB, c signedpost.Config) *signedpost.Client {
	t.Helper()
	made, err := signedpost.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/s3cret"
}

// What is sent is what is documented, and verifies with the key once the body is put back between the dots.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	const content = `{"a":"b"}`
	var got http.Header
	var said []byte
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		said, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	c, key := config(t, address, loopback...)
	var err error
	if c.Receiver.Credentials, err = signedpost.Basic("portal", "s3cret"); err != nil {
		t.Fatal(err)
	}
	if err := client(t, c).Post(t.Context(), http.Header{"X-Id": {"1"}}, []byte(content)); err != nil {
		t.Fatal(err)
	}
	signature := got.Get("Test-Signature")
	got.Del("Test-Signature")
	want := http.Header{
		"Content-Type": {"application/json"}, "User-Agent": {"Gatehouse"}, "X-Id": {"1"}, "Content-Length": {fmt.Sprint(len(content))},
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("portal:s3cret"))},
	}
	if diff := cmp.Diff(want, got); diff != "" || string(said) != content {
		t.Errorf("%s (-want +got)\n%s", said, diff)
	}
	token, err := jose.Parse(strings.Replace(signature, "..", "."+base64.RawURLEncoding.EncodeToString([]byte(content))+".", 1))
	if err != nil || token.Verify(key.Public()) != nil || !jose.EqualTyp(token.Header.Typ, "test+jws") {
		t.Errorf("the signature %q is not that of the key: %v", signature, err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		status  int // of an Answer; zero where it was accepted
		after   time.Duration
		err     error // of another error
	}{
		{"accepted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, 0, 0, nil},
		{"accepted, at length", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("{", 1<<20)) }, 0, 0, nil},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>s3cret") }, 200, 0, nil},
		{"a reason", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(422)
			_, _ = io.WriteString(w, strings.Repeat("s3cret", 1000))
		}, 422, 0, nil},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, 410, 0, nil},
		{"too many", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(429)
		}, 429, 9 * time.Second, nil},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/s3cret/2", http.StatusTemporaryRedirect)
		}, 307, 0, nil},
		{"a redirect to nowhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[s3cret")
			w.WriteHeader(302)
		}, 302, 0, nil},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, 0, provider.ErrConnection},
		{"a broken answer", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "100") }, 0, 0, provider.ErrConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			c, _ := config(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				w.Header().Set("Connection", "close")
				tt.handler(w, r)
			}), loopback...)
			err := client(t, c).Post(t.Context(), nil, []byte("{}"))
			var answer *signedpost.Answer
			switch {
			case tt.status == 0 && !errors.Is(err, tt.err), tt.status == 0 && tt.err == nil && err != nil:
				t.Errorf("Post = %v, want %v", err, tt.err)
			case tt.status != 0 && (!errors.As(err, &answer) || !errors.Is(err, signedpost.ErrAnswer) || answer.Status != tt.status || answer.RetryAfter != tt.after):
				t.Errorf("Post = %v, want status %d", err, tt.status)
			case answer != nil && len(answer.Body) > signedpost.MaxAnswer || tt.status == 422 && len(answer.Body) != signedpost.MaxAnswer:
				t.Errorf("%d bytes were read", len(answer.Body))
			case err != nil && strings.Contains(err.Error(), "s3cret") || calls.Load() != 1:
				t.Errorf("after %d calls: %v", calls.Load(), err)
			}
		})
	}
}

func TestWhoIsCalled(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	address := serve(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	c, _ := config(t, strings.Replace(strings.Replace(address, "http:", "https:", 1), "127.0.0.1", "localhost", 1))
	if err := client(t, c).Post(t.Context(), nil, []byte("{}")); !errors.Is(err, egress.ErrAddress) {
		t.Errorf("an address that is not public: %v", err)
	}
	c, _ = config(t, address, loopback...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := client(t, c).Post(ctx, nil, []byte("{}")); !errors.Is(err, provider.ErrCancelled) {
		t.Errorf("a call that was given up: %v", err)
	}
	c.Key = func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errors.New("the ring is empty") }
	if err := client(t, c).Post(t.Context(), nil, []byte("{}")); !errors.Is(err, signedpost.ErrSigning) {
		t.Errorf("without a key: %v", err)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

func TestSlowReceivers(t *testing.T) {
	t.Parallel()
	c, _ := config(t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		<-r.Context().Done()
	}), loopback...)
	c.Timeout = 100 * time.Millisecond
	if err := client(t, c).Post(t.Context(), nil, []byte("{}")); !errors.Is(err, provider.ErrTimeout) {
		t.Errorf("Post = %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good, _ := config(t, "https://example.com/s3cret")
	if host := client(t, good).Host(); host != "example.com" {
		t.Errorf("the host is %q", host)
	}
	for name, change := range map[string]func(*signedpost.Config){
		"no key":              func(c *signedpost.Config) { c.Key = nil },
		"no clock":            func(c *signedpost.Config) { c.Now = nil },
		"no type":             func(c *signedpost.Config) { c.Typ = "" },
		"no field":            func(c *signedpost.Config) { c.Field = "" },
		"a negative time-out": func(c *signedpost.Config) { c.Timeout = -1 },
		"no address":          func(c *signedpost.Config) { c.Receiver.URL = "" },
		"in clear":            func(c *signedpost.Config) { c.Receiver.URL = "http://example.com/s3cret" },
		"user information":    func(c *signedpost.Config) { c.Receiver.URL = "https://u:s3cret@example.com/" },
		"a fragment":          func(c *signedpost.Config) { c.Receiver.URL += "#" },
		"a range that is none": func(c *signedpost.Config) {
			c.Receiver.Allow = []netip.Prefix{{}}
		},
	} {
		c := good
		change(&c)
		if made, err := signedpost.New(c); err == nil || made != nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
