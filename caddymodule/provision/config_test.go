// SPDX-License-Identifier: Apache-2.0

package provision_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/provision"
)

func parse(text string) (*provision.Config, error) {
	var c *provision.Config
	d := caddyfile.NewTestDispenser(text)
	d.Next()
	err := provision.Parse(&c)(d)
	return c, err
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse("provisioning {\n mode auto\n entity group retail\n group retail bank wallet\n group play games\n validity 30d\n" +
		" new_devices 7\n new_devices_per_address 3\n status http://crl.example.com\n}")
	if err != nil {
		t.Fatal(err)
	}
	want := &provision.Config{
		Mode: "auto", Entity: "group retail", Groups: map[string][]string{"retail": {"bank", "wallet"}, "play": {"games"}},
		Validity: caddy.Duration(30 * 24 * time.Hour), NewDevices: 7, NewDevicesPerAddress: 3,
		Status: "http://crl.example.com",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := provision.Check(got, []apps.Config{{ID: "bank"}, {ID: "wallet"}, {ID: "games"}}); err != nil {
		t.Error(err)
	}
	if err := provision.Check(nil, nil); err != nil {
		t.Errorf("a configuration without the block: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	configs := []apps.Config{{ID: "bank"}}
	for _, tt := range []struct{ text, want string }{
		{"", "mode is missing"},
		{"mode custom", "name it with validate_csr"},
		{"mode auto\n validate_csr nobody", "nobody"},
		{"mode custom\n validate_csr", "needs the name of a module"},
		{"mode off", `mode "off" is none of`},
		{"mode none\n authority nobody", "nobody"},
		{"mode auto\n authority", "needs the name of a module"},
		{"mode auto\n entity person", "is none of"},
		{"mode auto\n entity", "entity is application"},
		{"mode auto\n entity group a b", "entity is application"},
		{"mode auto\n entity group retail", "there is no group of that name"},
		{"mode auto\n group retail", "needs a name and the applications"},
		{"mode auto\n group retail bank\n group retail bank", "stands twice"},
		{"mode auto\n group retail bank bank", "stands twice"},
		{"mode auto\n group RETAIL bank", "lower case"},
		{"mode auto\n group retail chess", `application "chess" is not defined`},
		{"mode auto\n validity 1m", "1h0m0s at least"},
		{"mode auto\n validity soon", "needs a duration"},
		{"mode auto\n new_devices 0", "new_devices is 1 at least"},
		{"mode auto\n new_devices_per_address many", "needs a number"},
		{"mode auto\n new_devices_per_address 100000001", "100000000 at most"},
		{"mode none\n new_devices 10", "leave new_devices"},
		{"mode auto\n status on", "neither off nor"},
		{"mode auto\n status ftp://example.com/", "neither off nor"},
		{"mode auto\n status http://u:p@example.com/", "neither off nor"},
		{"mode auto\n status http://example.com/?a", "neither off nor"},
		{"mode none\n status https://example.com/", "leave status out"},
		{"mode auto\n former", "needs a value"},
		{"mode auto\n former a.pem b.pem", "wrong argument count"},
		{"mode auto\n former a.pem", "device is missing"},
		{"mode auto\n former a.pem {\n device CN\n}", "stands_for is missing"},
		{"mode auto\n former a.pem {\n device name\n}", "is none of CN"},
		{"mode auto\n former a.pem {\n stands_for person\n}", "needs application or group with its name, or device"},
		{"mode auto\n former a.pem {\n stands_for application\n}", "needs application or group"},
		{"mode auto\n former a.pem {\n stands_for device OU\n}", "needs a name and its value"},
		{"mode auto\n former a.pem {\n device CN\n stands_for device name x\n}", "is none of CN"},
		{"mode auto\n former a.pem {\n device CN\n stands_for group RETAIL\n}", "is none of"},
		{"mode auto\n former a.pem {\n device CN\n stands_for group play\n}", `there is no group "play"`},
		{"mode auto\n former a.pem {\n device CN\n stands_for application chess\n}", `application "chess" is not defined`},
		{"mode auto\n former a.pem {\n device CN\n stands_for device\n stands_for device OU x\n}", "is the only one"},
		{"mode none\n former a.pem {\n device CN\n stands_for device\n}", "leave former out"},
		{"mode auto\n colour red", "unknown option"},
	} {
		c, err := parse("provisioning {\n" + tt.text + "\n}")
		if err == nil {
			err = provision.Check(c, configs)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestHooksAreForModeCustom: a configuration that names a service which would not be asked is a mistake.
func TestHooksAreForModeCustom(t *testing.T) {
	t.Parallel()
	hook := []byte(`{"type":"webhook"}`)
	for _, tt := range []struct {
		config provision.Config
		want   string
	}{
		{provision.Config{Mode: "custom", ValidateCSRRaw: hook}, ""},
		{provision.Config{Mode: "custom", ValidateCertificateRaw: hook}, ""},
		{provision.Config{Mode: "custom", ValidateCSRRaw: hook, ValidateCertificateRaw: hook}, ""},
		{provision.Config{Mode: "auto", ValidateCSRRaw: hook}, "for mode custom, and not for mode auto"},
		{provision.Config{Mode: "none", ValidateCertificateRaw: hook}, "for mode custom, and not for mode none"},
	} {
		err := provision.Check(&tt.config, nil)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.config, err)
		}
	}
}

func TestCheckRealm(t *testing.T) {
	t.Parallel()
	auto := &provision.Config{Mode: "auto", Groups: map[string][]string{"retail": {"bank"}}}
	shown := &provision.Config{Mode: "auto", Attestation: &provision.Attestation{Minimum: "software"}}
	for _, tt := range []struct {
		name, authenticator, module, want string
		config                            *provision.Config
		identity                          bool
	}{
		{"what the block says", `{"type":"device"}`, "", "", auto, false},
		{"a group", `{"type":"device","entity":"group retail"}`, "", "", auto, false},
		{"no block", `{"type":"device"}`, "", "provisioning block", nil, false},
		{"what was shown", `{"type":"device","attestation":"tee"}`, "", "", shown, false},
		{"what nobody shows", `{"type":"device","attestation":"tee"}`, "", "say in the provisioning block that attestation is asked", auto, false},
		{"a grade that is none", `{"type":"device","attestation":"gold"}`, "", "want hardware, tee or software", shown, false},
		{"a login module", `{"type":"device"}`, `{"type":"x"}`, "leave login_module out", auto, false},
		{"as the user", `{"type":"device"}`, "", "is nobody", auto, true},
		{"no such group", `{"type":"device","entity":"group play"}`, "", "no group of that name", auto, false},
		{"no such entity", `{"type":"device","entity":"person"}`, "", "is none of", auto, false},
		{"another kind", `{"type":"form","entity":"person"}`, "", "", nil, true},
		{"malformed", `{`, "", "", nil, false},
		{"nothing", ``, "", "", nil, false},
	} {
		var module []byte
		if tt.module != "" {
			module = []byte(tt.module)
		}
		err := provision.CheckRealm([]byte(tt.authenticator), module, tt.config, tt.identity)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := provision.AsksDevice([]byte(tt.authenticator)); got != strings.Contains(tt.authenticator, "device") {
			t.Errorf("%s: asks for a device is %v", tt.name, got)
		}
	}
}
