// SPDX-License-Identifier: Apache-2.0

package guests_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/caddymodule/guests"
	"github.com/gatehouse-id/gatehouse/tests/slapd"
)

const (
	password = "correct horse"
	secret   = "secret-of-ours"
)

const people = `dn: cn=reader,dc=example,dc=com
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: ` + secret + `

dn: uid=alice,dc=example,dc=com
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: Alice
mail: alice@example.com
userPassword: ` + password + `

`

// load provisions a module from JSON, as Caddy does, until the test ends.
func load(t *testing.T, id string, config any) (any, error) {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	return ctx.LoadModuleByID(id, raw)
}

// module is load for a login module that is as it should be.
func module(t *testing.T, id string, config any) realm.LoginModule {
	t.Helper()
	loaded, err := load(t, id, config)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := loaded.(realm.LoginModule)
	if needs, also := loaded.(realm.NeedsLogin); !ok || !also || !needs.NeedsLogin() {
		t.Fatalf("%T is no login module that needs a login name", loaded)
	}
	return m
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func credentials(username, password string) realm.Credentials {
	return realm.Credentials{Values: map[string]string{"username": username, "password": password}, Realm: "corporate"}
}

func TestLDAP(t *testing.T) {
	t.Parallel()
	s := slapd.Start(t, slapd.Options{LDIF: people})
	m := module(t, "gatehouse.login_modules.ldap", guests.LDAP{
		URL: s.LDAPS, CAFile: s.CAFile, BindDN: "cn=reader," + slapd.Suffix, BindPassword: "{file." + write(t, "secret", secret+"\n") + "}",
		SearchBase: slapd.Suffix, Attributes: map[string]string{"email": "mail"}, Groups: &guests.LDAPGroups{}, Timeout: caddy.Duration(30 * time.Second),
	})
	got, err := m.Verify(t.Context(), credentials("alice", password))
	if err != nil || got.Status != realm.Accepted || got.Identity.Name != "Alice" || got.Identity.Attributes["email"] != "alice@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = m.Verify(t.Context(), credentials("alice", "wrong")); err != nil || got.Status != realm.Refused {
		t.Errorf("with a wrong password: %+v, %v", got, err)
	}
	direct := module(t, "gatehouse.login_modules.ldap", guests.LDAP{URL: s.LDAP, BindDN: "uid={username}," + slapd.Suffix})
	if got, err = direct.Verify(t.Context(), credentials("alice", password)); err != nil || got.Status != realm.Accepted {
		t.Errorf("direct: %+v, %v", got, err)
	}
}

// Provisioning happens beside a running server: it connects to nothing.
// The operator is told at start where the time a directory takes tells which login names exist.
func TestLDAPWarnsOfTiming(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		m     guests.LDAP
		warns bool
	}{
		{"no decoy", guests.LDAP{URL: "ldaps://x", SearchBase: "dc=x"}, true},
		{"a decoy", guests.LDAP{URL: "ldaps://x", SearchBase: "dc=x", Decoy: "cn=decoy,dc=x"}, false},
		{"users bind themselves", guests.LDAP{URL: "ldaps://x", BindDN: "uid={username},dc=x"}, true},
	} {
		var said bytes.Buffer
		if err := tt.m.Build(slog.New(slog.NewTextHandler(&said, nil))); err != nil {
			t.Fatal(err)
		}
		if warns := strings.Contains(said.String(), "decoy"); warns != tt.warns {
			t.Errorf("%s: it warns: %t\n%s", tt.name, warns, &said)
		}
	}
}

func TestProvisionConnectsToNothing(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	}()
	at := listener.Addr().String()
	module(t, "gatehouse.login_modules.ldap", guests.LDAP{URL: "ldap://" + at, SearchBase: slapd.Suffix})
	module(t, "gatehouse.login_modules.web_service", guests.WebService{URL: "http://" + at, ID: "id"})
	// One connection of ours comes after all that there might be.
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	_, _ = conn.Close(), listener.Close()
	<-ended
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections were made", n-1)
	}
}

// pair makes a certificate that vouches for itself, and returns the files of it and its key.
func pair(t *testing.T) (certificate, key string, parsed *x509.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatehouse"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return write(t, "client.pem", text("CERTIFICATE", der)), write(t, "client.key", text("PRIVATE KEY", encoded)), parsed
}

func TestWebService(t *testing.T) {
	t.Parallel()
	certificate, key, trusted := pair(t)
	clients := x509.NewCertPool()
	clients.AddCert(trusted)
	var broken atomic.Bool
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != `{"login":"alice","secret":"`+password+`"}` || r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("asked %s as %q: %v", body, r.Header.Get("Authorization"), err)
		}
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"user":{"id":7,"mail":"alice@example.com"},"ok":true}`) // it is read or not
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	m := module(t, "gatehouse.login_modules.web_service", guests.WebService{
		URL: server.URL, CAFile: ca, ClientCertificate: &guests.KeyPair{Certificate: certificate, Key: key},
		Header: map[string]string{"authorization": "Bearer {file." + write(t, "secret", secret) + "}"},
		Send:   map[string]string{"username": "login", "password": "secret"},
		ID:     "user.id", Attributes: map[string]string{"email": "user.mail"}, OKField: "ok",
		Breaker: &guests.BreakerConfig{Faults: 1, Pause: caddy.Duration(time.Hour)},
	})
	got, err := m.Verify(t.Context(), credentials("alice", password))
	if err != nil || got.Identity.ExternalID != "7" || got.Identity.Attributes["email"] != "alice@example.com" {
		t.Errorf("%+v, %v", got, err)
	}
	broken.Store(true)
	for _, why := range []string{"status 500", "left alone"} {
		if _, err := m.Verify(t.Context(), credentials("alice", password)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("the error is %v, want something about %q", err, why)
		}
	}
}

// What cannot be provisioned is refused with the option's name and without a secret.
func TestProvisionRefuses(t *testing.T) {
	t.Parallel()
	certificate, key, _ := pair(t)
	_, other, _ := pair(t)
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	const ldap, service = "gatehouse.login_modules.ldap", "gatehouse.login_modules.web_service"
	for _, tt := range []struct {
		name, id string
		config   any
		why      string
	}{
		{"a password that is not there", ldap, guests.LDAP{
			URL: "ldaps://x", BindDN: "cn=x", BindPassword: "{file./nowhere}", SearchBase: "dc=x",
		}, "bind_password: evaluated placeholder {file./nowhere} is empty"},
		{"a password with something unknown", ldap, guests.LDAP{
			URL: "ldaps://x", BindDN: "cn=x", BindPassword: secret + "{unknown}", SearchBase: "dc=x",
		}, "bind_password"},
		{"no authorities", ldap, guests.LDAP{URL: "ldaps://x", SearchBase: "dc=x", CAFile: "/nowhere"}, "ca_file"},
		{"a key as an authority", ldap, guests.LDAP{URL: "ldaps://x", SearchBase: "dc=x", CAFile: key}, "ca_file"},
		{"no base", ldap, guests.LDAP{URL: "ldaps://x"}, "search_base"},
		{"an address from nowhere", ldap, guests.LDAP{URL: "{env.GATEHOUSE_NOWHERE}", SearchBase: "dc=x"}, "url"},
		{"a header that is not there", service, guests.WebService{
			URL: "https://x", ID: "id", Header: map[string]string{"Authorization": "{env.GATEHOUSE_NOWHERE}"},
		}, "header Authorization"},
		{"a header that cannot be set", service, guests.WebService{
			URL: "https://x", ID: "id", Header: map[string]string{"Host": secret},
		}, `"Host"`},
		{"an address with a secret", service, guests.WebService{URL: "https://x:" + secret + "@x", ID: "id"}, "user information"},
		{"an address from nowhere", service, guests.WebService{URL: "{env.GATEHOUSE_NOWHERE}", ID: "id"}, "address"},
		{"no id", service, guests.WebService{URL: "https://x"}, "id"},
		{"the key of another", service, guests.WebService{
			URL: "https://x", ID: "id", ClientCertificate: &guests.KeyPair{Certificate: certificate, Key: other},
		}, "client_certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tt.id, tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Fatalf("the error is %v, want something about %q", err, tt.why)
			}
			if strings.Contains(err.Error(), secret) || bytes.Contains([]byte(err.Error()), text) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
