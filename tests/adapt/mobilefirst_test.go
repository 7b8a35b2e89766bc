// SPDX-License-Identifier: Apache-2.0

package adapt_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/mobilefirst"
)

// filledIn does what the comments of an imported Caddyfile ask for: the files and variables that it names are set.
func filledIn(caddyfile string) string {
	return strings.NewReplacer(
		"/etc/gatehouse/ltpa.keys", "../../authz/realm/ltpa/testdata/ltpa.keys",
		"{env.USERS_DSN}", "postgres://reader@127.0.0.1/bank?sslmode=verify-full",
		"{env.LDAP_PASSWORD}", "{env.LTPA_PASSWORD}",
		"/etc/gatehouse/worklight-ca.pem", "testdata/ca.pem",
	).Replace(caddyfile)
}

// TestMobileFirst loads what the importer makes of its samples, in the form that "caddy fmt" gives it.
func TestMobileFirst(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../internal/mobilefirst/testdata/*.caddyfile")
	if err != nil || len(files) < 6 {
		t.Fatalf("only %d samples are there: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if formatted := format(string(content)); formatted != string(content) {
				t.Errorf("caddy fmt would change it:\n%s", cmp.Diff(string(content), formatted))
			}
			adapted, err := adapt(filledIn(string(content)), "Caddyfile")
			if err != nil {
				t.Fatal(err)
			}
			if err := provision(adapted); err != nil {
				t.Error(err)
			}
		})
	}
}

// FuzzMobileFirst: whatever the files say, they are refused for what they are, or what comes out loads.
func FuzzMobileFirst(f *testing.F) {
	files, err := filepath.Glob("../../internal/mobilefirst/testdata/*.xml")
	if err != nil || len(files) < 6 {
		f.Fatalf("only %d samples are there: %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte("<application id='a'><userIdentityRealms>BankDirectory</userIdentityRealms></application>"), true)
		f.Add(content, []byte(nil), false)
	}
	f.Fuzz(func(t *testing.T, file, descriptor []byte, development bool) {
		result, err := mobilefirst.Import(file, descriptor, mobilefirst.Options{Development: development})
		if err != nil {
			if !errors.Is(err, mobilefirst.ErrFile) {
				t.Fatalf("not refused for what it is: %v", err)
			}
			return
		}
		if _, err := adapt(string(result.Caddyfile), "Caddyfile"); err != nil {
			t.Fatalf("%v\n%s", err, result.Caddyfile)
		}
	})
}

// hostile is a file in which everything that somebody can choose is chosen by the fuzzer.
const hostile = `<loginConfiguration>
	<staticResources><resource id="%[1]s" securityTest="%[2]s"><urlPatterns>%[4]s</urlPatterns></resource></staticResources>
	<securityTests>
		<webSecurityTest name="%[1]s"><testUser realm="%[2]s"/></webSecurityTest>
		<mobileSecurityTest name="m%[1]s"><testAppAuthenticity/><testDeviceId provisioningType="custom" realm="%[3]s"/><testUser realm="%[1]s"/></mobileSecurityTest>
		<customSecurityTest name="c%[2]s"><test realm="%[1]s" step="1"/><test realm="%[2]s" step="2"/><test realm="wl_remoteDisableRealm" step="3"/></customSecurityTest>
		<customSecurityTest name="d%[2]s"><test realm="%[2]s" step="1"/><test realm="%[1]s" step="2"/></customSecurityTest>
	</securityTests>
	<realms>
		<realm name="%[1]s" loginModule="%[3]s"><className>com.worklight.core.auth.ext.FormBasedAuthenticator</className><parameter name="%[2]s" value="%[3]s"/></realm>
		<realm name="h%[1]s" loginModule="h"><className>com.worklight.core.auth.ext.HeaderAuthenticator</className></realm>
		<realm name="w%[1]s" loginModule="w"><className>com.worklight.core.auth.ext.WebSphereFormBasedAuthenticator</className><parameter name="cookie-name" value="%[3]s"/></realm>
		<realm name="a%[1]s" loginModule="w"><className>com.worklight.integration.auth.AdapterAuthenticator</className><parameter name="login-function" value="%[4]s"/></realm>
	</realms>
	<loginModules>
		<loginModule name="%[3]s"><className>com.worklight.core.auth.ext.LdapLoginModule</className><parameter name="ldapProviderUrl" value="ldap://%[1]s"/>
			<parameter name="validationType" value="%[2]s"/><parameter name="ldapSecurityPrincipalPattern" value="%[3]s"/>
			<parameter name="ldapSearchFilterPattern" value="%[4]s"/><parameter name="ldapSearchBase" value="%[3]s"/></loginModule>
		<loginModule name="h"><className>com.worklight.core.auth.ext.HeaderLoginModule</className><parameter name="user-name-header" value="%[2]s"/><parameter name="display-name-header" value="%[3]s"/></loginModule>
		<loginModule name="w"><className>com.worklight.core.auth.ext.WASLTPAModule</className></loginModule>
	</loginModules>
</loginConfiguration>`

// FuzzMobileFirstNames: whatever things are called, what comes out loads.
func FuzzMobileFirstNames(f *testing.F) {
	for _, seed := range [][4]string{
		{"Realm", "exists", "uid={username},dc=d", "(uid={username})"},
		{"directory.example", "searchPattern", "dc=example,dc=com", "(&(a=b)(uid={username}))"},
		{"{$HOME}", "{env.HOME}", "}\n{", "/a b;/c{d}*"},
		{"#x", "openid", "<<EOF", "(a={username}\\29)"},
		{"@x", "/y", "*", "`\"'"},
		{"import", "protect", "X-Header", "/**"},
		{"\u2028", "é", "a,b=c", "/\u00a0"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		escape := func(text string) string {
			var out bytes.Buffer
			if err := xml.EscapeText(&out, []byte(text)); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		file := fmt.Sprintf(hostile, escape(a), escape(b), escape(c), escape(d))
		descriptor := fmt.Sprintf(`<application id="%s"><displayName>%s</displayName><userIdentityRealms>%s</userIdentityRealms>
			<android packageName="%s" securityTest="%s"/></application>`, escape(a), escape(d), escape(b), escape(c), escape(a))
		result, err := mobilefirst.Import([]byte(file), []byte(descriptor), mobilefirst.Options{})
		if err != nil {
			if !errors.Is(err, mobilefirst.ErrFile) {
				t.Fatalf("not refused for what it is: %v", err)
			}
			return
		}
		if _, err := adapt(string(result.Caddyfile), "Caddyfile"); err != nil {
			t.Fatalf("%v\n%s", err, result.Caddyfile)
		}
	})
}
