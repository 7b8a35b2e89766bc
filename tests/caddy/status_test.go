// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
)

// statusOf is what the server says of a certificate at the address that the certificate names.
func statusOf(t *testing.T, c, by *x509.Certificate) int {
	t.Helper()
	request, err := ocsp.CreateRequest(c, by, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := send(t, http.MethodPost, c.OCSPServer[0], func(r *http.Request) { setBody(r, "application/ocsp-request", string(request)) })
	response, err := ocsp.ParseResponseForCert([]byte(got.Body), c, by)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status
}

// TestStatusOfCertificates: whoever sees a certificate finds in it where to ask, and what was revoked is known at the next question, also
// after a crash. OpenSSL, which asks by itself, says the same.
func TestStatusOfCertificates(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "application"), "")
	folder := installed.Folder(t.TempDir())
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("the call gets %d, %v", status, err)
	}
	c, chain := leaf(t, folder, "application at "+h.issuer)
	_, rest := pem.Decode([]byte(chain))
	block, _ := pem.Decode(rest)
	by, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	listed := func() int {
		t.Helper()
		list, err := x509.ParseRevocationList([]byte(send(t, http.MethodGet, c.CRLDistributionPoints[0]).Body))
		if err == nil {
			err = list.CheckSignatureFrom(by)
		}
		if err != nil {
			t.Fatal(err)
		}
		return len(list.RevokedCertificateEntries)
	}
	says := func(want string) {
		t.Helper()
		openssl, err := exec.LookPath("openssl")
		if err != nil {
			return
		}
		names := map[string]string{"leaf.pem": chain, "issuer.pem": string(rest)}
		work := t.TempDir()
		for name, text := range names {
			if err := os.WriteFile(filepath.Join(work, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		said, err := exec.CommandContext(t.Context(), openssl, "ocsp", "-issuer", filepath.Join(work, "issuer.pem"), "-cert", filepath.Join(work, "leaf.pem"),
			"-CAfile", filepath.Join(h.folder, "caddy", "pki", "authorities", "devices", "root.crt"), "-url", c.OCSPServer[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(said), want) || !strings.Contains(string(said), "Response verify OK") {
			t.Errorf("openssl: %v, and it does not say %q\n%s", err, want, said)
		}
	}
	if got, n := statusOf(t, c, by), listed(); got != ocsp.Good || n != 0 {
		t.Errorf("before, the answer is %d, and the list has %d", got, n)
	}
	says(": good")
	_, id, _ := strings.Cut(c.URIs[0].String(), "urn:gatehouse:application:bank:")
	h.gatehouse(t, "", "certificate", "revoke", id)
	for range 2 {
		if got, n := statusOf(t, c, by), listed(); got != ocsp.Revoked || n != 1 {
			t.Errorf("the answer is %d, and the list has %d", got, n)
		}
		says(": revoked")
		if err := errors.Join(h.Kill(), h.Restart(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRevokedAuthority: when it has another key, everything that it has issued with the one before can be taken away. Tokens end with the next
// request, and the app comes back as the same device, with a certificate of the other key, by itself.
func TestRevokedAuthority(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "application"), "")
	folder, other := installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
	call := func(folder installed.Folder) {
		t.Helper()
		if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
			t.Fatalf("the call gets %d, %v", status, err)
		}
	}
	call(folder)
	name := "application at " + h.issuer
	c, chain := leaf(t, folder, name)
	_, rest := pem.Decode([]byte(chain))
	block, _ := pem.Decode(rest)
	digest := sha256.Sum256(block.Bytes)
	for _, file := range []string{"intermediate.crt", "intermediate.key"} {
		if err := os.Remove(filepath.Join(h.folder, "caddy", "pki", "authorities", "devices", file)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(h.Kill(), h.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	call(folder)
	if again, _ := leaf(t, folder, name); !again.Equal(c) {
		t.Error("another key of the authority has taken the certificate away")
	}
	call(other)
	tokens := h.held[len(h.held)-2:]
	if listed := h.gatehouse(t, "", "certificate", "authorities"); strings.Count(listed, "intermediate") != 2 {
		t.Errorf("listed is\n%s", listed)
	}
	if said := h.gatehouse(t, "", "certificate", "revoke", "--authority", hex.EncodeToString(digest[:])); !strings.Contains(said, "would be revoked, with --yes: 1 certificates") {
		t.Errorf("the dry run says %q", said)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(tokens[0])); got.Status != http.StatusOK {
		t.Errorf("after the dry run the token gets %d", got.Status)
	}
	id := base64.RawURLEncoding.EncodeToString(digest[:])
	if said := h.gatehouse(t, "", "certificate", "revoke", "--authority", id, "--yes"); !strings.Contains(said, "revoked: 1 certificates") {
		t.Errorf("the command says %q", said)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(tokens[0])); got.Status != http.StatusUnauthorized {
		t.Errorf("the token gets %d", got.Status)
	}
	if got := send(t, http.MethodGet, h.all+"/", bearer(tokens[1])); got.Status != http.StatusOK {
		t.Errorf("the token of a device with another key's certificate gets %d", got.Status)
	}
	by, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := statusOf(t, c, by); got != ocsp.Revoked {
		t.Errorf("others are told %d", got)
	}
	// A token of the second of the revocation is taken for one of before it.
	patience, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK; status, err = h.called(t, "bank", folder) {
		if err != nil || status != http.StatusUnauthorized || patience.Err() != nil {
			t.Fatalf("after that the call gets %d, %v", status, err)
		}
	}
	again, _ := leaf(t, folder, name)
	if again.Equal(c) || again.URIs[0].String() != c.URIs[0].String() || !again.PublicKey.(*ecdsa.PublicKey).Equal(c.PublicKey) {
		t.Errorf("after that the device has the certificate of %s", again.URIs)
	}
	if said := h.gatehouse(t, "", "certificate", "revoke", "--authority", id, "--yes"); !strings.Contains(said, "before") {
		t.Errorf("the second time the command says %q", said)
	}
	if trail := h.gatehouse(t, "", "audit"); !strings.Contains(trail, "device_authority.revoked") || !strings.Contains(trail, "authority_revoked") {
		t.Errorf("the trail says\n%s", trail)
	}
}

// TestVersionOffOnDevices: a version that is switched off is refused at the next request, whatever certificate its devices have.
func TestVersionOffOnDevices(t *testing.T) {
	t.Parallel()
	h := start(t, strings.ReplaceAll(provisioned, "ENTITY", "application"), "")
	folder := installed.Folder(t.TempDir())
	if status, err := h.called(t, "bank", folder); err != nil || status != http.StatusOK {
		t.Fatalf("the call gets %d, %v", status, err)
	}
	token := h.held[len(h.held)-1]
	h.gatehouse(t, "", "app", "set", "bank", "2.0", "disabled")
	if got := send(t, http.MethodGet, h.all+"/", bearer(token)); got.Status != http.StatusUnauthorized {
		t.Errorf("the token gets %d", got.Status)
	}
	if status, err := h.called(t, "bank", folder); err == nil && status == http.StatusOK {
		t.Error("the version gets in")
	}
}

// TestRevokedFormerAuthority: when the key of another system's authority has leaked, the devices that have come from it go with it, and no
// others do.
func TestRevokedFormerAuthority(t *testing.T) {
	t.Parallel()
	old := newAuthority(t, "Worklight")
	file := filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, certificateBlock(old.cert))
	h := start(t, strings.ReplaceAll(strings.ReplaceAll(provisioned, "ENTITY", "application"), "mode auto",
		"mode auto\n former "+file+" {\n device CN\n stands_for application bank\n }"), "")
	moved, other := installed.Folder(t.TempDir()), installed.Folder(t.TempDir())
	has, key := old.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "phone-1"}, KeyUsage: x509.KeyUsageDigitalSignature})
	inherits := func(c *installed.Config) {
		c.Former = func(context.Context) (installed.Former, error) {
			return installed.Former{Key: key, Certificate: has.Raw}, nil
		}
	}
	for _, folder := range []installed.Folder{moved, other} {
		var change []func(*installed.Config)
		if folder == moved {
			change = append(change, inherits)
		}
		if status, err := h.called(t, "bank", folder, change...); err != nil || status != http.StatusOK {
			t.Fatalf("the call gets %d, %v", status, err)
		}
	}
	tokens := h.held[len(h.held)-2:]
	digest := sha256.Sum256(old.cert.Raw)
	id := hex.EncodeToString(digest[:])
	for _, tt := range []struct {
		say []string
		hey string
		at  [2]int
	}{
		{nil, "would be revoked, with --yes: 0 certificates of CN=Worklight, and 1 devices that have come with one", [2]int{200, 200}},
		{[]string{"--yes"}, "revoked: 0 certificates of CN=Worklight, and 1 devices that have come with one", [2]int{401, 200}},
		{[]string{"--yes"}, "was revoked before: 0 certificates of CN=Worklight", [2]int{401, 200}},
	} {
		said := h.gatehouse(t, "", append([]string{"certificate", "revoke", "--authority", id}, tt.say...)...)
		if !strings.HasPrefix(said, tt.hey) {
			t.Errorf("the command says %q", said)
		}
		for i, want := range tt.at {
			if got := send(t, http.MethodGet, h.all+"/", bearer(tokens[i])); got.Status != want {
				t.Errorf("the token of device %d gets %d", i, got.Status)
			}
		}
	}
	if status, err := h.called(t, "bank", moved, inherits); !errors.Is(err, installed.ErrRefused) {
		t.Errorf("the device that has come gets %d, %v", status, err)
	}
}
