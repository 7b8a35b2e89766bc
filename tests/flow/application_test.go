// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/appauth"
	"github.com/gatehouse-id/gatehouse/mobileauth"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// bank is the app of every world: version 3 is to tell its people something.
var bank = mobileauth.Application{
	ID: "bank", Platforms: map[string]string{"ios": "com.example.bank"},
	Rules: []mobileauth.Rule{
		{Pattern: "1.*", Status: mobileauth.Active}, {Pattern: "2.*", Status: mobileauth.Active},
		{Pattern: "3.*", Status: mobileauth.Notify, MessageID: "spring", Messages: map[string]string{"en": "There is an update"}},
		{Pattern: "4.*", Status: mobileauth.NoRegistration},
	},
}

// off is what an operator says of version 1.
var off = mobileauth.Rule{
	Pattern: "1.*", Status: mobileauth.Disabled, URL: "https://example.com/get",
	Messages: map[string]string{"en": "Please update", "nl": "Werk de app bij"},
}

const switchedOff = "this version of the app is not accepted any more"

// withAnApp has everybody prove an app before the password, for the scope "read".
func withAnApp(w *world, c *realm.Config) {
	app := &appauth.Guest{Config: appauth.Config{Application: "bank", Versions: w.building.apps}}
	c.Realms = append(c.Realms, &realm.Realm{Name: "app", Authenticator: app, LoginModule: app, MaxAge: time.Hour, Audit: true})
	c.Tests = append(c.Tests, realm.SecurityTest{Name: "app-first", Steps: [][]string{{"app"}, {"password"}}})
	c.Scopes["read"] = []string{"app-first"}
}

func version(v string, more ...string) map[string]map[string]string {
	fields := map[string]string{"platform": "ios", "version": v}
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return map[string]map[string]string{"app": fields}
}

// login has an app of a version ask for a scope, and returns its tokens.
func (p *phone) login(v string) answer {
	p.t.Helper()
	p.ask("read")
	return p.redeem(p.password(p.give(version(v))))
}

// password answers the password that is asked, and returns the code.
func (p *phone) password(a answer) string {
	p.t.Helper()
	if diff := cmp.Diff(map[string][]string{"password": {"username", "password"}}, p.challenges(a)); diff != "" {
		p.t.Fatalf("after the app not the password is asked: %d %v\n%s", a.status, a.body, diff)
	}
	a = p.give(map[string]map[string]string{"password": right["password"][0]})
	if a.status != http.StatusOK {
		p.t.Fatalf("there is no code: %d %v", a.status, a.body)
	}
	return a.text("authorization_code")
}

// challenge is what one realm says.
func challenge(t *testing.T, a answer, name string) map[string]any {
	t.Helper()
	all, _ := a.body["challenges"].(map[string]any)
	one, ok := all[name].(map[string]any)
	if !ok {
		t.Fatalf("%s is not asked: %d %v", name, a.status, a.body)
	}
	return one
}

// at sends a request for the API to one node.
func (n *node) at(t *testing.T, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, api+"/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	n.protect(recorder, r, api)
	return recorder
}

// wantOut wants a node to refuse a token because of its version.
func (n *node) wantOut(t *testing.T, token string) {
	t.Helper()
	a := n.at(t, token)
	if a.Code != http.StatusUnauthorized || !strings.Contains(a.Header().Get("WWW-Authenticate"), `error="invalid_token"`) ||
		!strings.Contains(a.Header().Get("WWW-Authenticate"), switchedOff) {
		t.Errorf("the node answers %d, %s", a.Code, a.Header().Get("WWW-Authenticate"))
	}
}

func (n *node) wantIn(t *testing.T, token string) {
	t.Helper()
	if a := n.at(t, token); a.Code != http.StatusOK {
		t.Errorf("the node answers %d, %s", a.Code, a.Header().Get("WWW-Authenticate"))
	}
}

// TestTrap5VersionIsOutAtItsNextRequest: what an operator switches off is out on the node that is told at once, on others when
// they have read it, at the gate, at every endpoint and for every token; and in again with the same tokens.
func TestTrap5VersionIsOutAtItsNextRequest(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		here, there := w.nodes[0], w.nodes[1]
		old, fresh, waiting := w.phone(t), w.phone(t), w.phone(t)
		tokens, others := old.login("1.2"), fresh.login("2.0")
		app := map[string]any{"id": "bank", "platform": "ios", "version": "1.2"}
		for _, name := range []string{"access_token", "id_token"} {
			if diff := cmp.Diff(app, claimsOf(t, tokens.text(name))["application"]); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		access, refresh := tokens.text("access_token"), tokens.text("refresh_token")
		waiting.ask("read")
		code := waiting.password(waiting.give(version("1.9")))
		here.wantIn(t, access)
		there.wantIn(t, access)

		_, err := here.apps.Set(t.Context(), "bank", off)
		must(t, err)
		here.wantOut(t, access)
		there.wantIn(t, access) // has not read it yet, as it does within a second
		must(t, there.apps.Refresh(t.Context()))
		there.wantOut(t, access)
		for range 2 { // on both nodes
			if a := w.form(t, "/introspect", "machine", "token", access); a.body["active"] != false {
				t.Errorf("introspection says %v", a.body)
			}
			want(t, "userinfo", w.call(t, issuer+"/userinfo", access).status, http.StatusUnauthorized)
			if a := w.refresh(t, "phone", refresh); a.text("error") != "invalid_grant" || a.text("error_description") != switchedOff {
				t.Errorf("refresh answers %v", a.body)
			}
			if found := w.next().server.Inspect(t.Context(), refresh); found.Active || !strings.Contains(found.Problem, "switched off") {
				t.Errorf("the operator is told %+v", found)
			}
			here.wantIn(t, others.text("access_token"))
			there.wantIn(t, others.text("access_token"))
		}
		a := w.form(t, "/token", "phone", "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
		if a.text("error") != "invalid_grant" || a.text("error_description") != switchedOff {
			t.Errorf("a code from before answers %v", a.body)
		}

		_, err = there.apps.Unset(t.Context(), "bank", "1.*", "")
		must(t, err)
		there.wantIn(t, access)
		here.wantOut(t, access)
		must(t, here.apps.Refresh(t.Context()))
		here.wantIn(t, access)
		if a := w.refresh(t, "phone", refresh); a.status != http.StatusOK {
			t.Errorf("the refresh token was lost: %v", a.body)
		}
	}, withAnApp)
}

// TestSwitchedOffAppIsTold: its next login asks for the version although that was proven a moment ago, says in the language of
// the user what to do, and goes on where it was once the app is another.
func TestSwitchedOffAppIsTold(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.phone(t)
		p.login("1.2")
		for _, n := range w.nodes {
			_, err := n.apps.Set(t.Context(), "bank", off)
			must(t, err)
		}
		a := p.ask("read", "ui_locales", "nl")
		if diff := cmp.Diff(map[string][]string{"app": {"platform", "version", "message_id"}}, p.challenges(a)); diff != "" {
			t.Fatalf("it is asked %v\n%s", a.body, diff)
		}
		for range 3 { // whatever it does, before any password is asked
			a = p.give(version("1.2"))
			told := challenge(t, a, "app")
			notice, _ := told["notice"].(map[string]any)
			failure, _ := told["failure"].(map[string]any)
			message, _ := failure["message"].(string)
			if notice["text"] != "Werk de app bij" || notice["url"] != off.URL || notice["id"] == "" || failure["code"] != "refused" ||
				!strings.HasPrefix(message, "Deze versie van de app") {
				t.Errorf("it is told %v", told)
			}
		}
		a = p.give(version("2.0")) // the update
		if a.status != http.StatusOK {
			t.Fatalf("the password is asked again although it is fresh: %v", a.body)
		}
		tokens := p.redeem(a.text("authorization_code"))
		for _, n := range w.nodes {
			n.wantIn(t, tokens.text("access_token"))
		}
	}, withAnApp)
}

// TestVersionIsSwitchedOffDuringALogin: what was proven before anybody was known counts no more.
func TestVersionIsSwitchedOffDuringALogin(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.phone(t)
		p.ask("read")
		p.give(version("1.2"))
		for _, n := range w.nodes {
			_, err := n.apps.Set(t.Context(), "bank", off)
			must(t, err)
		}
		a := p.give(map[string]map[string]string{"password": right["password"][0]})
		if a.status == http.StatusOK {
			t.Fatal("there is a code")
		}
		a = p.ask("read")
		challenge(t, a, "app")
	}, withAnApp)
}

// TestNoticeIsShownOnce: until the app says that it has, and not to one that remembers.
func TestNoticeIsShownOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.phone(t)
		p.ask("read")
		for range 2 {
			told := challenge(t, p.give(version("3.0")), "app")
			notice, _ := told["notice"].(map[string]any)
			if notice["id"] != "spring" || notice["text"] != "There is an update" || told["failure"] != nil {
				t.Fatalf("it is told %v", told)
			}
		}
		tokens := p.redeem(p.password(p.give(version("3.0", "message_id", "spring"))))
		w.nodes[0].wantIn(t, tokens.text("access_token"))
		again := w.phone(t)
		again.ask("read")
		again.password(again.give(version("3.1", "message_id", "spring")))
	}, withAnApp)
}

// TestBrowserIsNoApp: a page says where to go, and takes no answers.
func TestBrowserIsNoApp(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		page := b.get(authorize("phone", "scope", "openid read"))
		for range 2 {
			if page.url.Query().Get("code") != "" || !strings.Contains(page.body, "only do this in our app") || strings.Contains(page.body, `type="password"`) {
				t.Fatalf("the page at %s says\n%s", page.url, page.body)
			}
			if strings.Contains(page.body, "Try again") {
				t.Errorf("a button leads nowhere:\n%s", page.body)
			}
			page = b.submit(page, "application", "bank", "platform", "ios", "version", "2.0", "message_id", "")
		}
	}, withAnApp)
}

// knownOfAnApp returns what validates a token of an app, known already, with everything that decides about it.
func knownOfAnApp(t *testing.T) func() error {
	clock := storagetest.NewClock()
	db, err := memstore.Open(memstore.Config{Now: clock.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	w := newWorld(t, clock, db, withAnApp)
	token := w.phone(t).login("2.0").text("access_token")
	validator, ctx := w.nodes[0].server.AccessValidator(), t.Context()
	return func() error {
		_, err := validator.Inspect(ctx, token)
		return err
	}
}

func TestKnownTokenOfAnAppCostsNoMemory(t *testing.T) {
	check := knownOfAnApp(t)
	n := testing.AllocsPerRun(1000, func() { must(t, check()) })
	build, _ := debug.ReadBuildInfo()
	if slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return // the race detector makes pools forget
	}
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRunningSessionOfASwitchedOffVersion: a site's cookie that rests on an app is out at its next request, without being sent
// around, and in again with the version.
func TestRunningSessionOfASwitchedOffVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		b.submit(b.login(b.get(authorize("app", "scope", "openid pay"))), "word", "please")
		sessions, err := w.store.SessionsOf(t.Context(), w.alice.ID)
		must(t, err)
		_, err = w.store.RaiseSession(t.Context(), authz.Raise{
			SessionID: sessions[0].ID, SecretHash: sessions[0].SecretHash, Proof: realm.Proof{
				Realm: "app", Time: w.store.Now(), Client: authz.SiteClientID(web1),
				Application: &realm.Application{ID: "bank", Platform: "ios", Version: "1.2"},
			},
		})
		must(t, err)
		greeted := func() bool { return strings.HasPrefix(b.get(web1+"/").body, "hello "+w.alice.ID) }
		if !greeted() {
			t.Fatal("the browser is not let in before")
		}
		for _, n := range w.nodes {
			_, err := n.apps.Set(t.Context(), "bank", off)
			must(t, err)
		}
		for range 2 { // on both nodes
			if page := b.get(web1 + "/"); !strings.Contains(page.body, "only do this in our app") {
				t.Errorf("the browser is at %s:\n%s", page.url, page.body)
			}
		}
		for _, n := range w.nodes {
			_, err := n.apps.Set(t.Context(), "bank", mobileauth.Rule{Pattern: "1.*", Status: mobileauth.Active})
			must(t, err)
		}
		if !greeted() {
			t.Error("the browser is out although its version is back")
		}
	}, withAnApp)
}

// TestRefreshTokenOfASwitchedOffVersion: its own client is told that it is not active.
func TestRefreshTokenOfASwitchedOffVersion(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.browser(t)
		b.submit(b.login(b.get(authorize("app", "scope", "openid pay"))), "word", "please")
		sessions, err := w.store.SessionsOf(t.Context(), w.alice.ID)
		must(t, err)
		_, err = w.store.RaiseSession(t.Context(), authz.Raise{
			SessionID: sessions[0].ID, Proof: realm.Proof{
				Realm: "app", Time: w.store.Now(), Client: "app", Application: &realm.Application{ID: "bank", Platform: "ios", Version: "1.2"},
			},
		})
		must(t, err)
		refresh := w.redeem(t, "app", b.get(authorize("app"))).text("refresh_token")
		for _, switched := range []bool{false, true, false} {
			status := mobileauth.Active
			if switched {
				status = mobileauth.Disabled
			}
			for _, n := range w.nodes {
				_, err := n.apps.Set(t.Context(), "bank", mobileauth.Rule{Pattern: "1.*", Status: status})
				must(t, err)
			}
			for range w.nodes {
				if a := w.form(t, "/introspect", "app", "token", refresh); a.body["active"] != !switched {
					t.Errorf("while it is %s, introspection says %v", status, a.body)
				}
			}
		}
	}, withAnApp)
}
