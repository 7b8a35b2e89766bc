// SPDX-License-Identifier: Apache-2.0

package flow_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/deviceauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/former"
)

// worklight is the authority of another system, as OpenSSL makes it.
type worklight struct {
	t             *testing.T
	openssl, home string
}

func newWorklight(t *testing.T) *worklight {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	w := &worklight{t, openssl, t.TempDir()}
	for name, text := range map[string]string{
		"index.txt": "", "serial": "0a01\n", "ca.cnf": `
[req]
distinguished_name = name
[name]
[ca]
default_ca = worklight
[worklight]
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = anything
unique_subject = no
[anything]
commonName = supplied
organizationalUnitName = optional
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
`,
	} {
		must(t, os.WriteFile(filepath.Join(w.home, name), []byte(text), 0o600))
	}
	w.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", "ca.cnf", "-subj", "/CN=Worklight CA", "-keyout", "ca.key", "-out", "ca.csr")
	w.run("ca", "-batch", "-notext", "-selfsign", "-config", "ca.cnf", "-extensions", "authority", "-startdate", "20200101000000Z",
		"-enddate", "20360101000000Z", "-in", "ca.csr", "-out", "ca.pem")
	return w
}

func (w *worklight) run(args ...string) {
	w.t.Helper()
	command := exec.CommandContext(w.t.Context(), w.openssl, args...)
	command.Dir = w.home
	if said, err := command.CombinedOutput(); err != nil {
		w.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

// issue gives a device an RSA key and a certificate until a day.
func (w *worklight) issue(device, app, until string) installed.Former {
	w.t.Helper()
	w.run("req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", "ca.cnf", "-subj", "/CN="+device+"/OU="+app,
		"-keyout", device+".key", "-out", device+".csr")
	w.run("ca", "-batch", "-notext", "-config", "ca.cnf", "-startdate", "20210101000000Z", "-enddate", until, "-in", device+".csr", "-out", device+".pem")
	key, err := x509.ParsePKCS8PrivateKey(w.der(device + ".key"))
	must(w.t, err)
	return installed.Former{Key: key.(crypto.Signer), Certificate: w.der(device + ".pem")}
}

func (w *worklight) der(name string) []byte {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.home, name))
	must(w.t, err)
	block, _ := pem.Decode(text)
	return block.Bytes
}

// judge believes the authority, but for devices that it has blocked.
func (w *worklight) judge(blocked string) *former.Judge {
	w.t.Helper()
	ca, err := x509.ParseCertificate(w.der("ca.pem"))
	must(w.t, err)
	device, err := former.ParseAttribute("CN")
	must(w.t, err)
	unit, err := former.ParseAttribute("OU")
	must(w.t, err)
	list, err := former.ReadBlocked(strings.NewReader(blocked))
	must(w.t, err)
	j, err := former.New(former.Authority{
		Certificates: []*x509.Certificate{ca}, Device: device, Blocked: list, Rules: []former.Rule{
			{Attribute: unit, Value: "com.example.Bank", Entity: provisioning.Entity{Kind: provisioning.KindApplication}, Application: "bank"},
			{Attribute: unit, Value: "com.example.Wallet", Entity: provisioning.Entity{Kind: provisioning.KindApplication}, Application: "wallet"},
		},
	})
	must(w.t, err)
	return j
}

// upgrade installs the app that speaks to us in the place of the one before, whose key it has.
func (w *world) upgrade(t *testing.T, has installed.Former) *gadget {
	t.Helper()
	return w.installWith(t, installed.Folder(t.TempDir()), func(c *installed.Config) {
		c.Former = func(context.Context) (installed.Former, error) { return has, nil }
	})
}

// TestDevicesOfAnotherSystem get in with the certificate and the key that they have, where nobody gets in without an activation code, and
// go on with a certificate of ours. Those of another authority, those that are over, blocked or another app's, and whoever has copied the
// key of a device that has come before, are strangers.
func TestDevicesOfAnotherSystem(t *testing.T) {
	old := newWorklight(t)
	const later = "20300101000000Z"
	good, stolen := old.issue("phone-1", "com.example.Bank", later), old.issue("phone-2", "com.example.Bank", later)
	lost := old.issue("phone-3", "com.example.Bank", later)
	foreign := newWorklight(t).issue("phone-1", "com.example.Bank", later)
	over, other := old.issue("phone-4", "com.example.Bank", "20251231000000Z"), old.issue("phone-5", "com.example.Wallet", later)
	borrowed := installed.Former{Key: stolen.Key, Certificate: good.Certificate}
	all := &provisions{
		t: t, mode: deviceauth.Custom, entity: provisioning.Entity{Kind: provisioning.KindApplication}, former: old.judge("device phone-3"),
		vendor: func() *vendor { return newVendor(t, "1234") },
	}
	each(t, func(t *testing.T, w *world) {
		wantOut := func(what string, has installed.Former) {
			t.Helper()
			if status, err := w.upgrade(t, has).pay(); !errors.Is(err, installed.ErrRefused) {
				t.Errorf("%s gets %d, %v", what, status, err)
			}
		}
		for what, has := range map[string]installed.Former{
			"nothing": {}, "another authority's": foreign, "one that is over": over, "a blocked device's": lost, "another app's": other,
			"one without its key": borrowed,
		} {
			wantOut(what, has)
		}
		g := w.upgrade(t, good)
		g.wantPaid()
		leaf, err := x509.ParseCertificate(g.identity().Chain[0])
		must(t, err)
		name := leaf.URIs[0].String()
		installation := name[strings.LastIndexByte(name, ':')+1:]
		kept, err := all.of(w).store.List(t.Context(), installation, "", 10)
		if err != nil || len(kept) != 2 || kept[0].Attributes[former.AttributeDevice] != "phone-1" || leaf.Subject.String() != "" {
			t.Errorf("kept is %+v, %v", kept, err)
		}
		wantOut("a copy of a key that was replaced", good)
		must(t, g.gate.Logout(t.Context()))
		w.clock.Advance(61 * 24 * time.Hour)
		g.wantPaid() // with a certificate that was renewed
		_, err = all.of(w).store.Revoke(t.Context(), installation)
		must(t, err)
		w.settle(t)
		w.clock.Advance(time.Second)
		if status, err := g.pay(); !errors.Is(err, installed.ErrRefused) {
			t.Errorf("the revoked device gets %d, %v", status, err)
		}
		wantOut("the certificate of a device that was revoked", good)
		authority := kept[0].Attributes[former.AttributeAuthority]
		_, err = all.of(w).store.RevokeAuthority(t.Context(), authority)
		must(t, err)
		wantOut("one of an authority that was revoked", stolen)
	}, all.model)
}
