// SPDX-License-Identifier: Apache-2.0

package served_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/served"

	"os"
)

type world struct {
	*served.Server
	authority *loopback.Authority
	client    *http.Client
	handled   atomic.Int32
	inbox     loopback.Inbox
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{}
	var err error
	if w.authority, err = loopback.NewAuthority(); err != nil {
		t.Fatal(err)
	}
	w.Server, err = served.Start(served.Config{
		Authority: w.authority, Now: time.Now, Inbox: &w.inbox,
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.handled.Add(1)
			body, _ := io.ReadAll(r.Body)
			_, _ = rw.Write(append([]byte("usual "), body...))
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	w.client = w.newClient(t)
	return w
}

func (w *world) newClient(t *testing.T) *http.Client {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool()}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (w *world) post(ctx context.Context, t *testing.T) (status int, body string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/a?b=c", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

func TestSteps(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Script.Add(served.Step{Status: 503, Body: "no", Header: map[string]string{"Retry-After": "3"}}, served.Step{Status: 500, Done: true},
		served.Step{Reset: true}, served.Step{Status: 200, Body: "half", Cut: true})
	for i, want := range []struct {
		status  int
		body    string
		broken  bool
		handled int32
	}{{503, "no", false, 0}, {500, "", false, 1}, {0, "", true, 1}, {200, "half", true, 1}, {200, "usual text", false, 2}} {
		status, body, err := w.post(t.Context(), t)
		if status != want.status || body != want.body || (err != nil) != want.broken || w.handled.Load() != want.handled {
			t.Errorf("request %d: %d %q, %v, %d handled", i, status, body, err, w.handled.Load())
		}
	}
	if got := w.Requests(); len(got) < 5 || got[0].URI != "/a?b=c" || string(got[0].Body) != "text" || got[0].Protocol != 2 {
		t.Errorf("kept: %+v", got)
	}
	if w.Connections() != 1 {
		t.Errorf("%d connections", w.Connections())
	}
}

func TestStalling(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.Script.Add(served.Step{Stall: true})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for len(w.Requests()) == 0 && t.Context().Err() == nil {
			<-tick.C
		}
		cancel()
	}()
	if _, _, err := w.post(ctx, t); err == nil {
		t.Error("it was answered")
	}
	w.Hangup()
	w.client = w.newClient(t) // the one there was finds out while it writes, or before
	if status, _, err := w.post(t.Context(), t); err != nil || status != 200 || w.Connections() != 2 {
		t.Errorf("after that: %d, %v, %d connections", status, err, w.Connections())
	}
}

// A client that has nothing in common with this program hears the same.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	w := start(t)
	w.inbox.Put(loopback.Notice{Service: "x", Address: "+31612345678"})
	roots := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(roots, w.authority.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ path, want string }{{"/a", "usual hello"}, {"/inbox/+31612345678", `"service":"x"`}} {
		arguments := []string{"-sS", "--noproxy", "*", "--cacert", roots, w.URL + tt.path}
		if tt.path == "/a" {
			arguments = append(arguments, "-d", "hello")
		}
		out, err := exec.CommandContext(t.Context(), curl, arguments...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), tt.want) {
			t.Errorf("curl %s = %s, %v", tt.path, out, err)
		}
	}
	if len(w.Requests()) != 1 {
		t.Errorf("%d requests are kept, and reading an inbox is none", len(w.Requests()))
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	if s, err := served.Start(served.Config{Now: time.Now, Handler: http.NotFoundHandler()}); err == nil || s != nil {
		t.Error("it starts without an authority")
	}
}
