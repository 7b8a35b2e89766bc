// SPDX-License-Identifier: Apache-2.0

package callout_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/callout"
)

// backend answers every call with one handler and hands out a client for it.
func backend(t *testing.T, c callout.Config, handler http.HandlerFunc) *callout.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c.URL = server.URL + "/judge?key=in-the-address"
	client, err := callout.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func answering(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // a caller that has gone away is not told more
	}
}

func TestPostSaysWhatItIsGiven(t *testing.T) {
	t.Parallel()
	header := http.Header{"authorization": {"Bearer s3cret"}}
	client := backend(t, callout.Config{Header: header}, func(w http.ResponseWriter, r *http.Request) {
		said, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		for name, want := range map[string]string{
			"Authorization": "Bearer s3cret", "Content-Type": "application/json", "Accept": "application/json",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		if r.Method != http.MethodPost || r.URL.RequestURI() != "/judge?key=in-the-address" || string(said) != `{"a":"b"}` {
			t.Errorf("the back end was asked %s %s: %s", r.Method, r.URL, said)
		}
		answering(http.StatusOK, "application/json; charset=utf-8", `{"c":1}`)(w, r)
	})
	for range 2 {
		answer, err := client.Post(t.Context(), map[string]string{"a": "b"})
		if err != nil || string(answer) != `{"c":1}` {
			t.Errorf("Post = %s, %v", answer, err)
		}
	}
	for _, values := range header {
		values[0] = "changed"
	}
	if _, err := client.Post(t.Context(), map[string]string{"a": "b"}); err != nil {
		t.Error(err)
	}
}

// Whatever is no answer is an error that says neither what was sent nor what came back, nor the whole address.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		none    bool // is ErrAnswer
		says    string
	}{
		{"another status", answering(http.StatusInternalServerError, "application/json", `{"secret":1}`), true, "status 500"},
		{"created", answering(http.StatusCreated, "application/json", `{"secret":1}`), true, "status 201"},
		{"a page", answering(http.StatusOK, "text/html", "secret"), true, "application/json"},
		{"no type", answering(http.StatusOK, "", `{"secret":1}`), true, "application/json"},
		{"nearly JSON", answering(http.StatusOK, "application/json-secret", `{"secret":1}`), true, "application/json"},
		{"too much", answering(http.StatusOK, "application/json", strings.Repeat("secret", 200)), true, "longer than 1000"},
		{"less than announced", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{") // the rest never comes
		}, false, "unexpected EOF"},
		{"a broken connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "EOF"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/judge" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere?secret", http.StatusTemporaryRedirect)
		}, true, "status 307"},
		{"a large header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Secret", strings.Repeat("secret", 10_000))
			answering(http.StatusOK, "application/json", "{}")(w, r)
		}, false, "header"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := backend(t, callout.Config{MaxAnswer: 1000, Header: http.Header{"Key": {"s3cret"}}}, tt.handler)
			answer, err := client.Post(t.Context(), map[string]string{"password": "secret"})
			if err == nil || answer != nil || errors.Is(err, callout.ErrAnswer) != tt.none {
				t.Fatalf("Post = %s, %v", answer, err)
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "127.0.0.1:") {
				t.Errorf("the error says %q", err)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "key=") {
				t.Errorf("the error tells too much: %q", err)
			}
		})
	}
}

func TestAnAnswerOfTheAgreedSize(t *testing.T) {
	t.Parallel()
	client := backend(t, callout.Config{MaxAnswer: 4}, answering(http.StatusOK, "application/json", "1234"))
	if answer, err := client.Post(t.Context(), nil); err != nil || string(answer) != "1234" {
		t.Errorf("Post = %s, %v", answer, err)
	}
}

// A back end may be slow to begin, or to end.
func TestSlowBackEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		begin bool
	}{{"says nothing", false}, {"does not come to an end", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			client := backend(t, callout.Config{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
				if tt.begin {
					answering(http.StatusOK, "application/json", "{")(w, r)
					w.(http.Flusher).Flush()
				}
				select {
				case <-r.Context().Done():
				case <-ended:
				}
			})
			t.Cleanup(func() { close(ended) }) // before the server waits for its handler
			if answer, err := client.Post(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) || answer != nil {
				t.Errorf("Post = %s, %v", answer, err)
			}
		})
	}
	t.Run("the caller is gone", func(t *testing.T) {
		t.Parallel()
		client := backend(t, callout.Config{}, answering(http.StatusOK, "application/json", "{}"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := client.Post(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Post = %v", err)
		}
	})
}

// Only a back end that the configured authorities vouch for is told anything.
func TestTheBackEndIsAuthenticated(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		answering(http.StatusOK, "application/json", "{}")(w, r)
	}))
	server.Config.ErrorLog = nil
	t.Cleanup(server.Close)
	known := x509.NewCertPool()
	known.AddCert(server.Certificate())
	for _, tt := range []struct {
		name, url string
		roots     *x509.CertPool
		good      bool
	}{
		{"its own authority", server.URL, known, true},
		{"the system's authorities", server.URL, nil, false},
		{"no authority", server.URL, x509.NewCertPool(), false},
		{"another name", strings.Replace(server.URL, "127.0.0.1", "localhost", 1), known, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, err := callout.New(callout.Config{URL: tt.url, Roots: tt.roots})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err = client.Post(t.Context(), nil); (err == nil) != tt.good {
				t.Errorf("Post = %v", err)
			}
			if told := len(asked) == 1; told != tt.good {
				t.Errorf("the back end was told: %v", told)
			}
			for len(asked) > 0 {
				<-asked
			}
		})
	}
}

// What cannot be said is an error before anything is sent.
func TestPostOfWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	client := backend(t, callout.Config{}, func(http.ResponseWriter, *http.Request) { t.Error("the back end was asked") })
	var wrong *json.UnsupportedTypeError
	if _, err := client.Post(t.Context(), func() {}); !errors.As(err, &wrong) {
		t.Errorf("Post = %v", err)
	}
}

func TestNewRefusesWhatCannotBeCalled(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"https://backend.example.com/judge", "https://backend.example.com:8443", "http://localhost:8080/", "http://127.0.0.1/", "http://[::1]:1/x?y=z",
	} {
		client, err := callout.New(callout.Config{URL: good})
		if err != nil {
			t.Errorf("New(%s) = %v", good, err)
			continue
		}
		client.Close()
	}
	header := func(name, value string) callout.Config {
		return callout.Config{URL: "https://backend.example.com/", Header: http.Header{name: {value}}}
	}
	for _, tt := range []struct {
		name   string
		config callout.Config
		says   string
	}{
		{"nothing", callout.Config{}, "absolute"},
		{"a path", callout.Config{URL: "/secret"}, "absolute"},
		{"no host", callout.Config{URL: "https:///secret"}, "absolute"},
		{"a port alone", callout.Config{URL: "https://:8443/secret"}, "absolute"},
		{"no URL", callout.Config{URL: "https://secret\x7f/"}, "absolute"},
		{"http to another host", callout.Config{URL: "http://secret.example.com/"}, "not https"},
		{"http to a host that looks like this one", callout.Config{URL: "http://localhost.secret.example.com/"}, "not https"},
		{"another scheme", callout.Config{URL: "ftp://secret.example.com/"}, "not https"},
		{"user information", callout.Config{URL: "https://secret@example.com/"}, "user information"},
		{"a fragment", callout.Config{URL: "https://example.com/#secret"}, "fragment"},
		{"an empty fragment", callout.Config{URL: "https://secret.example.com/#"}, "fragment"},
		{"a field of the call's own", header("content-length", "secret"), `"content-length"`},
		{"the host", header("Host", "secret"), `"Host"`},
		{"no field name", header("", "secret"), `""`},
		{"a field name with a colon", header("a:b", "secret"), `"a:b"`},
		{"a value with a line end", header("Key", "secret\r\nX: y"), `"Key"`},
		{"an empty value", header("Key", ""), `"Key"`},
		{"a negative time-out", callout.Config{URL: "https://secret.example.com/", Timeout: -1}, "negative"},
		{"a negative limit", callout.Config{URL: "https://secret.example.com/", MaxAnswer: -1}, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := callout.New(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "secret") {
				t.Errorf("New = %v, want an error about %s", err, tt.says)
			}
		})
	}
}
