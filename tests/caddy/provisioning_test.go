// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

const provisioned = `
		application bank {
			ios com.example.bank
		}
		application wallet {
			ios com.example.wallet
		}
		provisioning {
			mode auto
			entity ENTITY
			group retail bank wallet
		}
		realm device {
			authenticator device
			max_age 8h
			audit
		}
		scope from-the-device device
		client phone {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid accounts:read from-the-device
			access_ttl 1h
		}
`

// called sends something that must happen once, as an app on a device, and returns the status.
func (h *house) called(t *testing.T, app string, folder installed.Folder, change ...func(*installed.Config)) (int, error) {
	t.Helper()
	config := installed.Config{App: installed.App{ID: app, Platform: "ios", Version: "2.0"}, Storage: folder, Now: time.Now}
	for _, fn := range change {
		fn(&config)
	}
	device, err := installed.New(config)
	if err != nil {
		t.Fatal(err)
	}
	direct := &http.Transport{}
	defer direct.CloseIdleConnections()
	gate, err := client.New(client.Config{
		Issuer: h.issuer, ClientID: "phone", Scopes: []string{"openid", "accounts:read", "from-the-device"},
		Handlers: map[string]client.Handler{
			"device": device,
			"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
				return map[string]string{"username": "alice", "password": password}, nil
			}),
		},
		HTTP: &http.Client{Transport: direct}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.all+"/pay", strings.NewReader(`{"amount":"10"}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := gate.Transport(direct).RoundTrip(r)
	if err != nil {
		return 0, err
	}
	h.held = append(h.held, gate.Tokens().Access)
	_, _ = io.Copy(io.Discard, response.Body) // the status is enough
	return response.StatusCode, response.Body.Close()
}

// leaf is the certificate that a device has, and the chain it came with as PEM.
func leaf(t *testing.T, folder installed.Folder, name string) (*x509.Certificate, string) {
	t.Helper()
	identity, err := folder.Load(t.Context(), name)
	if err != nil || len(identity.Chain) < 2 {
		t.Fatalf("the device has %d certificates, %v", len(identity.Chain), err)
	}
	var text strings.Builder
	for _, der := range identity.Chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	c, err := x509.ParseCertificate(identity.Chain[0])
	if err != nil {
		t.Fatal(err)
	}
	return c, text.String()
}

// TestDeviceGetsItsCertificate from Caddy's own PKI on its first call, which goes through: by default one for an app, of a CA that is for
// devices alone and that the system does not trust. It goes on with it after a crash.
func TestDeviceGetsItsCertificate(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "application"), "")
	folder := installed.Folder(t.TempDir())
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("the first call gets %d, %v", status, err)
	}
	name := "application at " + h.issuer
	first, chain := leaf(t, folder, name)
	if left := time.Until(first.NotAfter); left < 89*24*time.Hour || left > 90*24*time.Hour {
		t.Errorf("the certificate is valid for %v", left)
	}
	root := filepath.Join(h.folder, "caddy", "pki", "authorities", "devices", "root.crt")
	if openssl, err := exec.LookPath("openssl"); err == nil {
		path := filepath.Join(t.TempDir(), "chain.pem")
		if err := os.WriteFile(path, []byte(chain), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", root, "-untrusted", path, path).CombinedOutput()
		if err != nil {
			t.Errorf("openssl: %v\n%s", err, said)
		}
	}
	log := h.Log()
	for _, want := range []string{"every app that asks with a key of its own gets a certificate", "device_certificate.issued"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(log, "installing root certificate") {
		t.Error("the root of the devices was installed as trusted")
	}
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("after a crash the device gets %d, %v", status, err)
	}
	if again, _ := leaf(t, folder, name); !again.Equal(first) {
		t.Error("after a crash it has another certificate")
	}
}

// TestAppsOfAGroupShareACertificate, and an app outside of it is none of them.
func TestAppsOfAGroupShareACertificate(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "group retail")+"\t\tapplication games {\n\t\t\tios com.example.games\n\t\t}\n", "")
	folder := installed.Folder(t.TempDir())
	for _, app := range []string{"bank", "wallet"} {
		if status, err := h.called(t, app, folder); err != nil || status != http.StatusOK {
			t.Fatalf("%s gets %d, %v", app, status, err)
		}
	}
	c, _ := leaf(t, folder, "group retail at "+h.issuer)
	if got := c.URIs[0].String(); !strings.HasPrefix(got, "urn:gatehouse:group:retail:ins_") {
		t.Errorf("the certificate is for %s", got)
	}
	if n := strings.Count(h.Log(), "device_certificate.issued"); n != 1 {
		t.Errorf("%d certificates were issued", n)
	}
	if status, err := h.called(t, "games", folder); err == nil {
		t.Errorf("an app outside the group gets %d", status)
	}
}

// TestRevokedDevice is refused at the next request, with the token that it has, and gets no other; the operator sees why.
func TestRevokedDevice(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "application"), "")
	folder, other := installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
	for _, folder := range []installed.Folder{folder, other} {
		if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
			t.Fatalf("before, the device gets %d, %v", status, err)
		}
	}
	c, _ := leaf(t, folder, "application at "+h.issuer)
	_, id, _ := strings.Cut(c.URIs[0].String(), "urn:gatehouse:application:bank:")
	token := h.held
	if listed := h.gatehouse(t, "", "certificate", "list"); strings.Count(listed, "ins_") != 2 || !strings.Contains(listed, id) {
		t.Errorf("listed is\n%s", listed)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(token[0])); got.Status != http.StatusOK {
		t.Fatalf("before, the token gets %d", got.Status)
	}
	if said := h.gatehouse(t, "", "certificate", "revoke", id); !strings.Contains(said, "revoked") {
		t.Errorf("the command says %q", said)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(token[0])); got.Status != http.StatusUnauthorized {
		t.Errorf("the token of the revoked device gets %d", got.Status)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(token[1])); got.Status != http.StatusOK {
		t.Errorf("the token of another device gets %d", got.Status)
	}
	if status, err := h.called(t, "bank", folder); !errors.Is(err, installed.ErrRefused) {
		t.Errorf("the revoked device gets %d, %v", status, err)
	}
	if status, err := h.called(t, "bank", other); err != nil || status != http.StatusOK {
		t.Errorf("another device gets %d, %v", status, err)
	}
	if said := h.gatehouse(t, "", "certificate", "revoke", id); !strings.Contains(said, "before") {
		t.Errorf("the second time the command says %q", said)
	}
	if listed := h.gatehouse(t, "", "certificate", "list", "--device", id, "--json"); !strings.Contains(listed, `"revoked_at"`) {
		t.Errorf("listed is\n%s", listed)
	}
	if trail := h.gatehouse(t, "", "audit"); !strings.Contains(trail, "device_certificate.revoked") || !strings.Contains(trail, "certificate_revoked") {
		t.Errorf("the trail says\n%s", trail)
	}
}

// TestModeNoneWarns at every start.
func TestModeNoneWarns(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(strings.ReplaceAll(provisioned, "ENTITY", "device"), "mode auto", "mode none"), "")
	if status, err := h.called(t, "bank", installed.Folder(t.TempDir())); err != nil || status != http.StatusOK {
		t.Fatalf("the call gets %d, %v", status, err)
	}
	for start := range 2 {
		if !strings.Contains(h.Log(), "mode is none") {
			t.Errorf("start %d does not warn", start)
		}
		if err := errors.Join(h.Kill(), h.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestModeCustom: the operator's service, which knows the server by its token, decides about devices; without an answer of its own nobody
// gets in.
func TestModeCustom(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	var said atomic.Pointer[string]
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Error("the service does not know who is asking")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, *said.Load()) // a server that went away is not told
	}))
	t.Cleanup(service.Close)
	answer := func(code int64, text string) {
		status.Store(code)
		said.Store(&text)
	}
	hook := " webhook " + service.URL + "/devices {\n\t\t\t\theader Authorization \"Bearer s3cret\"\n\t\t\t}\n"
	h := start(t, strings.NewReplacer(
		"ENTITY", "application", "\t\t\tmode auto\n", "\t\t\tmode custom\n\t\t\tvalidate_csr"+hook+"\t\t\tvalidate_certificate"+hook,
	).Replace(provisioned), "")
	folder := installed.Folder(t.TempDir())
	answer(http.StatusOK, `{"accept":false,"message":"Not today."}`)
	_, err := h.called(t, "bank", folder)
	if told, ok := errors.AsType[*installed.RefusalError](err); !ok || told.Text != "Not today." {
		t.Errorf("the device is told %v", err)
	}
	for name, code := range map[string]int64{`{"accept":true}`: http.StatusInternalServerError, `{"accept":"yes"}`: http.StatusOK} {
		answer(code, name)
		_, err := h.called(t, "bank", folder)
		if _, wait := errors.AsType[*client.WaitError](err); !wait {
			t.Errorf("%d %s: %v", code, name, err)
		}
	}
	answer(http.StatusOK, `{"accept":true}`)
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("the call gets %d, %v", status, err)
	}
	leaf(t, folder, "application at "+h.issuer)
	for _, want := range []string{"request_refused", "hook_failed", "device_certificate.issued", "mode is custom"} {
		if got := strings.Contains(h.Log(), want); got != (want != "mode is custom") { // which is a warning for those without validate_csr
			t.Errorf("the log says %q: %v", want, got)
		}
	}
	if strings.Contains(h.Log(), "s3cret") {
		t.Error("the log has the token")
	}
}

// TestBackEndTakesADeviceOut over the API: it finds the certificate that a device has got by its installation and by who has logged in
// on it, revokes it, and the device is refused at its next request, and so is its token. The other device goes on. Whoever may only read
// takes nothing out.
func TestBackEndTakesADeviceOut(t *testing.T) {
	t.Parallel()
	extra := strings.ReplaceAll(provisioned, "ENTITY", "application") +
		strings.Replace(enrolling, "gatehouse:users gatehouse:operations", "gatehouse:users gatehouse:devices", 1) +
		"\n\t\tclient reader {\n\t\t\tsecret " + readerSecret + "\n\t\t\tgrants client_credentials\n\t\t\tscopes gatehouse:devices:read\n\t\t}\n"
	h := start(t, extra, "")
	folder, other := installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
	for _, folder := range []installed.Folder{folder, other} {
		if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
			t.Fatalf("before, the device gets %d, %v", status, err)
		}
	}
	c, _ := leaf(t, folder, "application at "+h.issuer)
	_, id, _ := strings.Cut(c.URIs[0].String(), "urn:gatehouse:application:bank:")

	users, _ := h.asPortal(t, "GET", "users?login=alice", "", http.StatusOK)["users"].([]any)
	if len(users) != 1 {
		t.Fatalf("found are the users %v", users)
	}
	alice, _ := users[0].(map[string]any)["id"].(string)
	nobody, _ := h.asPortal(t, "POST", "users", `{"external_ref":"4711"}`, http.StatusCreated)["id"].(string)
	certificates := func(query string, want int) []any {
		t.Helper()
		all, _ := h.asPortal(t, "GET", "certificates"+query, "", http.StatusOK)["certificates"].([]any)
		if len(all) != want {
			t.Errorf("certificates%s are %d, want %d: %v", query, len(all), want, all)
		}
		return all
	}
	certificates("", 2)
	certificates("?user="+alice, 2)
	certificates("?user="+nobody, 0)
	certificates("?user=usr_unknown", 0)
	certificates("?installation=ins_unknown", 0)
	status := func() any { return certificates("?installation="+id, 1)[0].(map[string]any)["status"] }
	if got := status(); got != "valid" {
		t.Errorf("before, the certificate is %v", got)
	}

	revoke := h.issuer + "/api/v1/installations/" + id + "/revoke"
	for name, may := range map[string]func(*http.Request){
		"nobody": func(*http.Request) {}, "a reader": basic("reader", readerSecret), "the device": bearer(h.held[0]),
	} {
		if got := send(t, http.MethodPost, revoke, may); got.Status != http.StatusUnauthorized && got.Status != http.StatusForbidden {
			t.Errorf("%s gets %d %s", name, got.Status, got.Body)
		}
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(h.held[0])); got.Status != http.StatusOK {
		t.Fatalf("before, the token gets %d", got.Status)
	}
	if got := h.asPortal(t, "POST", "installations/"+id+"/revoke", "", http.StatusOK); got["fresh"] != true {
		t.Errorf("the answer is %v", got)
	}
	for i, want := range []int{http.StatusUnauthorized, http.StatusOK} {
		if got := send(t, http.MethodGet, h.all+"/", bearer(h.held[i])); got.Status != want {
			t.Errorf("the token of device %d gets %d, want %d", i, got.Status, want)
		}
	}
	if status, err := h.called(t, "bank", folder); !errors.Is(err, installed.ErrRefused) {
		t.Errorf("the revoked device gets %d, %v", status, err)
	}
	if status, err := h.called(t, "bank", other); err != nil || status != http.StatusOK {
		t.Errorf("the other device gets %d, %v", status, err)
	}
	if got := status(); got != "revoked" {
		t.Errorf("after, the certificate is %v", got)
	}
	certificates("?user="+alice, 2)
	if got := h.asPortal(t, "POST", "installations/"+id+"/revoke", "", http.StatusOK); got["fresh"] != false {
		t.Errorf("the second answer is %v", got)
	}
	h.asPortal(t, "POST", "installations/ins_unknown/revoke", "", http.StatusNotFound)
}
