// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/ldap"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/secret"
	"github.com/gatehouse-id/gatehouse/caddymodule/trust"
)

func init() { caddy.RegisterModule(LDAP{}) }

// LDAP verifies a user name and a password against an LDAP directory, such as OpenLDAP, 389 Directory Server or Active Directory:
// it searches the user's entry and binds as that, or binds by a name that is made of the user name.
type LDAP struct {
	// The directory: ldaps://host[:port], or ldap://host[:port], which is turned into TLS by StartTLS unless the host is this one.
	URL string `json:"url,omitempty"`
	// Whether StartTLS is required on this host as well.
	StartTLS bool `json:"start_tls,omitempty"`
	// Whether passwords may go to another host in clear.
	AllowPlain bool `json:"allow_plain,omitempty"`
	// A file with the certificate authorities that may vouch for the directory. Default: those of the system.
	CAFile string `json:"ca_file,omitempty"`
	// The account that searches. Default: the search is anonymous. With {username} in it, it is the name that users bind by
	// themselves, and nothing is searched for.
	BindDN string `json:"bind_dn,omitempty"`
	// The password of the account that searches, as {env.NAME} or {file.PATH}.
	BindPassword string `json:"bind_password,omitempty"`
	// The entry beneath which users are searched for.
	SearchBase string `json:"search_base,omitempty"`
	// What a user's entry is found by, with one {username}. Default: (&(objectClass=person)(uid={username})).
	Filter string `json:"filter,omitempty"`
	// The attribute that is the user's id, by which he is found again. Default: entryUUID; Active Directory has objectGUID.
	ID string `json:"id,omitempty"`
	// The attribute that is the name to show. Default: cn.
	Name string `json:"name,omitempty"`
	// The user's attributes, each with the attribute of the entry whose first value it takes.
	Attributes map[string]string `json:"attributes,omitempty"`
	// How the user's groups are found. Default: they are not.
	Groups *LDAPGroups `json:"groups,omitempty"`
	// The entry that is bound as for a user who is unknown. Default: one that does not exist.
	Decoy string `json:"decoy,omitempty"`
	// The answer that is the user name. Default: username.
	UserField string `json:"user_field,omitempty"`
	// The answer that is the password. Default: password.
	PasswordField string `json:"password_field,omitempty"`
	// How long a login may take. Default: 5s.
	Timeout caddy.Duration `json:"time_out,omitempty"`
	// How many logins may use the directory at once. Default: 32.
	Concurrency int `json:"concurrency,omitempty"`

	module *ldap.Module
}

// LDAPGroups says how the groups of a user are found, and where their names go.
type LDAPGroups struct {
	// The attribute of the user's entry that names groups. Default, without a filter: memberOf.
	Attribute string `json:"attribute,omitempty"`
	// The entry beneath which groups are searched for, or count.
	Base string `json:"base,omitempty"`
	// What the groups of a user are found by, with one {dn} or {username} for the user. Default: they are not searched for.
	Filter string `json:"filter,omitempty"`
	// The attribute that groups are called by. Default: cn.
	Name string `json:"name,omitempty"`
	// The user's attribute that holds the names, with spaces between them. Default: groups.
	Into string `json:"into,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (LDAP) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.ldap", New: func() caddy.Module { return new(LDAP) }}
}

// Provision builds the login module. It connects to nothing.
func (m *LDAP) Provision(ctx caddy.Context) error {
	if err := m.build(ctx.Slogger()); err != nil {
		return fmt.Errorf("login_module ldap: %w", err)
	}
	return nil
}

func (m *LDAP) build(logger *slog.Logger) error {
	c := m.config()
	replacer := caddy.NewReplacer()
	c.URL, c.BindDN = replacer.ReplaceKnown(c.URL, ""), replacer.ReplaceKnown(c.BindDN, "")
	var err error
	if c.Password, err = secret.Resolve(m.BindPassword, "bind_password", logger); err != nil {
		return fmt.Errorf("bind_password: %w", err)
	}
	if c.Roots, err = trust.Pool(m.CAFile); err != nil {
		return err
	}
	if m.module, err = ldap.New(c); err != nil {
		return err
	}
	if m.module.TellsByTime() {
		logger.Warn("login names that exist can be told from others by the time a directory takes that hashes slowly: see decoy", "url", c.URL)
	}
	return nil
}

func (m *LDAP) config() ldap.Config {
	c := ldap.Config{
		URL: m.URL, StartTLS: m.StartTLS, AllowPlain: m.AllowPlain, BindDN: m.BindDN, Password: m.BindPassword,
		Base: m.SearchBase, Filter: m.Filter, ID: m.ID, Name: m.Name, Attributes: m.Attributes, Decoy: m.Decoy,
		UserField: m.UserField, PasswordField: m.PasswordField, Timeout: time.Duration(m.Timeout), Concurrency: m.Concurrency,
	}
	if g := m.Groups; g != nil {
		c.Groups = &ldap.Groups{Base: g.Base, Filter: g.Filter, Attribute: g.Attribute, Name: g.Name, Into: g.Into}
	}
	return c
}

// check looks at the options together, unless some of them are known only where the server runs.
func (m *LDAP) check() error {
	if secret.Deferred(m.URL) || secret.Deferred(m.BindDN) {
		return nil
	}
	_, err := ldap.New(m.config())
	return err
}

// NeedsLogin reports that users who are known are asked for their name as well.
func (m *LDAP) NeedsLogin() bool { return m.module.NeedsLogin() }

// Verify judges the credentials.
func (m *LDAP) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads:
//
//	ldap {
//		url            <url>
//		start_tls
//		allow_plain
//		ca_file        <path>
//		bind_dn        <dn>
//		bind_password  <secret>
//		search_base    <dn>
//		filter         <filter>
//		id             <attribute>
//		name           <attribute>
//		attribute      <name> <attribute>
//		groups         { ... }
//		decoy          <dn>
//		user_field     <field>
//		password_field <field>
//		time_out       <duration>
//		concurrency    <n>
//	}
func (m *LDAP) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"url": option.String(&m.URL), "start_tls": option.Flag(&m.StartTLS), "allow_plain": option.Flag(&m.AllowPlain),
			"ca_file": option.String(&m.CAFile), "bind_dn": option.String(&m.BindDN), "bind_password": option.String(&m.BindPassword),
			"search_base": option.String(&m.SearchBase), "filter": option.String(&m.Filter),
			"id": option.String(&m.ID), "name": option.String(&m.Name), "attribute": option.Pair(&m.Attributes),
			"groups": m.parseGroups, "decoy": option.String(&m.Decoy),
			"user_field": option.String(&m.UserField), "password_field": option.String(&m.PasswordField),
			"time_out": option.Duration(&m.Timeout), "concurrency": option.Number(&m.Concurrency),
		},
		Repeat: []string{"attribute"},
	}, m.check)
}

// parseGroups reads:
//
//	groups {
//		attribute <attribute>
//		base      <dn>
//		filter    <filter>
//		name      <attribute>
//		into      <name>
//	}
func (m *LDAP) parseGroups(d *caddyfile.Dispenser) error {
	m.Groups = new(LDAPGroups)
	return option.Block{Options: map[string]option.Parse{
		"attribute": option.String(&m.Groups.Attribute), "base": option.String(&m.Groups.Base),
		"filter": option.String(&m.Groups.Filter), "name": option.String(&m.Groups.Name), "into": option.String(&m.Groups.Into),
	}}.Parse(d)
}

// Interface guards.
var (
	_ realm.LoginModule     = (*LDAP)(nil)
	_ realm.NeedsLogin      = (*LDAP)(nil)
	_ caddy.Provisioner     = (*LDAP)(nil)
	_ caddyfile.Unmarshaler = (*LDAP)(nil)
)
