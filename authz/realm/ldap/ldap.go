// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	directory "github.com/go-ldap/ldap/v3"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// methodPassword is the authentication method of RFC 8176 2.
const methodPassword = "pwd"

// Limits of what is sent to a directory, in bytes.
const (
	maxUsername = 512
	maxPassword = 4 << 10
)

// busyFor is when somebody may come back who found all places taken.
const busyFor = time.Second

// Reasons of a refusal, for the audit trail. A directory may tell more: see [Module.Verify].
const (
	reasonMalformed = "malformed"
	reasonBusy      = "directory_busy"
	reasonUnknown   = "unknown_login"
	reasonAmbiguous = "ambiguous_login"
)

// Module is the login module. It is safe for concurrent use.
type Module struct {
	address          string
	security         security
	tls              *tls.Config
	dial             func(ctx context.Context, network, address string) (net.Conn, error)
	timeout          time.Duration
	places           chan struct{} // as many as logins may be under way
	bindDN, password string
	direct           bool // users bind by bindDN, which has their login name in it
	base, filter     string
	decoy            string
	decoyed          bool // the decoy is an entry of the operator's
	mapping          realm.Mapping
	wanted           []string // attributes of the entry
	groups           *Groups

	userField, passwordField string
}

// NeedsLogin tells that the directory knows users by their login name only, whoever the issuer knows them as.
func (m *Module) NeedsLogin() bool { return true }

// TellsByTime reports that an unknown login name is refused by a bind that fails before any password is checked, which is faster in
// a directory that hashes slowly: whoever measures learns which names exist. A decoy mends that where users are searched for, and
// nothing does where they bind by a name of their own.
func (m *Module) TellsByTime() bool { return m.direct || !m.decoyed }

// Verify judges a login name and a password. Whatever the directory says about the account itself (no such user, several,
// a wrong password, one that has expired or must be changed, an account that is locked, disabled or may not log in now) is a
// refusal, whose reason says which as far as the directory does. Anything else that it says is an error.
func (m *Module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	username, password := c.Values[m.userField], c.Values[m.passwordField]
	if !acceptable(username, password) {
		return refused(reasonMalformed), nil
	}
	select {
	case m.places <- struct{}{}:
		defer func() { <-m.places }()
	default:
		return realm.Result{Status: realm.Busy, RetryAfter: busyFor, Reason: reasonBusy}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	if m.direct {
		return m.bindAs(ctx, username, password)
	}
	return m.searchAndBind(ctx, username, password)
}

// acceptable keeps away from the directory what no user has. A password that is empty, or is so to a server that ends it at
// its first NUL, would be taken for a bind as nobody.
func acceptable(username, password string) bool {
	return username != "" && realm.ValidText(username, maxUsername) &&
		password != "" && len(password) <= maxPassword && !strings.ContainsRune(password, 0)
}

func refused(reason string) realm.Result { return realm.Result{Status: realm.Refused, Reason: reason} }

// searchAndBind finds the user's entry by the service account, and binds as the entry on a connection of its own: what the
// service account may see, it then still sees.
func (m *Module) searchAndBind(ctx context.Context, username, password string) (realm.Result, error) {
	service, err := m.open(ctx)
	if err != nil {
		return realm.Result{}, err
	}
	defer service.close()
	if m.bindDN != "" {
		if reason, err := service.bind(m.bindDN, m.password); err != nil || reason != "" {
			return realm.Result{}, service.fault("binding as the account that searches", refusal(reason, err))
		}
	}
	entry, unknown, err := service.find(m.userSearch(username))
	if err != nil {
		return realm.Result{}, service.fault("searching for the user", err)
	}
	dn := m.decoy
	if unknown == "" {
		dn = entry.DN
	}
	user, err := m.open(ctx)
	if err != nil {
		return realm.Result{}, err
	}
	defer user.close()
	reason, err := user.bind(dn, password)
	switch {
	case err != nil:
		return realm.Result{}, user.fault("binding as the user", err)
	case unknown != "": // however the bind has ended
		return refused(unknown), nil
	case reason != "":
		return refused(reason), nil
	}
	return m.accept(service, entry, username)
}

// bindAs binds by the name that users have in common but for their login name, and reads the user's own entry as the user.
func (m *Module) bindAs(ctx context.Context, username, password string) (realm.Result, error) {
	user, err := m.open(ctx)
	if err != nil {
		return realm.Result{}, err
	}
	defer user.close()
	dn := strings.Replace(m.bindDN, placeUsername, directory.EscapeDN(username), 1)
	reason, err := user.bind(dn, password)
	if err != nil {
		return realm.Result{}, user.fault("binding as the user", err)
	}
	if reason != "" {
		return refused(reason), nil
	}
	entry, unknown, err := user.find(m.ownSearch(dn))
	if err != nil || unknown != "" {
		return realm.Result{}, user.fault("reading the user's own entry", refusal(unknown, err))
	}
	return m.accept(user, entry, username)
}

// accept makes an identity of the entry of somebody who has proven to be its user.
func (m *Module) accept(s *session, entry *directory.Entry, username string) (realm.Result, error) {
	identity, err := m.identity(entry)
	if err != nil {
		return realm.Result{}, err
	}
	if _, taken := m.mapping.Attributes[AttributeLogin]; !taken {
		identity.Attributes[AttributeLogin] = username
	}
	if m.groups != nil {
		if identity.Attributes[m.groups.into()], err = m.groupsOf(s, entry, username); err != nil {
			return realm.Result{}, s.fault("reading the groups of the user", err)
		}
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}
