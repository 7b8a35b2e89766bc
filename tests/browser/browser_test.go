// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// world is what all tests share: the program, and an application that is somebody else's.
type world struct {
	*program.Program
	issuer, web, api string // URLs
	app, backEnd     *httptest.Server
}

var shared *world

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if chromium() == "" {
			return m.Run() // the tests say that they are skipped
		}
		w, stop, err := newWorld()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer stop()
		shared = w
		return m.Run()
	}())
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func newWorld() (*world, func(), error) {
	dir, err := os.MkdirTemp("", "gatehouse-browser-")
	if err != nil {
		return nil, nil, err
	}
	path, err := program.Build(dir)
	if err != nil {
		return nil, nil, err
	}
	w := &world{app: httptest.NewServer(http.HandlerFunc(application)), backEnd: httptest.NewServer(http.HandlerFunc(partner))}
	w.Program, err = program.Start(context.Background(), program.Config{
		Path: path, Dir: dir, Ports: 4, Host: "localhost", Ready: "/jwks",
		Caddyfile: func(a []string) string {
			w.issuer, w.web, w.api = "http://"+a[0], "http://"+a[1], "http://"+a[2]
			return strings.NewReplacer("ADMIN", program.SocketIn(dir), "ISSUER", w.issuer, "WEB", w.web, "API", w.api,
				"UPSTREAM", a[3], "APP", w.app.URL, "BACKEND", w.backEnd.URL).Replace(caddyfile)
		},
	})
	return w, func() {
		w.app.Close()
		w.backEnd.Close()
		if w.Program != nil {
			_ = w.Stop() // the tests are over
		}
		_ = os.RemoveAll(dir) // it is temporary anyway
	}, err
}

const caddyfile = `{
	admin ADMIN
	auto_https off
	gatehouse {
		issuer ISSUER
		storage badger data
		realm password {
			authenticator form
			login_module identity_store
			max_age 8h
			audit
		}
		realm partner {
			authenticator adapter BACKEND
		}
		user_identity password partner
		scope accounts:read password
		default_scope accounts:read
		client app {
			name "Other People's App"
			secret other-peoples-secret-0123456789
			redirect_uri APP/callback
			post_logout_redirect_uri APP/bye
			grants authorization_code refresh_token
			scopes openid profile email accounts:read
		}
		client bank {
			name "Bank <b id=markup>of ours</b>"
			first_party
			native
			redirect_uri APP/native
			grants authorization_code refresh_token
			scopes openid accounts:read
		}
		user alice {
			password wonderland-2026
			attribute name "Alice Liddell"
		}
		user bob {
			password builder-of-walls-2026
		}
	}
}
ISSUER {
	authorization_server
}
WEB {
	@partner path /partner*
	protect @partner openid {
		acr partner
		session on
	}
	protect {
		session on
	}
	reverse_proxy UPSTREAM
}
API {
	protect accounts:read
	reverse_proxy UPSTREAM
}
http://UPSTREAM {
	demo_echo
}
`

// application is somebody else's: it shows what it was sent.
func application(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = r.ParseForm() // what cannot be parsed is shown as nothing
	_, _ = fmt.Fprintf(w, `<!doctype html><title>app</title><p id="method">%s</p><p id="path">%s</p>`, r.Method, r.URL.Path)
	for name := range r.Form {
		_, _ = fmt.Fprintf(w, `<p id="%s">%s</p>`, name, r.Form.Get(name))
	}
}

// partner is the back end of a realm: it asks for a customer number, and then for a code.
func partner(w http.ResponseWriter, r *http.Request) {
	var q struct {
		State   string            `json:"state"`
		Answers map[string]string `json:"answers"`
		Locale  string            `json:"locale"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	const asks = `{"challenge":{"fields":[{"name":"code","label":"Code","input_mode":"numeric","autocomplete":"one-time-code",
		"required":true}],"message":%q,"error":%v},"state":"code"}`
	answer := `{"challenge":{"fields":[{"name":"customer","label":"Customer number","input_mode":"numeric","required":true}]},"state":"customer"}`
	switch {
	case q.State == "customer":
		answer = fmt.Sprintf(asks, "We sent a code to the phone that ends in 12.", false)
	case q.State == "code" && q.Answers["code"] == "123456":
		answer = `{"identity":{"id":"4711","name":"Petra Partner","amr":["otp"]}}`
	case q.State == "code":
		answer = fmt.Sprintf(asks, "That is not the code. Look again.", true)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprint(w, answer) // a caller that has gone away is not told
}

// step is one thing that a person does.
type step = chromedp.Action[chromedp.Void]

// patience bounds one sequence of steps.
const patience = 60 * time.Second

// tab opens a browser of its own, with nothing remembered.
func tab(t *testing.T) context.Context {
	t.Helper()
	if shared == nil {
		t.Skip("skipped: there is no Chromium on this machine")
	}
	all := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium()), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	allocator, cancelAllocator := chromedp.NewExecAllocator(t.Context(), all...)
	t.Cleanup(cancelAllocator)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// do runs steps, and on failure says where the browser is.
func do(t *testing.T, ctx context.Context, steps ...step) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := chromedp.Do(limited, steps...); err != nil {
		where, _ := chromedp.Run(ctx, chromedp.Location())       // only to tell more
		seen, _ := chromedp.Run(ctx, chromedp.InnerHTML("body")) // only to tell more
		t.Fatalf("%v\nat %s:\n%.1500s\n%s", err, where, seen, shared.tail())
	}
}

// ask returns what an action finds.
func ask[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := chromedp.Run(limited, action)
	if err != nil {
		t.Fatalf("%v\n%s", err, shared.tail())
	}
	return found
}

// call sends a command of the browser's own protocol.
func call[P, R any](command cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, command, params)
		return err
	})
}

func (w *world) tail() string {
	log := w.Log()
	return log[max(0, len(log)-1500):]
}

// picture keeps a picture of the page for people to look at.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("GATEHOUSE_SCREENSHOTS")
	if dir == "" {
		return
	}
	png := ask(t, ctx, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// fill types a name and a password.
func fill(name, password string) step {
	return chromedp.Steps(
		chromedp.WaitVisible(`input[name=username]`),
		chromedp.SetValue(`input[name=username]`, name),
		chromedp.SetValue(`input[name=password]`, password),
	)
}

// submit presses the button that a person would press.
func submit() step { return chromedp.Click(`button[type=submit]:not([name=cancel])`) }

func location(t *testing.T, ctx context.Context) string {
	t.Helper()
	return ask(t, ctx, chromedp.Location())
}

func text(t *testing.T, ctx context.Context, selector string) string {
	t.Helper()
	return ask(t, ctx, chromedp.Text(selector))
}
