// SPDX-License-Identifier: Apache-2.0

package adapt_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/google/go-cmp/cmp"

	_ "github.com/gatehouse-id/gatehouse/caddymodule/standard"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// separator stands between the parts of a golden file: the Caddyfile; its JSON, or the error it is; and, for JSON that is
// refused when it is provisioned, that error.
const separator = "\n----------\n"

// data is the folder that stands for the data folder of the server. Nothing may appear in it.
var data string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "adapt")
	if err != nil {
		panic(err)
	}
	data = dir
	caddy.DefaultStorage.Path = filepath.Join(dir, "caddy")
	for name, value := range map[string]string{
		"XDG_DATA_HOME": dir, "XDG_CONFIG_HOME": dir,
		"GATEHOUSE_SEAL_KEY": "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXY=",
		"OLDER_SEAL_KEY":     "enl4d3Z1dHNycXBvbm1sa2ppaGdmZWRjYmE5ODc2NTQ=",
		"PORTAL_SECRET":      "portal-secret-0123456789-0123456789", "NEXT_SECRET": "next-secret-0123456789-0123456789",
		"ADMIN_PASSWORD": "correct horse battery staple", "ADAPTER_TOKEN": "token-of-the-adapter-0123456789", "LTPA_PASSWORD": "WebAS", "USERS_DSN": "host=/run/postgresql dbname=users",
		"GATEHOUSE_DSN": "postgres://gatehouse@db.example.com/gatehouse?sslmode=verify-full",
		"LDAP_PASSWORD": "reader-secret-0123456789", "USERS_TOKEN": "token-of-the-users-service-0123456789",
		"DEVICES_TOKEN": "token-of-the-devices-service-0123456789",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// adapt returns the JSON of a Caddyfile.
func adapt(caddyfile, name string) ([]byte, error) {
	adapter := caddyconfig.GetAdapter("caddyfile")
	adapted, _, err := adapter.Adapt([]byte(caddyfile), map[string]any{"filename": name})
	return adapted, err
}

// Caddy keeps the state of what it provisions in variables of the process.
var provisioning sync.Mutex

// provision does what "caddy validate" does.
func provision(adapted []byte) error {
	provisioning.Lock()
	defer provisioning.Unlock()
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		return err
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: []byte(`{"output":"discard"}`)}},
	}}
	return caddy.Validate(&config)
}

// untouched fails when anything has appeared in the data folder.
func untouched(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if path != data {
			t.Errorf("%s has appeared", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func indent(t *testing.T, adapted []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, adapted, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no golden files: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, file, name)
		})
	}
	t.Cleanup(func() { untouched(t) })
}

func golden(t *testing.T, file, name string) {
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSuffix(string(content), "\n"), separator)
	got := []string{parts[0]}
	adapted, err := adapt(parts[0]+"\n", "Caddyfile")
	if err != nil {
		got = append(got, err.Error())
		if !positioned.MatchString(err.Error()) {
			t.Errorf("the error names no file and line: %v", err)
		}
	} else {
		got = append(got, indent(t, adapted))
		if err := provision(adapted); err != nil {
			got = append(got, innermost(err))
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(got, separator)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(parts, got); diff != "" {
		t.Errorf("not what the golden file says (-update writes it anew):\n%s", diff)
	}
	if len(got) > 2 && !slices.Contains(beyond, name) {
		t.Errorf("the mistake is in the Caddyfile alone, and the error names no file and line: %s", got[2])
	}
	if mistake := strings.HasPrefix(name, "mistake_"); mistake != (len(got) > 2 || err != nil) {
		t.Errorf("mistakes, and nothing else, have names that begin with mistake_: %s", strings.Join(got[1:], separator))
	}
}

// beyond are the mistakes that a Caddyfile alone does not show: they lie in what it names, or in what Caddy makes of it.
var beyond = []string{
	"mistake_form_template_missing", "mistake_form_template_without_theme", "mistake_form_template_leaves_out",
	"mistake_adapter_header_unset", "mistake_adapter_no_such_ca", "mistake_adapter_template_leaves_out",
	"mistake_client_keys_missing", "mistake_realm_certificate_no_authority", "mistake_realm_ltpa_wrong_password", "mistake_realm_database_dsn_unset",
	"mistake_realm_database_in_the_clear", "mistake_client_secret_unset", "mistake_protect_session_in_handle", "mistake_seal_key_short",
	"mistake_seal_key_unset", "mistake_theme_missing", "mistake_realm_ldap_no_such_ca", "mistake_realm_ldap_password_unset",
	"mistake_realm_web_service_header_unset", "mistake_realm_web_service_no_certificate", "mistake_registration_statement_no_such_keys",
}

// innermost cuts off which modules were being provisioned: Caddy loads apps in no fixed order.
func innermost(err error) string {
	text := err.Error()
	return text[max(strings.LastIndex(text, "provision "), 0):]
}

// positioned finds the file and line that an error names.
var positioned = regexp.MustCompile(`Caddyfile:[1-9][0-9]*`)

// TestExample adapts and provisions what the first command of the README runs.
func TestExample(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	adapted, err := adapt(string(content), "Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := provision(adapted); err != nil {
		t.Fatal(err)
	}
	if formatted := format(string(content)); formatted != string(content) {
		t.Errorf("caddy fmt would change Caddyfile.example:\n%s", cmp.Diff(string(content), formatted))
	}
}

// TestAdaptingIsRepeatable: the same Caddyfile makes the same JSON each time, so that a reload without changes is none.
func TestAdaptingIsRepeatable(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	first, err := adapt(string(content), "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := adapt(string(content), "Caddyfile")
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("the JSON changes from one time to the next (%v):\n%s", err, cmp.Diff(string(first), string(again)))
		}
	}
}

// TestSecretsStayOutOfErrors: whatever is wrong with a secret, the error does not hold it.
func TestSecretsStayOutOfErrors(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2"
	for _, option := range []string{
		"seal_key " + secret,
		"client a {\n secret {env.NOWHERE}" + secret + "\n}",
		"client a {\n secret " + secret + "\n grants nonsense\n}",
		"client a {\n secret " + secret + "\n jwks_file x\n}",
	} {
		adapted, err := adapt(fmt.Sprintf("{\n gatehouse {\n issuer https://auth.example.com\n %s\n }\n}\n", option), "Caddyfile")
		if err == nil {
			err = provision(adapted)
		}
		switch {
		case err == nil:
			t.Errorf("%q is accepted", option)
		case strings.Contains(err.Error(), secret):
			t.Errorf("%q: the error holds the secret: %v", option, err)
		}
	}
}
