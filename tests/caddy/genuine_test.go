// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/application"
	installed "github.com/gatehouse-id/gatehouse/authz/native/client/device"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
)

const genuine = `
		application bank {
			android com.example.bank
			ios com.example.bank
			linux bank
			version 2.* active
			attestation android record {
				android_key {
					root ROOT
					digest DIGEST
				}
			}
			attestation ios record {
				app_attest {
					team ABCDE12345
					root ROOT
				}
			}
		}
		realm app {
			authenticator application bank {
				attestation tee
			}
			audit
		}
		scope from-the-app app
		client phone {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid accounts:read from-the-app
		}
`

// vouching makes evidence as phones do, by an authority for an app.
type vouching struct {
	t     *testing.T
	by    *testauthority.Authority
	name  string
	level int // of an Android keystore
	stale []byte
}

func (v vouching) android(_ context.Context, bound []byte) (json.RawMessage, error) {
	if v.stale != nil {
		bound = v.stale
	}
	k := testauthority.Keystore(mobiletest.Keys(v.t).Public().Sign.Public(), bound, v.name, v.by.AppDigest())
	k.Level, k.KeyLevel = v.level, v.level
	return chainOf(v.by, k)
}

// chainOf is what an authority certifies, as evidence.
func chainOf(by *testauthority.Authority, k testauthority.Android) (json.RawMessage, error) {
	chain, err := by.Certify(k)
	if err != nil {
		return nil, err
	}
	encoded := make([]envelope.Bytes, 0, len(chain))
	for _, der := range chain {
		encoded = append(encoded, der)
	}
	return json.Marshal(map[string]any{"format": androidkey.Format, "chain": encoded})
}

func (v vouching) ios(_ context.Context, bound []byte) (json.RawMessage, error) {
	p, err := testauthority.AppAttest(v.name, bound)
	if err != nil {
		return nil, err
	}
	object, err := v.by.Attest(p)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"format": appattest.Format, "key_id": envelope.Bytes(p.KeyID()), "object": envelope.Bytes(object)})
}

// believing is a configuration that believes an authority of the test's.
func believing(t *testing.T, text string) (string, *testauthority.Authority) {
	t.Helper()
	a, err := testauthority.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, a.RootPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("ROOT", root, "DIGEST", hex.EncodeToString(a.AppDigest())).Replace(text), a
}

// letIn has an app get a token.
func (h *house) letIn(t *testing.T, c application.Config) error {
	t.Helper()
	c.ID, c.Issuer = "bank", h.issuer
	if c.Version == "" {
		c.Version = "2.0"
	}
	app, err := application.New(c)
	if err != nil {
		t.Fatal(err)
	}
	direct := &http.Transport{}
	defer direct.CloseIdleConnections()
	gate, err := client.New(client.Config{
		Issuer: h.issuer, ClientID: "phone", Scopes: []string{"openid", "accounts:read", "from-the-app"},
		Handlers: map[string]client.Handler{
			"app": app,
			"password": client.HandlerFunc(func(context.Context, client.Challenge) (map[string]string, error) {
				return map[string]string{"username": "alice", "password": password}, nil
			}),
		},
		HTTP: &http.Client{Transport: direct}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = gate.Authorize(t.Context(), client.Request{})
	return err
}

// TestApplicationAuthenticity: an app is let in that its platform vouches for, now and for this server, and nobody else is.
func TestApplicationAuthenticity(t *testing.T) {
	t.Parallel()
	text, authority := believing(t, genuine)
	stranger, err := testauthority.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, text, "")
	good := vouching{t: t, by: authority, name: "com.example.bank", level: 1}
	other, unknown, weak, stale := good, good, good, good
	other.name, unknown.by, weak.level, stale.stale = "com.example.evil", stranger, 0, make([]byte, 32)
	apple := vouching{t: t, by: authority, name: "ABCDE12345.com.example.bank"}
	for _, tt := range []struct {
		name, platform, version string
		attest                  application.Attester
		want                    error
	}{
		{"an Android phone", "android", "", good.android, nil},
		{"an iPhone", "ios", "", apple.ios, nil},
		{"nobody vouches", "android", "", nil, application.ErrNoEvidence},
		{"another app", "android", "", other.android, application.ErrRefused},
		{"another authority", "android", "", unknown.android, application.ErrRefused},
		{"a key that can be copied", "android", "", weak.android, application.ErrRefused},
		{"evidence that was made before", "android", "", stale.android, application.ErrRefused},
		{"evidence of another platform", "ios", "", good.android, application.ErrRefused},
		{"a platform of which nothing is known", "linux", "", good.android, application.ErrRefused},
		{"a version that is switched off", "android", "1.0", good.android, application.ErrRefused},
	} {
		if err := h.letIn(t, application.Config{Platform: tt.platform, Version: tt.version, Attest: tt.attest}); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

const genuineDevices = `
		application bank {
			android com.example.bank
			linux bank
			attestation android record {
				android_key {
					root ROOT
					digest DIGEST
				}
			}
		}
		provisioning {
			mode auto
			attestation tee
		}
		realm device {
			authenticator device {
				attestation tee
			}
			audit
		}
		scope from-the-device device
		client phone {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid accounts:read from-the-device
		}
`

// TestGenuineDevices: a certificate, and with it a session, is for apps that their platform vouches for; the token says how well.
func TestGenuineDevices(t *testing.T) {
	t.Parallel()
	text, authority := believing(t, genuineDevices)
	stranger, err := testauthority.New(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, text, "")
	direct := &http.Transport{}
	defer direct.CloseIdleConnections()
	by := func(a *testauthority.Authority, level int) installed.Attester {
		return func(_ context.Context, challenge, _ []byte, key crypto.PublicKey) (json.RawMessage, error) {
			public, ok := key.(*ecdsa.PublicKey)
			if !ok {
				return nil, errors.New("a key of another kind")
			}
			k := testauthority.Keystore(public, challenge, "com.example.bank", a.AppDigest())
			k.Level, k.KeyLevel = level, level
			return chainOf(a, k)
		}
	}
	for _, tt := range []struct {
		name, platform string
		attest         installed.Attester
		refused        bool
	}{
		{"a phone", "android", by(authority, 2), false},
		{"nobody vouches", "android", nil, true},
		{"another authority", "android", by(stranger, 2), true},
		{"a key that can be copied", "android", by(authority, 0), true},
		{"a platform of which nothing is known", "linux", by(authority, 2), true},
	} {
		device, err := installed.New(installed.Config{
			App: installed.App{ID: "bank", Platform: tt.platform, Version: "2.0"}, Storage: installed.Folder(t.TempDir()), Now: time.Now, Attest: tt.attest,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first session asks for the certificate, the second shows it
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
			tokens, err := gate.Authorize(t.Context(), client.Request{})
			if tt.refused {
				if !errors.Is(err, installed.ErrRefused) {
					t.Errorf("%s: %v", tt.name, err)
				}
				break
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				break
			}
			token, err := jose.Parse(tokens.Access)
			if err != nil || !strings.Contains(string(token.Payload), `"attestation":"hardware"`) {
				t.Errorf("%s: the token is %s, %v", tt.name, token.Payload, err)
			}
		}
	}
}
