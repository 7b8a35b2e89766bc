// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

const (
	readerSecret  = "reader-secret-of-the-directory"
	serviceSecret = "Bearer secret-of-the-service"
)

// requestID finds what tells one error page from another.
var requestID = regexp.MustCompile(`<code>[^<]*</code>`)

const carol = `dn: ou=people,dc=example,dc=com
objectClass: organizationalUnit
ou: people

dn: cn=reader,dc=example,dc=com
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: ` + readerSecret + `

dn: uid=carol,ou=people,dc=example,dc=com
objectClass: inetOrgPerson
uid: carol
cn: Carol of the Directory
sn: Carol
mail: carol@example.com
userPassword: ` + password + `

dn: cn=Key Holders,dc=example,dc=com
objectClass: groupOfNames
cn: Key Holders
member: uid=carol,ou=people,dc=example,dc=com

`

// referee is a web service that knows dave, as long as it works.
type referee struct {
	*httptest.Server

	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newReferee(t *testing.T) *referee {
	t.Helper()
	p := &referee{}
	p.does(p.judge)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		(*p.answer.Load())(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *referee) does(handler http.HandlerFunc) { p.answer.Store(&handler) }

func (p *referee) judge(w http.ResponseWriter, r *http.Request) {
	var asked struct{ User, Password, Realm, From string }
	err := json.NewDecoder(r.Body).Decode(&asked)
	switch {
	case err != nil || r.Header.Get("Authorization") != serviceSecret || asked.Realm != "partner" || asked.From == "":
		w.WriteHeader(http.StatusBadRequest)
	case asked.User != "dave" || asked.Password != password:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true,"user":{"id":4711,"name":"Dave of the Partner","mail":"dave@example.com"}}`) // it is read or not
	}
}

// elsewhere starts a program with a realm whose users are in a directory and one whose users are a service's.
func elsewhere(t *testing.T, directory *slapd.Server, p *referee) *house {
	t.Helper()
	secrets := t.TempDir()
	for name, secret := range map[string]string{"reader": readerSecret + "\n", "service": serviceSecret} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, strings.NewReplacer("$LDAP", directory.LDAP, "$CA", directory.CAFile, "$SECRETS", secrets, "$URL", p.URL).Replace(`
		user_identity password corporate partner
		realm corporate {
			authenticator form
			login_module ldap {
				url $LDAP
				start_tls
				ca_file $CA
				bind_dn cn=reader,dc=example,dc=com
				bind_password {file.$SECRETS/reader}
				search_base ou=people,dc=example,dc=com
				filter "(&(objectClass=inetOrgPerson)(|(uid={username})(cn=none)))"
				attribute email mail
				time_out 1s
				groups {
					base dc=example,dc=com
					filter "(member={dn})"
				}
			}
			audit
		}
		realm partner {
			authenticator form
			login_module web_service $URL/check {
				header Authorization {file.$SECRETS/service}
				send username user
				send password password
				send client_ip from
				send realm realm
				ok_field ok
				id user.id
				name user.name
				attribute email user.mail
				breaker 2 1h
			}
			audit
		}
	`), "")
}

// begin asks for a login by a realm, for the app, and returns the form and what the code is redeemed with.
func (b *browser) begin(h *house, realm string, more ...string) (page *answer, verifier string) {
	b.t.Helper()
	verifier = strings.Repeat("verifier", 6)
	sum := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {"http://127.0.0.1:1/callback"}, "scope": {"openid"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "state": {"x"},
		"acr_values": {realm},
	}
	for i := 0; i+1 < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	return b.get(h.issuer + "/authorize?" + query.Encode()), verifier
}

// claims logs in by a realm and returns the claims of the access token.
func (b *browser) claims(h *house, realm, user string, more ...string) map[string]any {
	b.t.Helper()
	page, verifier := b.begin(h, realm, more...)
	page = b.login(page, user)
	to, err := url.Parse(page.Header.Get("Location"))
	if err != nil || to.Query().Get("code") == "" {
		b.t.Fatalf("%s gets no code by %s: %d %s %s", user, realm, page.Status, page.URL, page.Body)
	}
	token := h.redeem(b.t, to.Query().Get("code"), verifier).Access
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		b.t.Fatalf("the access token is %q", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		b.t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		b.t.Fatal(err)
	}
	return claims
}

// TestPeopleWhoLiveElsewhere log in by a directory and by a web service, and are users of ours from then on.
func TestPeopleWhoLiveElsewhere(t *testing.T) {
	t.Parallel()
	h := elsewhere(t, slapd.Start(t, slapd.Options{LDIF: carol}), newReferee(t))
	subjects := map[string]bool{}
	for realm, who := range map[string]struct{ login, ref, name, more string }{
		"corporate": {"carol", "corporate:", "Carol of the Directory", `"groups":"Key%20Holders"`},
		"partner":   {"dave", "partner:4711", "Dave of the Partner", `"email":"dave@example.com"`},
	} {
		b := newBrowser(t)
		first := b.claims(h, realm, who.login)
		subject, _ := first["sub"].(string)
		if !strings.HasPrefix(subject, "usr_") || first["acr"] != realm || subjects[subject] {
			t.Errorf("%s: the token is about %v", who.login, first)
		}
		subjects[subject] = true
		if again := newBrowser(t).claims(h, realm, who.login); again["sub"] != subject {
			t.Errorf("%s is %v the second time, %s the first", who.login, again["sub"], subject)
		}
		user := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/gatehouse/users/"+subject)
		for _, part := range []string{`"external_ref":"` + who.ref, `"name":"` + who.name + `"`, who.more} {
			if !strings.Contains(user.Body, part) {
				t.Errorf("%s: the user has no %s: %s", who.login, part, user.Body)
			}
		}
		// Who proves it again is asked for the name too, and finds it filled in.
		page, _ := b.begin(h, realm, "prompt", "login")
		if _, fields := formOf(t, page); fields.Get("username") != who.login {
			t.Errorf("%s: the form is filled in with %q", who.login, fields.Get("username"))
		}
		if again := b.claims(h, realm, who.login, "prompt", "login"); again["sub"] != subject {
			t.Errorf("%s is %v when proven again", who.login, again["sub"])
		}
	}
	h.locksOut(t, subjects)
	h.refuses(t)
	h.tellsNoSecret(t)
}

// refuses makes sure that an unknown user and a wrong password get the same page, and that nobody gets in by another's place.
func (h *house) refuses(t *testing.T) {
	t.Helper()
	for _, realm := range []string{"corporate", "partner"} {
		pages := map[string]bool{}
		for _, who := range [][2]string{{"carol", "wrong"}, {"dave", "wrong"}, {"nobody", password}, {"*", password}, {"alice", password}, {"c*", password}} {
			b := newBrowser(t)
			page, _ := b.begin(h, realm)
			page = b.submit(page, "username", who[0], "password", who[1])
			if page.Status != http.StatusForbidden {
				t.Errorf("%s: %q gets %d", realm, who, page.Status)
			}
			_, fields := formOf(t, page)
			body := strings.ReplaceAll(page.Body, who[0], "")
			for name := range fields { // what differs from page to page
				body = strings.ReplaceAll(body, fields.Get(name), "")
			}
			pages[body] = true
		}
		if len(pages) != 1 {
			t.Errorf("%s: refusals look different: %d pages", realm, len(pages))
		}
	}
}

// locksOut makes sure that a user of ours who is locked is so wherever the password lives.
func (h *house) locksOut(t *testing.T, subjects map[string]bool) {
	t.Helper()
	status := func(status string) {
		t.Helper()
		for subject := range subjects {
			got := sendWith(t, h.admin(), http.MethodPost, "http://127.0.0.1/gatehouse/users/"+subject+"/status", func(r *http.Request) {
				setBody(r, "application/json", `{"status":"`+status+`"}`)
			})
			if got.Status != http.StatusOK {
				t.Fatalf("setting the status: %d %s", got.Status, got.Body)
			}
		}
	}
	status("locked")
	for realm, login := range map[string]string{"corporate": "carol", "partner": "dave"} {
		b := newBrowser(t)
		page, _ := b.begin(h, realm)
		if page = b.login(page, login); page.Status != http.StatusForbidden {
			t.Errorf("%s, who is locked, gets %d", login, page.Status)
		}
	}
	status("active")
	newBrowser(t).claims(h, "corporate", "carol")
}

func (h *house) tellsNoSecret(t *testing.T) {
	t.Helper()
	config := sendWith(t, h.admin(), http.MethodGet, "http://127.0.0.1/config/").Body
	for where, text := range map[string]string{"the log": h.Log(), "the configuration": config} {
		for _, secret := range []string{readerSecret, serviceSecret} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells a secret", where)
			}
		}
	}
	if strings.Contains(h.Log(), password) {
		t.Error("the log tells a password")
	}
}

// TestPlacesThatBreak: a realm whose users live in a place that is down or talks nonsense fails with one and the same page, lets
// nobody in and tells the operator why; the other realms go on.
func TestPlacesThatBreak(t *testing.T) {
	t.Parallel()
	directory, p := slapd.Start(t, slapd.Options{LDIF: carol}), newReferee(t)
	h := elsewhere(t, directory, p)
	newBrowser(t).claims(h, "corporate", "carol")
	newBrowser(t).claims(h, "partner", "dave")

	var pages []string
	broken := func(realm, user, why string) {
		t.Helper()
		before := h.metric(t, "gatehouse_realm_attempts_total", `outcome="error",realm="`+realm+`"`)
		b := newBrowser(t)
		page, _ := b.begin(h, realm)
		page = b.login(page, user)
		if page.Status != http.StatusServiceUnavailable || strings.Contains(page.Header.Get("Location"), "code=") {
			t.Errorf("%s, %s: the page is %d", realm, why, page.Status)
		}
		if after := h.metric(t, "gatehouse_realm_attempts_total", `outcome="error",realm="`+realm+`"`); after != before+1 {
			t.Errorf("%s, %s: %v errors are counted after %v", realm, why, after, before)
		}
		if !eventually(t, func() bool { return strings.Contains(h.Log(), why) }) {
			t.Errorf("%s: the log does not tell of %q:\n%s", realm, why, h.warnings())
		}
		pages = append(pages, requestID.ReplaceAllString(page.Body, ""))
	}

	directory.Signal(t, syscall.SIGSTOP) // it takes connections and does not answer
	broken("corporate", "carol", "connecting to the directory: context deadline exceeded")
	directory.Stop()
	broken("corporate", "carol", `verifying for the realm \"corporate\": connecting to the directory`)
	newBrowser(t).claims(h, "partner", "dave")
	newBrowser(t).claims(h, "password", "alice")

	asked := p.asked.Load()
	p.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	broken("partner", "dave", `verifying for the realm \"partner\": asking the web service: asking the back end at`)
	p.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true,"user":{"id":4711,"id":4712}}`) // it is read or not
	})
	broken("partner", "dave", "asking the web service: reading its answer")
	p.does(p.judge)
	broken("partner", "dave", "left alone for a while")
	if now := p.asked.Load(); now != asked+2 {
		t.Errorf("the service was asked %d times", now-asked)
	}
	if h.metric(t, "gatehouse_web_service_open", "") != 1 || !strings.Contains(h.Log(), `"state":"open"`) {
		t.Errorf("that the service is left alone is not told:\n%s", h.warnings())
	}
	newBrowser(t).claims(h, "password", "alice")
	for _, page := range pages[1:] {
		if page != pages[0] {
			t.Errorf("the pages differ:\n%s\n%s", pages[0], page)
		}
	}
	h.tellsNoSecret(t)
}
