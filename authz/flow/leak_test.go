// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/authz/flow"
	"github.com/gatehouse-id/gatehouse/authz/intake"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// A store that fails with a marked text, at every transaction of every step in turn: the mark is in the log and nowhere else,
// there is never a code, and the client is told by redirect wherever it is known.
func TestNothingOfAFailureLeaks(t *testing.T) {
	t.Parallel()
	steps := []struct {
		name string
		// prepare brings the browser to where the step begins, do makes the step.
		prepare func(*faces.Browser) *faces.Page
		do      func(*faces.Browser, *faces.Page) *faces.Page
		// redirects tells that client and redirect URI are known before the store is first asked.
		redirects bool
	}{
		{"authorize", func(*faces.Browser) *faces.Page { return nil },
			func(b *faces.Browser, _ *faces.Page) *faces.Page {
				return b.Send(http.MethodGet, "/authorize?"+faces.Encode(third()), nil)
			}, true},
		{"authorize, signed in", func(b *faces.Browser) *faces.Page { b.SignIn(faces.AliceLogin); return nil },
			func(b *faces.Browser, _ *faces.Page) *faces.Page {
				return b.Send(http.MethodGet, "/authorize?"+faces.Encode(faces.Params()), nil)
			}, true},
		{"authorize, consent looked up", func(b *faces.Browser) *faces.Page { b.SignIn(faces.AliceLogin); return nil },
			func(b *faces.Browser, _ *faces.Page) *faces.Page {
				return b.Send(http.MethodGet, "/authorize?"+faces.Encode(third()), nil)
			}, true},
		{"the login page", func(b *faces.Browser) *faces.Page { return b.Authorize(third()) },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Send(http.MethodGet, p.At, nil) }, false},
		{"the login", func(b *faces.Browser) *faces.Page { return b.Authorize(third()) },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Login(p, faces.AliceLogin) }, false},
		{"the consent page", func(b *faces.Browser) *faces.Page { return b.Login(b.Authorize(third()), faces.AliceLogin) },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Send(http.MethodGet, p.At, nil) }, false},
		{"the consent", func(b *faces.Browser) *faces.Page { return b.Login(b.Authorize(third()), faces.AliceLogin) },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Submit(p, "decision", "allow") }, false},
		{"the refusal", func(b *faces.Browser) *faces.Page { return b.Login(b.Authorize(third()), faces.AliceLogin) },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Submit(p, "decision", "deny") }, false},
		{"the account page", func(b *faces.Browser) *faces.Page { b.SignIn(faces.AliceLogin); return nil },
			func(b *faces.Browser, _ *faces.Page) *faces.Page { return b.Send(http.MethodGet, "/account", nil) }, false},
		{"the account page, nobody signed in", func(*faces.Browser) *faces.Page { return nil },
			func(b *faces.Browser, _ *faces.Page) *faces.Page { return b.Send(http.MethodGet, "/account", nil) }, false},
		{"signing out everywhere", func(b *faces.Browser) *faces.Page { b.SignIn(faces.AliceLogin); return b.Get("/account") },
			func(b *faces.Browser, p *faces.Page) *faces.Page { return b.Submit(p, "everywhere", "all") }, false},
	}
	for _, step := range steps {
		for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
			for nth := 1; nth <= 3; nth++ {
				t.Run(fmt.Sprintf("%s, %d, %d", step.name, op, nth), func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					b := w.Browser(t)
					at := step.prepare(b)
					w.DB.Inject(storagetest.Fault{Op: op, Nth: nth, Err: errors.New(faces.Leak)})
					page := step.do(b, at)
					struck := strings.Contains(w.Log.String(), faces.Leak)
					if text := page.Body + fmt.Sprint(page.Header, page.Left); strings.Contains(text, faces.Leak) {
						t.Errorf("the failure leaks:\n%s", text)
					}
					if !struck {
						return // this step makes fewer transactions
					}
					to := page.Header.Get("Location")
					if strings.Contains(to, "code=") && !strings.Contains(step.name, "refusal") {
						t.Errorf("a failure led to a code: %s", to)
					}
					if step.redirects && !strings.Contains(to, "error=temporarily_unavailable") && !strings.Contains(to, "/consent?") {
						t.Errorf("the client was not told: status %d, location %q", page.Status, to)
					}
				})
			}
		}
	}
}

// What will pass is temporarily_unavailable, and what is broken is server_error; neither is a 500 where the client is known.
func TestRFC6749_4_1_2_1_OurOwnFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want oauth.Code
	}{
		{storage.ErrClosed, oauth.TemporarilyUnavailable},
		{storage.ErrConflict, oauth.TemporarilyUnavailable},
		{storage.ErrFull, oauth.TemporarilyUnavailable},
		{errors.New("the disk is gone"), oauth.TemporarilyUnavailable},
		{storage.ErrTooLarge, oauth.ServerError},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.DB.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: tt.err})
			wantError(t, w.Browser(t).Authorize(faces.Params()), tt.want, faces.Params()["state"])
			page := w.Browser(t).Get("/account")
			status := map[oauth.Code]int{oauth.TemporarilyUnavailable: 503, oauth.ServerError: 500}[tt.want]
			wantPage(t, page, status, "rid-test")
			if (page.Header.Get("Retry-After") != "") != (status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After is %q", page.Header.Get("Retry-After"))
			}
		})
	}
}

// The commit may be known to nobody: the user is told to try again, and no code is out.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	w.DB.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
	wantError(t, b.Authorize(faces.Params()), oauth.TemporarilyUnavailable, faces.Params()["state"])
	b.Authorize(faces.Params()).Code()
}

// Secrets stay out of the log, whatever happens.
func TestTheLogHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Submit(b.Login(b.Authorize(third()), faces.AliceLogin), "decision", "allow")
	code := page.Code()
	b.Authorize(third("scope", "nonsense"))
	b.Authorize(third("redirect_uri", "https://evil.example/x"))
	for _, secret := range []string{code, faces.Password, b.Cookie("session"), b.Cookie("browser"), third()["state"], "evil.example"} {
		if strings.Contains(w.Log.String(), secret) {
			t.Errorf("the log holds %q:\n%s", secret, w.Log)
		}
	}
	for _, word := range []string{"authorization granted", "client_id=third", "sub=usr_alice", "acr=silver", "request_id=rid-test"} {
		if !strings.Contains(w.Log.String(), word) {
			t.Errorf("the log does not tell %q:\n%s", word, w.Log)
		}
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full := flow.Config{
		Issuer: w.Issuer, Store: w.Store, Clients: w.Clients, Sessions: w.Sessions, Pages: w.Pages,
		Trail: w.Trail, Logger: slogDiscard(), Intake: &intake.Reader{Engine: w.Engine, Now: w.Clock.Now},
		ClientAuth: &clientauth.Authenticator{Clients: w.Clients, Store: w.Store, Issuer: w.Issuer, Now: w.Clock.Now},
	}
	if _, err := flow.New(full); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*flow.Config){
		"issuer": func(c *flow.Config) { c.Issuer = "" }, "store": func(c *flow.Config) { c.Store = nil },
		"clients":  func(c *flow.Config) { c.Clients = nil },
		"sessions": func(c *flow.Config) { c.Sessions = nil }, "pages": func(c *flow.Config) { c.Pages = nil },
		"trail": func(c *flow.Config) { c.Trail = nil }, "logger": func(c *flow.Config) { c.Logger = nil },
		"intake": func(c *flow.Config) { c.Intake = nil }, "client authentication": func(c *flow.Config) { c.ClientAuth = nil },
	} {
		c := full
		spoil(&c)
		if _, err := flow.New(c); err == nil {
			t.Errorf("New works without %s", name)
		}
	}
	// Without a verifier every hint is foreign.
	h, err := flow.New(full)
	if err != nil {
		t.Fatal(err)
	}
	location := serve(t, h.Routes()["/authorize"], "/authorize?"+faces.Encode(faces.Params("id_token_hint", "token-of-alice")))
	if !strings.Contains(location, "error=invalid_request") {
		t.Errorf("a hint that nobody can verify led to %s", location)
	}
}
