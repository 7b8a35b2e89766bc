// SPDX-License-Identifier: Apache-2.0

package mobilefirst_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/mobilefirst"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// read returns a file of testdata, and nil where there is none.
func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// compare holds a text to a golden file.
func compare(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", name), []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(read(t, name)), got); diff != "" {
		t.Errorf("%s is not what comes out (-update writes it anew):\n%s", name, diff)
	}
}

// TestGolden imports every file of testdata. tests/adapt loads what comes out.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, golden string
		options      mobilefirst.Options
	}{
		{name: "docs", golden: "docs"},
		{name: "docs", golden: "docs_development", options: mobilefirst.Options{Development: true}},
		{name: "bank", golden: "bank", options: mobilefirst.Options{Issuer: "https://login.bank.example", Site: "www.bank.example"}},
		{name: "adapter", golden: "adapter"},
		{name: "ltpa", golden: "ltpa"},
		{name: "custom", golden: "custom"},
		{name: "custom", golden: "custom_development", options: mobilefirst.Options{Development: true}},
		{name: "worklight", golden: "worklight", options: mobilefirst.Options{
			Devices: &mobilefirst.Devices{CAFile: "/etc/gatehouse/worklight-ca.pem", Properties: read(t, "worklight.properties")},
		}},
		{name: "worklight_plain", golden: "worklight_plain", options: mobilefirst.Options{
			Devices: &mobilefirst.Devices{CAFile: "/etc/gatehouse/worklight-ca.pem"},
		}},
	} {
		t.Run(c.golden, func(t *testing.T) {
			t.Parallel()
			result, err := mobilefirst.Import(read(t, c.name+".xml"), read(t, c.name+".descriptor.xml"), c.options)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c.golden+".caddyfile", string(result.Caddyfile))
			for _, f := range result.Findings {
				if first := strings.Join(strings.Fields(f.String())[:3], " "); !strings.Contains(string(result.Caddyfile), "# "+first) {
					t.Errorf("the finding %q does not stand in the Caddyfile", f)
				}
				if f.Text == "" || strings.ContainsAny(f.Text, "\n\r") {
					t.Errorf("the finding %q is not one line", f)
				}
			}
			if text := string(result.Caddyfile) + fmt.Sprint(result.Findings); strings.Contains(text, "hunter2") {
				t.Error("a secret of the file is repeated")
			}
		})
	}
}

const (
	head = `<loginConfiguration>`
	tail = `</loginConfiguration>`
)

// TestRefused: files that cannot be read for certain are refused, with the line.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "nothing in it"},
		{"no XML", "realms: []", "text stands outside"},
		{"cut off", head + "<realms><realm name='a'>", "unexpected EOF"},
		{"other root", "<web-app/>", "line 1: its root is web-app"},
		{"other namespace", `<loginConfiguration xmlns="urn:x"/>`, "its root is loginConfiguration"},
		{"document type", `<!DOCTYPE loginConfiguration [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + head + tail, "document type"},
		{"entity", head + "<realms>&x;</realms>" + tail, "invalid character entity"},
		{"instruction", head + "<?php x?>" + tail, "processing instruction"},
		{"two roots", head + tail + head + tail, "second root"},
		{"other encoding", `<?xml version="1.0" encoding="UTF-16"?>` + head + tail, "encoding"},
		{"attribute twice", head + "<realms><realm name='a' name='b'/></realms>" + tail, "attribute name twice"},
		{"too deep", strings.Repeat(head, 20), "nested more than"},
		{"too many", head + strings.Repeat("<realms/>", 10_001) + tail, "more than 10000 elements"},
		{"too large", strings.Repeat(" ", mobilefirst.MaxSize+1), "more than 1048576 bytes"},
		{"nameless realm", head + "\n<realms>\n<realm/></realms>" + tail, "line 3: realm has no name"},
		{"realm without class", head + "<realms><realm name='a'/></realms>" + tail, "the realm a has no className"},
		{"module without class", head + "<loginModules><loginModule name='a'/></loginModules>" + tail, "the login module a has no className"},
		{"realm twice", head + "<realms><realm name='a'><className>x</className></realm>\n<realm name='a'><className>x</className></realm></realms>" + tail, "line 2: the realm a is defined twice"},
		{"test twice", head + "<securityTests><webSecurityTest name='a'/><customSecurityTest name='a'/></securityTests>" + tail, "security test a is defined twice"},
		{"module twice", head + "<loginModules>" + strings.Repeat("<loginModule name='a'><className>x</className></loginModule>", 2) + "</loginModules>" + tail, "login module a is defined twice"},
		{"resource twice", head + "<staticResources>" + strings.Repeat("<resource id='a' securityTest='b'><urlPatterns>/x</urlPatterns></resource>", 2) + "</staticResources>" + tail, "resource a is defined twice"},
		{"resource without paths", head + "<staticResources><resource id='a' securityTest='b'/></staticResources>" + tail, "has no urlPatterns"},
		{"step", head + "<securityTests><customSecurityTest name='a'><test realm='b' step='one'/></customSecurityTest></securityTests>" + tail, "step is one, expected a number"},
		{"flag", head + "<securityTests><customSecurityTest name='a'><test realm='b' isInternalUserID='yes'/></customSecurityTest></securityTests>" + tail, "isInternalUserID of test is yes"},
		{"expiry", head + "<loginModules><loginModule name='a' expirationInSeconds='-2'><className>x</className></loginModule></loginModules>" + tail, "expirationInSeconds is -2"},
		{"no expiry", head + "<loginModules><loginModule name='a' expirationInSeconds='0'><className>x</className></loginModule></loginModules>" + tail, "expirationInSeconds is 0"},
		{"provisioning", head + "<securityTests><mobileSecurityTest name='a'><testDeviceId provisioningType='maybe'/></mobileSecurityTest></securityTests>" + tail, "provisioningType is maybe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := mobilefirst.Import([]byte(c.file), nil, mobilefirst.Options{})
			if !errors.Is(err, mobilefirst.ErrFile) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestRefusedDescriptor: so is a descriptor.
func TestRefusedDescriptor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "nothing in it"},
		{"other root", "<loginConfiguration/>", "its root is loginConfiguration"},
		{"no id", "<application/>", "the application has no id"},
		{"document type", "<!DOCTYPE application><application id='a'/>", "document type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := mobilefirst.Import([]byte(head+tail), []byte(c.file), mobilefirst.Options{})
			if !errors.Is(err, mobilefirst.ErrFile) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// FuzzImport: whatever the files say, they are refused for what they are, or every line of what comes out is one that the
// importer meant: nothing of the files begins a block, a placeholder or a variable of its own.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte("<application id='{$HOME}'><android version='1' securityTest='x'/></application>"))
	}
	f.Fuzz(func(t *testing.T, file, descriptor []byte) {
		result, err := mobilefirst.Import(file, descriptor, mobilefirst.Options{})
		if err != nil {
			if !errors.Is(err, mobilefirst.ErrFile) {
				t.Fatalf("not refused for what it is: %v", err)
			}
			return
		}
		text := string(result.Caddyfile)
		if strings.Contains(text, "{$") || strings.ContainsAny(text, "\r\x00") {
			t.Fatalf("what the file says has got out of its place:\n%s", text)
		}
		depth := 0
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(line, "#"):
			case line == "}":
				depth--
			case strings.HasSuffix(line, "{"):
				depth++
			}
		}
		if depth != 0 {
			t.Fatalf("blocks do not end:\n%s", text)
		}
	})
}

// TestDirectory: what is carried over of a directory, and what is not.
func TestDirectory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, address, kind, principal, filter, base string
		want                                         []string
	}{
		{
			name: "bind", address: "ldap://d.example", kind: "exists", principal: "uid={username},dc=d",
			want: []string{"url ldap://d.example\n", "bind_dn uid={username},dc=d\n"},
		},
		{
			name: "search", address: "ldaps://[::1]:636/dc=x", kind: "searchPattern", principal: "{username}@d",
			filter: "(|(uid={username})(!(a=*)))", base: "dc=d example,dc=org",
			want: []string{"url ldaps://[::1]:636\n", `bind_dn "cn=gatehouse,dc=d example,dc=org"`, `search_base "dc=d example,dc=org"`, "filter (|(uid={username})(!(a=*)))\n"},
		},
		{name: "address", address: "http://d", kind: "searchPattern", filter: "(uid={username})", want: []string{"ldaps://directory.example.com", "search_base dc=example,dc=com"}},
		{name: "port", address: "ldap://d:99999", kind: "searchPattern", filter: "(uid={username})", want: []string{"ldaps://directory.example.com"}},
		{name: "credentials", address: "ldap://u:p@d", kind: "searchPattern", filter: "(uid={username})", want: []string{"ldaps://directory.example.com"}},
		{name: "bind by address", address: "ldap://d", kind: "exists", principal: "{username}@d", want: []string{"filter (uid={username})", "people bound as (username)@d"}},
		{name: "no filter", address: "ldap://d", kind: "searchPattern", want: []string{"filter (uid={username})", "fill in: the filter"}},
		{name: "filter without the user", address: "ldap://d", filter: "(uid=x)", want: []string{"login_module reject_all", "cannot be written"}},
		{name: "filter that ends early", address: "ldap://d", filter: "(&(uid={username})", want: []string{"login_module reject_all"}},
		{name: "filter with more behind it", address: "ldap://d", filter: "(uid={username}))", want: []string{"login_module reject_all"}},
		{name: "filter with a quote", address: "ldap://d", filter: "(uid={username}&quot; evil)", want: []string{"login_module reject_all"}},
		{name: "user as an attribute further in", address: "ldap://d", filter: "(!({username}))", want: []string{"login_module reject_all"}},
		{name: "user as an attribute", address: "ldap://d", filter: "({username}=x)", want: []string{"login_module reject_all"}},
		{name: "placeholder in a base", address: "ldap://d", filter: "(uid={username})", base: "dc={env.X}", want: []string{"search_base dc=example,dc=com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := fmt.Sprintf(head+`<realms><realm name="R" loginModule="L"><className>com.worklight.core.auth.ext.FormBasedAuthenticator</className></realm></realms>
				<loginModules><loginModule name="L"><className>com.worklight.core.auth.ext.LdapLoginModule</className>
				<parameter name="ldapProviderUrl" value="%s"/><parameter name="validationType" value="%s"/>
				<parameter name="ldapSecurityPrincipalPattern" value="%s"/><parameter name="ldapSearchFilterPattern" value="%s"/>
				<parameter name="ldapSearchBase" value="%s"/></loginModule></loginModules>`+tail,
				c.address, c.kind, c.principal, strings.ReplaceAll(c.filter, "(&(", "(&amp;("), c.base)
			result, err := mobilefirst.Import([]byte(file), nil, mobilefirst.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(result.Caddyfile), want) {
					t.Errorf("there is no %q in\n%s", want, result.Caddyfile)
				}
			}
		})
	}
}

// TestOptions: what the command line says goes into the Caddyfile as one word or not at all.
func TestOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		issuer, site string
		fine         bool
	}{
		{"", "", true}, {"https://a.example:8443", "b.example", true}, {"http://localhost:8080", "http://localhost:8081", true},
		{"a.example", "", false}, {"https://a.example/x", "", false}, {"https://a.example\n}", "", false}, {"", "b.example {", false},
		{"", "ftp://b.example", false}, {"https://u@a.example", "", false}, {"https://a.example:", "", false}, {"https://", "", false},
	} {
		_, err := mobilefirst.Import([]byte(head+tail), nil, mobilefirst.Options{Issuer: c.issuer, Site: c.site})
		if (err == nil) != c.fine {
			t.Errorf("%q and %q: %v", c.issuer, c.site, err)
		}
	}
}
