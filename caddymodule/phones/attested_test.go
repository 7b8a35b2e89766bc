// SPDX-License-Identifier: Apache-2.0

package phones_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// attested has the application believe a test authority, and returns what vouches for its phones.
func attested(t *testing.T, h *house) device.Attester {
	t.Helper()
	a, err := testauthority.New(time.Now)
	must(t, err)
	root := filepath.Join(t.TempDir(), "root.pem")
	must(t, os.WriteFile(root, a.RootPEM(), 0o600))
	h.applications = nil
	d := caddyfile.NewTestDispenser("application bank {\n android com.example.bank\n enrollment\n attestation android record {\n android_key {\n root " +
		root + "\n digest " + hex.EncodeToString(a.AppDigest()) + "\n}\n}\n}")
	d.Next()
	must(t, apps.Parse(&h.applications)(d))
	return func(_ context.Context, challenge []byte, keys envelope.PublicKeys) (json.RawMessage, error) {
		chain, err := a.Certify(testauthority.Keystore(keys.Sign.Public(), challenge, "com.example.bank", a.AppDigest()))
		if err != nil {
			return nil, err
		}
		body := map[string]any{"format": androidkey.Format}
		shown := make([]envelope.Bytes, 0, len(chain))
		for _, der := range chain {
			shown = append(shown, der)
		}
		body["chain"] = shown
		return json.Marshal(body)
	}
}

// TestGradeIsThatOfTheKey: evidence about new keys raises nobody who has a copy of the old ones, which speak for a day beside them.
func TestGradeIsThatOfTheKey(t *testing.T) {
	t.Parallel()
	var attest device.Attester
	h := newHouse(t, nil, func(h *house) { attest = attested(t, h) })
	keys := new(device.SoftStore)
	config := device.Config{
		Client: h.client, Keystore: keys, Vault: keys, Now: time.Now, KDF: device.KDF{Time: 1, Memory: 8, Threads: 1},
		Save: func(context.Context, device.State) error { return nil },
	}
	user, phone := h.enrolWith(config, "4711", "android")
	stolen, err := device.Open(t.Context(), config, phone.State())
	must(t, err)
	config.Attest = attest
	phone, err = device.Open(t.Context(), config, phone.State())
	must(t, err)
	shown := h.phones.Challenge().Shown
	for _, tt := range []struct {
		name  string
		phone *device.Device
		roll  bool
		want  string
	}{
		{"never shown", phone, false, ""},
		{"a copy of the keys that were replaced", stolen, true, ""},
		{"the keys that were shown", phone, false, "tee"},
	} {
		if tt.roll {
			must(t, phone.RollKeys(t.Context(), device.Proof{PIN: pin}))
		}
		_, asked := h.call("POST", "/operations/authentication", `{"user_id":"`+user+`","context":{"title":"Log in"}}`)
		id := fmt.Sprint(asked["id"])
		question, err := tt.phone.Fetch(t.Context(), id)
		must(t, err)
		must(t, tt.phone.Approve(t.Context(), question, device.Approval{Number: fmt.Sprint(asked["number"])}))
		o, err := h.phones.Challenge().Operations.Wait(t.Context(), id, 0, 0)
		must(t, err)
		grade, enough, err := shown(t.Context(), &o, "tee")
		if err != nil || grade != tt.want || enough != (tt.want != "") {
			t.Errorf("%s: %q, %v, %v", tt.name, grade, enough, err)
		}
		if _, enough, err := shown(t.Context(), &o, ""); err != nil || !enough {
			t.Errorf("%s, where nothing is asked for: %v, %v", tt.name, enough, err)
		}
	}
}
