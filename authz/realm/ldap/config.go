// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	directory "github.com/go-ldap/ldap/v3"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Defaults of a [Config].
const (
	DefaultTimeout     = 5 * time.Second
	DefaultConcurrency = 32
	DefaultFilter      = "(&(objectClass=person)(uid={username}))"
	DefaultID          = "entryUUID"
	DefaultName        = "cn"
)

// What stands in a template for what is only known at a login.
const (
	placeUsername = "{username}"
	placeDN       = "{dn}"
)

// AttributeLogin is the attribute of a proof that holds the login name, so that a later form can be prefilled.
const AttributeLogin = "login"

// Config describes a directory and what is wanted of it.
type Config struct {
	// URL is ldaps://host[:port], or ldap://host[:port], which is turned into TLS by StartTLS.
	URL string
	// StartTLS turns on TLS for ldap:// on this host as well, where it is off otherwise.
	StartTLS bool
	// AllowPlain turns StartTLS off for ldap:// on another host: passwords then cross the network in clear.
	AllowPlain bool
	// Roots are the certificate authorities that may vouch for the directory. Default: those of the system.
	Roots *x509.CertPool
	// BindDN and Password are of the account that searches; without them the search is anonymous. A BindDN with one
	// {username}, and without a password, is the name that users bind by themselves; nothing is searched for then.
	BindDN, Password string
	// Base is where the search begins, and Filter, with one {username}, what it looks for in the whole tree beneath. Default
	// of the filter: [DefaultFilter].
	Base, Filter string
	// ID is the attribute that tells users apart for good. Default: [DefaultID]. Active Directory has objectGUID, whose octets
	// are written in hexadecimal.
	ID string
	// Name is the attribute that people are called by. Default: [DefaultName].
	Name string
	// Attributes are those of the identity, each with the attribute of the entry whose first value it takes.
	Attributes map[string]string
	// Groups says how the groups of a user are found; nil finds none.
	Groups *Groups
	// Decoy is the entry that is bound as for a user who is unknown. Default: one that does not exist, so that a directory
	// which hashes slowly tells known users from unknown ones by its time. An entry with a hash like theirs and a password that
	// nobody knows hides that, if the directory never locks it.
	Decoy string
	// UserField and PasswordField are the answers it looks at. Default: username and password.
	UserField, PasswordField string
	// Timeout bounds a login, all connections and operations together. Default: [DefaultTimeout].
	Timeout time.Duration
	// Concurrency bounds how many logins use the directory at once; who comes then is told to come back. Default:
	// [DefaultConcurrency].
	Concurrency int
	// Dial opens connections. Default: a [net.Dialer]'s DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// New returns a login module, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Module, error) {
	m := &Module{
		bindDN: c.BindDN, password: c.Password, base: c.Base, filter: cmp.Or(c.Filter, DefaultFilter), groups: c.Groups,
		decoy: cmp.Or(c.Decoy, "cn="+rand.Text()+","+c.Base), decoyed: c.Decoy != "",
		userField: cmp.Or(c.UserField, "username"), passwordField: cmp.Or(c.PasswordField, "password"),
		timeout: cmp.Or(c.Timeout, DefaultTimeout), dial: c.Dial,
		mapping: realm.Mapping{
			ID: cmp.Or(c.ID, DefaultID), Name: cmp.Or(c.Name, DefaultName), Attributes: c.Attributes, AMR: []string{methodPassword},
		},
	}
	if m.dial == nil {
		m.dial = new(net.Dialer).DialContext
	}
	if c.Timeout < 0 || c.Concurrency < 0 {
		return nil, errors.New("a limit of the directory is negative")
	}
	m.places = make(chan struct{}, cmp.Or(c.Concurrency, DefaultConcurrency))
	for _, check := range []func(*Config) error{m.checkURL, m.checkBind, m.checkSearch, m.checkIdentity, m.checkGroups} {
		if err := check(&c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// checkURL decides how the connection is protected.
func (m *Module) checkURL(c *Config) error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "":
		return errors.New("url is not ldaps://host or ldap://host, with or without a port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("url is more than a host and a port")
	}
	m.tls = &tls.Config{RootCAs: c.Roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	port := "389"
	switch {
	case u.Scheme == "ldaps" && (c.StartTLS || c.AllowPlain):
		return errors.New("url with ldaps:// has TLS from the first byte: it takes neither start_tls nor allow_plain")
	case u.Scheme == "ldaps":
		m.security, port = ldaps, "636"
	case u.Scheme != "ldap":
		return fmt.Errorf("url begins with %q, not with ldaps:// or ldap://", u.Scheme)
	case c.StartTLS && c.AllowPlain:
		return errors.New("start_tls and allow_plain exclude each other")
	case c.StartTLS || !c.AllowPlain && !oauth.IsLoopback(u.Hostname()):
		m.security = startTLS
	}
	m.address = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return nil
}

// checkBind tells the account that searches from the name that users bind by.
func (m *Module) checkBind(c *Config) error {
	m.direct = strings.Contains(c.BindDN, placeUsername)
	switch {
	case m.direct && (c.Password != "" || c.Base != "" || c.Filter != "" || c.Decoy != ""):
		return errors.New("bind_dn with {username} leaves nothing to search for: no bind_password, search_base, filter or decoy is needed")
	case m.direct:
		return checkTemplateDN(c.BindDN)
	case (c.BindDN == "") != (c.Password == ""):
		return errors.New("bind_dn and bind_password need each other")
	}
	if _, err := directory.ParseDN(c.BindDN); err != nil {
		return fmt.Errorf("bind_dn does not name an entry: %w", err)
	}
	if _, err := directory.ParseDN(c.Decoy); err != nil {
		return fmt.Errorf("decoy does not name an entry: %w", err)
	}
	return nil
}

// checkTemplateDN makes sure that a login name can only ever be the value of one attribute, or a part of it.
func checkTemplateDN(template string) error {
	if strings.Count(template, placeUsername) != 1 {
		return fmt.Errorf("bind_dn has %s more than once", placeUsername)
	}
	const probe = "probe"
	dn, err := directory.ParseDN(strings.Replace(template, placeUsername, probe, 1))
	if err != nil {
		return fmt.Errorf("bind_dn does not name an entry: %w", err)
	}
	for _, part := range dn.RDNs {
		for _, attribute := range part.Attributes {
			if strings.Contains(attribute.Type, probe) {
				return fmt.Errorf("bind_dn has %s where an attribute is named", placeUsername)
			}
		}
	}
	return nil
}

func (m *Module) checkSearch(c *Config) error {
	if m.direct {
		return nil
	}
	if _, err := directory.ParseDN(c.Base); err != nil || c.Base == "" {
		return errors.New("search_base does not name the entry beneath which users are")
	}
	return checkFilter(m.filter, placeUsername)
}

// checkFilter makes sure that what takes a placeholder's place can only ever be the value of an assertion, or a part of it:
// between the parenthesis before it and itself stands the end of an attribute's description (RFC 4515 3).
func checkFilter(filter, place string) error {
	if n := strings.Count(filter, place); n != 1 {
		return fmt.Errorf("filter %q has %s %d times, not once", filter, place, n)
	}
	before, _, _ := strings.Cut(filter, place)
	if !strings.Contains(before[strings.LastIndexByte(before, '(')+1:], "=") {
		return fmt.Errorf("filter %q has %s where an attribute is named", filter, place)
	}
	if _, err := directory.CompileFilter(strings.Replace(filter, place, "probe", 1)); err != nil {
		return fmt.Errorf("filter %q: %w", filter, err)
	}
	return nil
}

func (m *Module) checkIdentity(c *Config) error {
	if err := m.mapping.Check(); err != nil {
		return err
	}
	m.wanted = []string{m.mapping.ID, m.mapping.Name}
	for _, name := range c.Attributes {
		m.wanted = append(m.wanted, name)
	}
	for _, name := range m.wanted {
		if !isDescription(name) {
			return fmt.Errorf("%q is not the name of an attribute of an entry", name)
		}
	}
	if m.groups != nil && m.groups.Filter == "" {
		m.wanted = append(m.wanted, m.groups.attribute())
	}
	return nil
}

// isDescription admits attribute descriptions (RFC 4512 2.5): a name or an object identifier, and options.
func isDescription(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("-.;", r)
	})
}
