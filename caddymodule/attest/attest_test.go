// SPDX-License-Identifier: Apache-2.0

package attest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/attest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

var (
	digest = strings.Repeat("0a", 32)
	parts  = attest.Parts{Now: time.Now, Secret: func(text, _ string) (string, error) {
		if text == "{env.NONE}" {
			return "", errors.New("the variable is not set")
		}
		return text, nil
	}}
)

func parse(text string) (map[string]attest.Config, error) {
	var configs map[string]attest.Config
	d := caddyfile.NewTestDispenser(text)
	for d.Next() {
		if err := attest.Parse(&configs)(d); err != nil {
			return nil, err
		}
	}
	return configs, nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(`attestation android preferred {
		minimum hardware
		android_key {
			package com.example.bank com.example.beta
			digest ` + digest + `
			root a.pem b.pem
			revoked status.json 24h
			patch_months 6
		}
	}
	attestation androidtv required {
		android_key {
			digest ` + digest + `
			revoked status.json
		}
	}`)
	must(t, err)
	want := map[string]attest.Config{
		"android": {Mode: "preferred", Minimum: "hardware", AndroidKey: &attest.AndroidKey{
			Packages: []string{"com.example.bank", "com.example.beta"}, Digests: []string{digest}, Roots: []string{"a.pem", "b.pem"},
			Revoked: "status.json", RevokedMaxAge: 86_400_000_000_000, PatchMonths: 6,
		}},
		"androidtv": {Mode: "required", AndroidKey: &attest.AndroidKey{Digests: []string{digest}, Revoked: "status.json"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for platform, rule := range map[string]enrolment.AttestationRule{
		"android":   {Mode: enrolment.AttestationPreferred, Minimum: attestation.Hardware},
		"androidtv": {Mode: enrolment.AttestationRequired, Minimum: attestation.TEE},
	} {
		c := got[platform]
		if err := c.Check(); err != nil || c.Rule() != rule {
			t.Errorf("%s: %+v, %v", platform, c.Rule(), err)
		}
	}
}

// TestMistakes: what cannot be so, or would let nobody in, is refused with words that help.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const android = "android_key {\n digest DIGEST\n revoked none\n}\n"
	for _, tt := range []struct{ name, text, want string }{
		{"no mode", "attestation android", "needs a platform"},
		{"a mode that is none", "attestation android maybe {\n" + android + "}", "none of required, preferred and record"},
		{"twice", "attestation android record {\n" + android + "}\nattestation android record", "stands twice"},
		{"an option that is none", "attestation android record {\n roots x\n}", "unknown option"},
		{"nobody to believe", "attestation android required", "add android_key, app_attest or play_integrity"},
		{"nobody to believe, in a block", "attestation android record {\n minimum tee\n}", "add android_key, app_attest or play_integrity"},
		{"a grade that is none", "attestation android record {\n minimum gold\n" + android + "}", "none of hardware, tee and software"},
		{"no grade", "attestation android record {\n minimum unknown\n" + android + "}", "none of hardware, tee and software"},
		{"no digest", "attestation android record {\n android_key\n}", "needs the digest"},
		{"a digest that is none", "attestation android record {\n android_key {\n digest 0a0b\n}\n}", "no SHA-256"},
		{"a digest in base64", "attestation android record {\n android_key {\n digest aIVtHQb2N9YlX6zlsiTbQ6lRSs5Ti7FUi4REgPzYXIc=\n}\n}", "no SHA-256"},
		{"keys that have leaked", "attestation android required {\n android_key {\n digest DIGEST\n}\n}", `or "revoked none"`},
		{"keys that have leaked, preferred", "attestation android preferred {\n android_key {\n digest DIGEST\n}\n}", `or "revoked none"`},
		{"the age of nothing", "attestation android record {\n android_key {\n digest DIGEST\n revoked none 24h\n}\n}", "revoked needs a file"},
		{"months that are none", "attestation android record {\n android_key {\n digest DIGEST\n patch_months few\n}\n}", "few"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse(strings.ReplaceAll(tt.text, "DIGEST", digest))
			if err == nil {
				c := configs["android"]
				err = c.Check()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAppAttest(t *testing.T) {
	t.Parallel()
	authority, err := testauthority.New(time.Now)
	must(t, err)
	root := filepath.Join(t.TempDir(), "root.pem")
	must(t, os.WriteFile(root, authority.RootPEM(), 0o600))
	for _, tt := range []struct {
		name, text, want, app string
		environment           appattest.Environment
		categories            []appattest.Category
	}{
		{"the least", "team ABCDE12345", "", "ABCDE12345.com.example.bank", appattest.Production, []appattest.Category{appattest.AppStore}},
		{
			"all of it", "team ABCDE12345\nbundle com.example.beta\nenvironment development\nroot " + root, "", "ABCDE12345.com.example.beta",
			appattest.Development, nil,
		},
		{
			"categories", "team ABCDE12345\ncategory app_store testflight", "", "ABCDE12345.com.example.bank", appattest.Production,
			[]appattest.Category{appattest.AppStore, appattest.TestFlight},
		},
		{"no team", "environment production", "ten letters and digits", "", "", nil},
		{"a team in lower case", "team abcde12345", "ten letters and digits", "", "", nil},
		{"an environment that is none", "team ABCDE12345\nenvironment sandbox", "neither production nor development", "", "", nil},
		{"a category that is none", "team ABCDE12345\ncategory shop", "none of app_store, developer_id", "", "", nil},
		{"a root that is not there", "team ABCDE12345\nroot " + root + ".old", "root.pem.old", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse("attestation ios required {\n minimum tee\n app_attest {\n" + tt.text + "\n}\n}")
			must(t, err)
			c := configs["ios"]
			var v grading.Verifiers
			if err = c.Check(); err == nil {
				v, err = c.Build("com.example.bank", parts)
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err == nil && (v.AppAttest.App != tt.app || v.AppAttest.Environment != tt.environment || !cmp.Equal(v.AppAttest.Categories, tt.categories)) {
				t.Errorf("it is %+v", v.AppAttest.Config)
			}
		})
	}
}

func TestPlayIntegrity(t *testing.T) {
	t.Parallel()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	must(t, err)
	public, secret := base64.StdEncoding.EncodeToString(der), base64.StdEncoding.EncodeToString(make([]byte, 32))
	good := "decryption_key " + secret + "\nverification_key " + public + "\n"
	for _, tt := range []struct{ name, head, text, want string }{
		{"the least", "", good + "digest " + digest, ""},
		{"all of it", "", good + "digest " + digest + "\npackage com.example.beta\nmax_age 5m", ""},
		{"more than it can show", "minimum hardware", good + "digest " + digest, "tee is the best"},
		{"no digest", "", good, "needs the digest"},
		{"no keys", "", "digest " + digest, "needs decryption_key and verification_key"},
		{"a key that is not there", "", "digest " + digest + "\ndecryption_key {env.NONE}\nverification_key " + public, "not set"},
		{"a key that is none", "", "digest " + digest + "\ndecryption_key " + secret + "\nverification_key " + secret, "no public key for ECDSA"},
		{"a key that is not base64", "", "digest " + digest + "\ndecryption_key !\nverification_key " + public, "decryption_key: it is not base64"},
		{"a short key", "", "digest " + digest + "\ndecryption_key AAAA\nverification_key " + public, "not 32 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			configs, err := parse("attestation android required {\n" + tt.head + "\n play_integrity {\n" + tt.text + "\n}\n}")
			must(t, err)
			c := configs["android"]
			var v grading.Verifiers
			if err = c.Check(); err == nil {
				v, err = c.Build("com.example.bank", parts)
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), public)) {
				t.Errorf("the error has a key in it: %v", err)
			}
			if err == nil && (!v.PlayIntegrity.VerificationKey.Equal(&private.PublicKey) || len(v.PlayIntegrity.Packages) != 1) {
				t.Errorf("it is %+v", v.PlayIntegrity.Packages)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	authority, err := testauthority.New(time.Now)
	must(t, err)
	dir := t.TempDir()
	root, status, bad := filepath.Join(dir, "root.pem"), filepath.Join(dir, "status.json"), filepath.Join(dir, "bad.pem")
	must(t, os.WriteFile(root, authority.RootPEM(), 0o600))
	must(t, os.WriteFile(status, []byte(`{"entries":{}}`), 0o600))
	must(t, os.WriteFile(bad, append(authority.RootPEM(), "something else"...), 0o600))
	google, err := androidkey.Google()
	must(t, err)
	shipped := filepath.Join(dir, "google.pem")
	must(t, os.WriteFile(shipped, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: google[0].Raw}), 0o600))
	colons := strings.TrimSuffix(strings.Repeat("0a:", 32), ":")
	for _, tt := range []struct {
		name   string
		config attest.AndroidKey
		want   string
	}{
		{"Google", attest.AndroidKey{Revoked: "none"}, ""},
		{"Google, whatever has leaked", attest.AndroidKey{}, "keys of phones that have leaked"},
		{"Google by a file, whatever has leaked", attest.AndroidKey{Roots: []string{root, shipped}}, "keys of phones that have leaked"},
		{"Google by a file", attest.AndroidKey{Roots: []string{shipped}, Revoked: status}, ""},
		{"a root of ours", attest.AndroidKey{Roots: []string{root}, Digests: []string{colons}}, ""},
		{"a list", attest.AndroidKey{Revoked: status}, ""},
		{"a root that is not there", attest.AndroidKey{Roots: []string{filepath.Join(dir, "none.pem")}}, "none.pem"},
		{"a root that is none", attest.AndroidKey{Roots: []string{root, bad}}, "something else"},
		{"a list that is not there", attest.AndroidKey{Revoked: filepath.Join(dir, "none.json")}, "none.json"},
		{"a list that is none", attest.AndroidKey{Revoked: root}, "status list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.config.Digests == nil {
				tt.config.Digests = []string{digest}
			}
			c := attest.Config{Mode: "required", AndroidKey: &tt.config}
			v, err := c.Build("com.example.bank", parts)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			if err != nil {
				return
			}
			roots := 2
			if len(tt.config.Roots) > 0 {
				roots = len(tt.config.Roots)
			}
			if len(v.AndroidKey.Roots) != roots || !cmp.Equal(v.AndroidKey.Packages, []string{"com.example.bank"}) {
				t.Errorf("it believes %d roots, for %q", len(v.AndroidKey.Roots), v.AndroidKey.Packages)
			}
			if list, known := v.AndroidKey.Revocations.(*androidkey.StatusList); known != (tt.config.Revoked == status) || known && list.MaxAge != 7*24*time.Hour {
				t.Errorf("what was taken back is known from %+v", v.AndroidKey.Revocations)
			}
		})
	}
}
