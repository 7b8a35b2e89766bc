// SPDX-License-Identifier: Apache-2.0

package ldap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
)

func TestNew(t *testing.T) {
	t.Parallel()
	good := ldap.Config{URL: "ldaps://ldap.example.com", BindDN: service, Password: serviceSecret, Base: people}
	for _, tt := range []struct {
		name   string
		change func(*ldap.Config)
		why    string // empty for what is accepted
	}{
		{"as it is", func(*ldap.Config) {}, ""},
		{"a port and a slash", func(c *ldap.Config) { c.URL = "ldaps://[::1]:1636/" }, ""},
		{"anonymous", func(c *ldap.Config) { c.BindDN, c.Password = "", "" }, ""},
		{"a part of a value", func(c *ldap.Config) { c.Filter = "(|(uid={username})(cn=x))" }, ""},
		{"a matching rule", func(c *ldap.Config) { c.Filter = "(uid:caseExactMatch:={username})" }, ""},
		{"in the middle of a value", func(c *ldap.Config) { c.Filter = "(mail=x-{username}@example.com)" }, ""},
		{"a comparison", func(c *ldap.Config) { c.Filter = "(employeeNumber>={username})" }, ""},
		{"no address", func(c *ldap.Config) { c.URL = "" }, "url"},
		{"another scheme", func(c *ldap.Config) { c.URL = "https://ldap.example.com" }, `begins with "https"`},
		{"a socket", func(c *ldap.Config) { c.URL = "ldapi:///var/run/ldapi" }, "url"},
		{"a DN in the address", func(c *ldap.Config) { c.URL += "/dc=example" }, "url"},
		{"a query in the address", func(c *ldap.Config) { c.URL += "?uid" }, "host and a port"},
		{"a password in the address", func(c *ldap.Config) { c.URL = "ldaps://a:" + serviceSecret + "@example.com" }, "host and a port"},
		{"no host", func(c *ldap.Config) { c.URL = "ldaps://:636" }, "url"},
		{"StartTLS inside TLS", func(c *ldap.Config) { c.StartTLS = true }, "TLS from the first byte"},
		{"plain inside TLS", func(c *ldap.Config) { c.AllowPlain = true }, "TLS from the first byte"},
		{"StartTLS or not", func(c *ldap.Config) { c.URL, c.StartTLS, c.AllowPlain = "ldap://x", true, true }, "exclude"},
		{"a name without a password", func(c *ldap.Config) { c.Password = "" }, "need each other"},
		{"a password without a name", func(c *ldap.Config) { c.BindDN = "" }, "need each other"},
		{"a name that is none", func(c *ldap.Config) { c.BindDN = "reader@example.com" }, "bind_dn"},
		{"a decoy that is none", func(c *ldap.Config) { c.Decoy = "decoy" }, "decoy"},
		{"no base", func(c *ldap.Config) { c.Base = "" }, "base"},
		{"a base that is none", func(c *ldap.Config) { c.Base = "people" }, "base"},
		{"a filter without a name", func(c *ldap.Config) { c.Filter = "(uid=*)" }, "0 times"},
		{"a filter with two", func(c *ldap.Config) { c.Filter = "(|(uid={username})(mail={username}))" }, "2 times"},
		{"a filter that is none", func(c *ldap.Config) { c.Filter = "(uid={username}" }, "filter"},
		{"a name for an attribute", func(c *ldap.Config) { c.Filter = "({username}=x)" }, "where an attribute is named"},
		{"a name for a filter", func(c *ldap.Config) { c.Filter = "(&(uid=x){username})" }, "filter"},
		{"a name behind a filter", func(c *ldap.Config) { c.Filter = "(uid=x){username}" }, "filter"},
		{"a name for an attribute beside another", func(c *ldap.Config) { c.Filter = "(&(uid=x)({username}=y))" }, "where an attribute is named"},
		{"an attribute that is none", func(c *ldap.Config) { c.Attributes = map[string]string{"email": "mail address"} }, "mail address"},
		{"an attribute of nothing", func(c *ldap.Config) { c.Attributes = map[string]string{"email": ""} }, "email"},
		{"an id that is none", func(c *ldap.Config) { c.ID = "*" }, "name of an attribute"},
		{"a name attribute that is none", func(c *ldap.Config) { c.Name = "+" }, "name of an attribute"},
		{"a negative time-out", func(c *ldap.Config) { c.Timeout = -time.Second }, "negative"},
		{"a negative number of logins", func(c *ldap.Config) { c.Concurrency = -1 }, "negative"},

		{"direct", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "uid={username},ou=people"} }, ""},
		{"direct, part of a value", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "uid=x-{username},ou=people"} }, ""},
		{"direct with a password", func(c *ldap.Config) { c.BindDN = "uid={username},ou=people" }, "nothing to search for"},
		{"direct with a decoy", func(c *ldap.Config) {
			*c = ldap.Config{URL: c.URL, BindDN: "uid={username}", Decoy: "cn=x"}
		}, "nothing to search for"},
		{"direct, twice", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "uid={username},ou={username}"} }, "more than once"},
		{"direct, an attribute", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "{username}=x"} }, "where an attribute is named"},
		{"direct, no name of an entry", func(c *ldap.Config) { *c = ldap.Config{URL: c.URL, BindDN: "{username}@example.com"} }, "bind_dn"},

		{"groups", func(c *ldap.Config) { c.Groups = &ldap.Groups{} }, ""},
		{"groups of a login name", func(c *ldap.Config) { c.Groups = &ldap.Groups{Base: groups, Filter: "(memberUid={username})"} }, ""},
		{"groups without a base", func(c *ldap.Config) { c.Groups = &ldap.Groups{Filter: "(member={dn})"} }, "base"},
		{"groups with a base that is none", func(c *ldap.Config) { c.Groups = &ldap.Groups{Base: "x"} }, "base"},
		{"groups without a member", func(c *ldap.Config) { c.Groups = &ldap.Groups{Base: groups, Filter: "(cn=x)"} }, "0 times"},
		{"groups with two members", func(c *ldap.Config) {
			c.Groups = &ldap.Groups{Base: groups, Filter: "(|(member={dn})(memberUid={username}))"}
		}, "both"},
		{"groups by both", func(c *ldap.Config) {
			c.Groups = &ldap.Groups{Base: groups, Filter: "(member={dn})", Attribute: "memberOf"}
		}, "not both"},
		{"groups by an attribute that is none", func(c *ldap.Config) { c.Groups = &ldap.Groups{Attribute: "a b"} }, "attributes"},
		{"groups into what is taken", func(c *ldap.Config) {
			c.Groups, c.Attributes = &ldap.Groups{Into: "email"}, map[string]string{"email": "mail"}
		}, `"email"`},
		{"groups into the login", func(c *ldap.Config) { c.Groups = &ldap.Groups{Into: "login"} }, `"login"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := good
			tt.change(&c)
			m, err := ldap.New(c)
			if (err == nil) != (tt.why == "") || (m == nil) != (err != nil) {
				t.Fatalf("New = %v, %v", m, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.why) || strings.Contains(err.Error(), serviceSecret)) {
				t.Errorf("the error is %q, want something about %q", err, tt.why)
			}
		})
	}
}
