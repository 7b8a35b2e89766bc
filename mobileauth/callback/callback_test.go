// SPDX-License-Identifier: Apache-2.0

package callback_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
)

func must(c callback.Credentials, err error) callback.Credentials {
	if err != nil {
		panic(err)
	}
	return c
}

// What is sent is exactly what is documented, and verifies with the issuer's key.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	b := newBack(t, accept)
	plain, basic, bearer := b.URL+"/a?x=1", b.URL+"/b", b.URL+"/c"
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{
			{URL: plain, Allow: loopback},
			{URL: basic, Allow: loopback, Credentials: must(callback.Basic("portal", "s3:cret"))},
			{URL: bearer, Allow: loopback, Credentials: must(callback.Bearer("t0ken=="))},
		},
		Key: func() (jose.PrivateKey, error) { return key, nil },
	})
	for _, address := range []string{plain, basic, bearer} {
		if err := s.Deliver(t.Context(), notice(t, address)); err != nil {
			t.Fatal(err)
		}
	}
	const content = `{"id":"dlv_1","operation":"op_1","kind":"authorisation","state":"approved","at":"2026-11-22T02:05:00.007Z"}`
	for i, want := range []struct{ path, authorization string }{
		{"/a?x=1", ""}, {"/b", "Basic " + base64.StdEncoding.EncodeToString([]byte("portal:s3:cret"))}, {"/c", "Bearer t0ken=="},
	} {
		got := b.got()[i]
		signature := got.Header.Get(callback.SignatureField)
		got.Header.Del(callback.SignatureField)
		header := http.Header{
			"Content-Type": {"application/json"}, "User-Agent": {"Gatehouse"}, "Gatehouse-Delivery": {"dlv_1"},
			"Content-Length": {fmt.Sprint(len(content))},
		}
		if want.authorization != "" {
			header.Set("Authorization", want.authorization)
		}
		if diff := cmp.Diff(call{http.MethodPost, want.path, header, content}, got); diff != "" {
			t.Error(diff)
		}
		token, err := jose.Parse(strings.Replace(signature, "..", "."+base64.RawURLEncoding.EncodeToString([]byte(content))+".", 1))
		if err != nil || token.Verify(key.Public()) != nil || !jose.EqualTyp(token.Header.Typ, callback.Typ) || token.Header.KID != key.KID {
			t.Errorf("the signature %q is not that of the key: %v", signature, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	now := happened
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		says    string // empty where it is accepted
		after   time.Duration
		ends    bool
	}{
		{"no content", accept, "", 0, false},
		{"ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thanks") }, "", 0, false},
		{"accepted", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202) }, "", 0, false},
		{"a large answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) // the sender does not listen to the end
		}, "", 0, false},
		{"no page, called one", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, "", 0, false},
		{"a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<h1>Please log in</h1>")
		}, "answered with a page", 0, false},
		{"a page that does not say so", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html><p>s3cret") },
			"answered with a page", 0, false},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cret", 500) }, "status 500", 0, false},
		{"not found", http.NotFound, "status 404", 0, false},
		{"gone", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "status 410", 0, true},
		{"unauthorized", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, r.Header.Get("Authorization"), http.StatusUnauthorized)
		}, "status 401", 0, false},
		{"too many", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(429)
		}, "status 429", 90 * time.Second, false},
		{"unavailable until a date", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", now.Add(2*time.Minute).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		}, "status 503", 2*time.Minute - 7*time.Millisecond, false},
		{"unavailable since a date", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", now.Add(-time.Hour).UTC().Format(http.TimeFormat))
			w.WriteHeader(503)
		}, "status 503", 0, false},
		{"unavailable for nonsense", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "-5, s3cret")
			w.WriteHeader(503)
		}, "status 503", 0, false},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?s3cret", http.StatusTemporaryRedirect)
		}, "redirects", 0, false},
		{"a redirect that changes the method", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?s3cret", http.StatusSeeOther)
		}, "redirects", 0, false},
		{"a redirect to nowhere", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://[s3cret")
			w.WriteHeader(302)
		}, "redirects", 0, false},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke", 0, false},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "s3cret") // the rest never comes
		}, "broke", 0, false},
		{"a large header", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("s3cret", 10_000))
		}, "broke", 0, false},
		{"an echo instead of an answer", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nAuthorization: %s\r\n\r\n", r.RequestURI, r.Header.Get("Authorization"))
			_ = conn.Close()
		}, "broke", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBack(t, tt.handler)
			address := b.URL + "/done?key=s3cret"
			s := sender(t, callback.Config{
				Receivers: []callback.Receiver{{URL: address, Allow: loopback, Credentials: must(callback.Bearer("s3cret"))}},
				Now:       func() time.Time { return now },
			})
			err := s.Deliver(t.Context(), notice(t, address))
			if len(b.got()) != 1 {
				t.Errorf("%d calls", len(b.got()))
			}
			if tt.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "127.0.0.1:") {
				t.Fatalf("the error is %v, want one of 127.0.0.1 that says %s", err, tt.says)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "s3cret") || strings.Contains(text, "/done") {
				t.Errorf("the error tells too much: %s", text)
			}
			if got, want := outbox.AdviceOf(err), (outbox.Advice{Permanent: tt.ends, After: tt.after}); got != want {
				t.Errorf("the outbox is told %+v, want %+v", got, want)
			}
		})
	}
}

func TestSlowReceivers(t *testing.T) {
	t.Parallel()
	for _, begin := range []bool{false, true} {
		t.Run(fmt.Sprint(begin), func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			b := newBack(t, func(w http.ResponseWriter, r *http.Request) {
				if begin {
					_, _ = io.WriteString(w, "{")
					_ = http.NewResponseController(w).Flush()
				}
				select {
				case <-r.Context().Done():
				case <-ended:
				}
			})
			t.Cleanup(func() { close(ended) }) // before the server waits for its handler
			s := sender(t, callback.Config{Receivers: []callback.Receiver{{URL: b.URL, Allow: loopback}}, Timeout: 50 * time.Millisecond})
			if err := s.Deliver(t.Context(), notice(t, b.URL)); err == nil || !strings.Contains(err.Error(), "too long") {
				t.Errorf("Deliver = %v", err)
			}
		})
	}
}

func TestOnlyAddressesOfTheConfigurationAreCalled(t *testing.T) {
	t.Parallel()
	b := newBack(t, accept)
	address := b.URL + "/done"
	s := sender(t, callback.Config{Receivers: []callback.Receiver{{URL: address, Allow: loopback}}})
	if !s.Allowed("portal", address) {
		t.Error("the address itself is refused")
	}
	for _, other := range []string{
		"", address + "/", address + "?x", address + "#x", b.URL, b.URL + "/Done", b.URL + "/./done", b.URL + "/d%6fne", b.URL + "//done",
		strings.Replace(address, "http", "HTTP", 1), strings.Replace(address, "127.0.0.1", "localhost", 1), " " + address,
		strings.Replace(address, "//", "//user@", 1), address + ".evil.example",
	} {
		if s.Allowed("portal", other) {
			t.Errorf("%q is allowed", other)
		}
		err := s.Deliver(t.Context(), notice(t, other))
		if !errors.Is(err, callback.ErrNotAllowed) || strings.Contains(err.Error(), "done") {
			t.Errorf("%q: %v", other, err)
		}
		if !outbox.AdviceOf(err).Permanent {
			t.Errorf("%q is tried again", other)
		}
	}
	if n := len(b.got()); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestWithoutTheList: a client for which the list is off names any https address; what it stands for is judged as ever, and what stands
// beside an address of the list stays with that.
func TestWithoutTheList(t *testing.T) {
	t.Parallel()
	_, roots, address, calls := secure(t)
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: "https://listed.example/", Credentials: must(callback.Bearer("t0ken"))}},
		Anywhere:  []string{"portal"}, Roots: roots, Timeout: time.Minute,
		Resolver: resolver(t, func(int) [4]byte { return [4]byte{127, 0, 0, 1} }),
	})
	for _, tt := range []struct {
		client, url string
		want        bool
	}{
		{"portal", address, true},
		{"portal", "https://anywhere.example/done?x=1", true},
		{"portal", "https://listed.example/", true},
		{"shop", "https://listed.example/", true},
		{"shop", address, false},
		{"", address, false},
		{"portal", "", false},
		{"portal", "http://anywhere.example/", false},
		{"portal", "http://127.0.0.1/", false},
		{"portal", "https://user@anywhere.example/", false},
		{"portal", "https://anywhere.example/#x", false},
		{"portal", "ftp://anywhere.example/", false},
		{"portal", "/done", false},
		{"portal", "https://anywhere.example/" + strings.Repeat("x", callback.MaxURL), false},
	} {
		if got := s.Allowed(tt.client, tt.url); got != tt.want {
			t.Errorf("%s may name %.60q: %t", tt.client, tt.url, got)
		}
	}
	// It is called, as far as the network that it is in.
	err := s.Deliver(t.Context(), notice(t, address))
	if !errors.Is(err, egress.ErrAddress) || outbox.AdviceOf(err).Permanent || calls.Load() != 0 {
		t.Errorf("Deliver = %v, %d calls", err, calls.Load())
	}
	// Once the list is on again what waits is not sent.
	on := sender(t, callback.Config{Anywhere: []string{"shop"}})
	if err := on.Deliver(t.Context(), notice(t, address)); !errors.Is(err, callback.ErrNotAllowed) || !outbox.AdviceOf(err).Permanent {
		t.Errorf("Deliver = %v", err)
	}
}

func TestDamagedItemsEnd(t *testing.T) {
	t.Parallel()
	s := sender(t, callback.Config{})
	err := s.Deliver(t.Context(), outbox.Delivery{Item: outbox.Item{ID: "x", Payload: []byte(`{"url":"s3cret`)}})
	if err == nil || !outbox.AdviceOf(err).Permanent || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Deliver = %v", err)
	}
}

// While there is no key to sign with nothing is sent, and it is tried again.
func TestNothingIsSentUnsigned(t *testing.T) {
	t.Parallel()
	b := newBack(t, accept)
	errNone := errors.New("no key yet")
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: b.URL, Allow: loopback}}, Key: func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errNone },
	})
	err := s.Deliver(t.Context(), notice(t, b.URL))
	if !errors.Is(err, errNone) || outbox.AdviceOf(err).Permanent || len(b.got()) != 0 {
		t.Errorf("Deliver = %v, %d calls", err, len(b.got()))
	}
}

// secure is a receiver with a certificate for example.com.
func secure(t *testing.T) (server *httptest.Server, roots *x509.CertPool, address string, calls *atomic.Int32) {
	t.Helper()
	calls = &atomic.Int32{}
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		accept(w, r)
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return server, roots, "https://example.com:" + port + "/done", calls
}

// The address is judged when it is connected to, whatever the name stood for a moment before.
func TestTheAddressIsJudgedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	_, roots, address, calls := secure(t)
	here := resolver(t, func(int) [4]byte { return [4]byte{127, 0, 0, 1} })
	for _, tt := range []struct {
		name  string
		allow []netip.Prefix
		good  bool
	}{
		{"not allowed", nil, false},
		{"another network allowed", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, false},
		{"allowed", loopback, true},
	} {
		calls.Store(0)
		s := sender(t, callback.Config{
			Receivers: []callback.Receiver{{URL: address, Allow: tt.allow}}, Roots: roots, Resolver: here, Timeout: time.Minute,
		})
		err := s.Deliver(t.Context(), notice(t, address))
		if (err == nil) != tt.good || err != nil && !errors.Is(err, egress.ErrAddress) || (calls.Load() == 1) != tt.good {
			t.Errorf("%s: %v, %d calls", tt.name, err, calls.Load())
		}
	}
}

func TestANameThatChangesWhatItStandsFor(t *testing.T) {
	t.Parallel()
	_, roots, address, calls := secure(t)
	asked := &atomic.Int32{}
	rebinding := resolver(t, func(n int) [4]byte {
		asked.Add(1)
		if n == 0 {
			return [4]byte{127, 0, 0, 1}
		}
		return [4]byte{127, 0, 0, 2} // where nothing listens, but that is not what stops it
	})
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: address, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}, Roots: roots, Resolver: rebinding,
		Timeout: time.Minute,
	})
	if err := s.Deliver(t.Context(), notice(t, address)); err != nil || calls.Load() != 1 {
		t.Fatalf("the first call: %v", err)
	}
	s.Close() // the connection is gone, the name is looked up again
	if err := s.Deliver(t.Context(), notice(t, address)); !errors.Is(err, egress.ErrAddress) || asked.Load() != 2 {
		t.Errorf("the second call, after %d questions: %v", asked.Load(), err)
	}
}

// What stands in the environment does not see the credentials.
func TestNoProxyIsAsked(t *testing.T) {
	_, roots, address, calls := secure(t)
	proxy := newBack(t, accept)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	s := sender(t, callback.Config{
		Receivers: []callback.Receiver{{URL: address, Allow: loopback}}, Roots: roots,
		Resolver: resolver(t, func(int) [4]byte { return [4]byte{127, 0, 0, 1} }), Timeout: time.Minute,
	})
	if err := s.Deliver(t.Context(), notice(t, address)); err != nil || calls.Load() != 1 || len(proxy.got()) != 0 {
		t.Errorf("Deliver = %v, %d calls, %d of the proxy", err, calls.Load(), len(proxy.got()))
	}
}

func TestTheReceiverIsAuthenticated(t *testing.T) {
	t.Parallel()
	server, roots, address, calls := secure(t)
	here := resolver(t, func(int) [4]byte { return [4]byte{127, 0, 0, 1} })
	wrong := strings.Replace(address, "example.com", "evil.test", 1)
	for _, tt := range []struct {
		name, url string
		roots     *x509.CertPool
	}{{"the system's authorities", address, nil}, {"no authority", address, x509.NewCertPool()}, {"another name", wrong, roots}} {
		s := sender(t, callback.Config{
			Receivers: []callback.Receiver{{URL: tt.url, Allow: loopback}}, Roots: tt.roots, Resolver: here, Timeout: time.Minute,
		})
		if err := s.Deliver(t.Context(), notice(t, tt.url)); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if calls.Load() != 0 {
		t.Error("it was told")
	}
	_ = server
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	t.Parallel()
	for _, c := range []callback.Credentials{must(callback.Basic("portal", "s3cret")), must(callback.Bearer("s3cret"))} {
		r := callback.Receiver{URL: "https://example.com/", Credentials: c}
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "receiver", r, "credentials", c, "at", &r)
		text := fmt.Sprintf("%v %+v %#v %s %v %#v %s %s", c, c, c, c, r, r, encoded, &log)
		for _, secret := range []string{"s3cret", "Basic", "Bearer", base64.StdEncoding.EncodeToString([]byte("portal:s3cret"))} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is printed: %s", secret, text)
			}
		}
	}
}

func TestCredentialsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{{"", "s3cret"}, {"portal", ""}, {"a:b", "s3cret"}, {"a\n", "s3cret"}, {"a", "s3cret\r\nX: y"}, {"a", "s3cret\x7f"}} {
		if c, err := callback.Basic(pair[0], pair[1]); err == nil || strings.Contains(err.Error(), "s3cret") || c != (callback.Credentials{}) {
			t.Errorf("Basic(%q, %q) = %v", pair[0], pair[1], err)
		}
	}
	for _, token := range []string{"", "=", "s3cret token", "s3cret\n", "s3=cret", "s3crét", "s3cret,"} {
		if c, err := callback.Bearer(token); err == nil || strings.Contains(err.Error(), "cret") || c != (callback.Credentials{}) {
			t.Errorf("Bearer(%q) = %v", token, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := callback.Config{Key: func() (jose.PrivateKey, error) { return jose.PrivateKey{}, nil }, Now: time.Now}
	with := func(receivers ...callback.Receiver) callback.Config {
		c := good
		c.Receivers = receivers
		return c
	}
	at := func(address string, allow ...netip.Prefix) callback.Config {
		return with(callback.Receiver{URL: address, Allow: allow})
	}
	for _, c := range []callback.Config{
		good, at("https://example.com"), at("https://example.com:8443/a?b=c"), at("https://127.0.0.1/"), at("http://127.0.0.1:80/", loopback...),
		at("http://localhost/", loopback...), at("http://[::1]/", netip.MustParsePrefix("::1/128")),
		with(callback.Receiver{URL: "https://example.com/a"}, callback.Receiver{URL: "https://example.com/b"}),
	} {
		if _, err := callback.New(c); err != nil {
			t.Errorf("%v: %v", c.Receivers, err)
		}
	}
	for _, tt := range []struct {
		name   string
		config callback.Config
	}{
		{"no key", callback.Config{Now: time.Now}},
		{"no clock", callback.Config{Key: good.Key}},
		{"a negative time-out", callback.Config{Key: good.Key, Now: time.Now, Timeout: -1}},
		{"no address", at("")},
		{"a relative address", at("/s3cret")},
		{"no host", at("https:///s3cret")},
		{"opaque", at("https:example.com/s3cret")},
		{"another scheme", at("ftp://example.com/s3cret")},
		{"user information", at("https://user:s3cret@example.com/")},
		{"a fragment", at("https://example.com/s3cret#x")},
		{"an empty fragment", at("https://example.com/s3cret#")},
		{"a space", at("https://example.com/s3cret ")},
		{"a letter that is not ASCII", at("https://exämple.com/s3cret")},
		{"a line end", at("https://example.com/s3cret\n")},
		{"too long", at("https://example.com/s3cret" + strings.Repeat("x", callback.MaxURL))},
		{"in clear", at("http://example.com/s3cret")},
		{"in clear, with its network allowed", at("http://10.0.0.1/s3cret", netip.MustParsePrefix("10.0.0.0/8"))},
		{"in clear on loopback that is not allowed", at("http://127.0.0.1/s3cret")},
		{"in clear elsewhere with loopback allowed", at("http://example.com/s3cret", loopback...)},
		{"a range that is none", at("https://example.com/s3cret", netip.Prefix{})},
		{"twice", with(callback.Receiver{URL: "https://example.com/s3cret"}, callback.Receiver{URL: "https://example.com/s3cret"})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := callback.New(tt.config); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("New = %v", err)
			}
		})
	}
}

// Who calls off a delivery says nothing about the receiver.
func TestACallThatIsCalledOff(t *testing.T) {
	t.Parallel()
	b := newBack(t, accept)
	s := sender(t, callback.Config{Receivers: []callback.Receiver{{URL: b.URL, Allow: loopback}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if err := s.Deliver(ctx, notice(t, b.URL)); err == nil || paused(err) {
			t.Errorf("Deliver = %v", err)
		}
	}
}

func paused(err error) bool { return outbox.AdviceOf(err).Pause > 0 }

// A receiver that fails five times in a row is left alone for a while, until it has accepted one.
func TestAReceiverInTrouble(t *testing.T) {
	t.Parallel()
	var good atomic.Bool
	b := newBack(t, func(w http.ResponseWriter, r *http.Request) {
		if good.Load() {
			accept(w, r)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	other := newBack(t, accept)
	s := sender(t, callback.Config{Receivers: []callback.Receiver{{URL: b.URL, Allow: loopback}, {URL: other.URL, Allow: loopback}}})
	for i := 1; i <= 11; i++ {
		good.Store(i == 8)
		err := s.Deliver(t.Context(), notice(t, b.URL))
		want := i >= 5 && i < 8
		if paused(err) != want || (err == nil) != (i == 8) {
			t.Errorf("call %d: %v, paused %v", i, err, paused(err))
		}
		if err := s.Deliver(t.Context(), notice(t, other.URL)); err != nil {
			t.Errorf("another receiver: %v", err)
		}
	}
}
