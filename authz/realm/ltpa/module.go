// SPDX-License-Identifier: Apache-2.0

package ltpa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// DefaultMaxLifetime is the default of [Config].MaxLifetime.
const DefaultMaxLifetime = 24 * time.Hour

// Values that a mapping can name besides the token's own attributes.
const (
	User  = "user"  // realm, slash and id: as the server names a user, without its "user:"
	UID   = "uid"   // the id alone, or the part of it that the pattern captures
	Realm = "realm" // the realm alone
)

// Reasons of a refusal, for the audit trail. All that is wrong before the signature has been found good is one reason.
const (
	reasonInvalid  = "invalid_token"
	reasonData     = "unreadable_token"
	reasonExpired  = "expired_token"
	reasonLifetime = "token_lives_too_long"
	reasonRealm    = "realm_not_accepted"
	reasonUser     = "user_not_accepted"
)

// Limits of the configuration.
const (
	maxKeys   = 4
	maxRealms = 16
)

// Config describes a [Module].
type Config struct {
	// Keys verify tokens; several while a server's are being replaced. At least one is required.
	Keys []*Keys
	// Realms are the realms of WebSphere whose users are accepted. At least one is required: servers that share a key file accept
	// one another's.
	Realms []string
	// UserPattern is a regular expression that ids match as a whole; a group in it captures the part that counts. Empty accepts all.
	UserPattern string
	// Mapping says what becomes of a token's attributes, and of [User], [UID] and [Realm]. Its id is User, by default, or UID, with
	// one realm only: two realms may use one id for two people.
	Mapping realm.Mapping
	// MaxLifetime refuses tokens that expire later than this from now: one that is good for years was not made by a login.
	// Default: [DefaultMaxLifetime].
	MaxLifetime time.Duration
	// Now is the clock. It is required.
	Now func() time.Time
}

// Module is a login module: it verifies tokens. It is safe for concurrent use.
type Module struct {
	keys        []*Keys
	realms      []string
	pattern     *regexp.Regexp // nil accepts all
	mapping     realm.Mapping
	maxLifetime time.Duration
	now         func() time.Time
	verify      verifier
}

// Check returns an error that names what does not fit, whatever the keys are.
func (c Config) Check() error {
	c.Keys = nil
	_, err := c.build()
	return err
}

// NewModule returns a module, or an error that names what does not fit.
func NewModule(c Config) (*Module, error) {
	if len(c.Keys) == 0 || len(c.Keys) > maxKeys || slices.Contains(c.Keys, nil) {
		return nil, fmt.Errorf("verifying LTPA tokens: 1 to %d key files are required", maxKeys)
	}
	return c.build()
}

func (c Config) build() (*Module, error) {
	if c.Now == nil {
		return nil, errors.New("verifying LTPA tokens: a clock is required")
	}
	if len(c.Realms) == 0 || len(c.Realms) > maxRealms {
		return nil, fmt.Errorf("verifying LTPA tokens: 1 to %d realms are required, whose users are accepted", maxRealms)
	}
	for _, name := range c.Realms {
		if name == "" || strings.Contains(name, "/") || !realm.ValidText(name, realm.MaxExternalID) {
			return nil, fmt.Errorf("verifying LTPA tokens: %q is no realm of WebSphere", name)
		}
	}
	if c.MaxLifetime < 0 {
		return nil, errors.New("verifying LTPA tokens: the longest lifetime is negative")
	}
	m := &Module{
		keys: slices.Clone(c.Keys), realms: slices.Clone(c.Realms), mapping: c.Mapping,
		maxLifetime: cmp.Or(c.MaxLifetime, DefaultMaxLifetime), now: c.Now, verify: verify,
	}
	if err := m.setMapping(); err != nil {
		return nil, fmt.Errorf("verifying LTPA tokens: %w", err)
	}
	if err := m.setPattern(c.UserPattern); err != nil {
		return nil, fmt.Errorf("verifying LTPA tokens: %w", err)
	}
	return m, nil
}

func (m *Module) setMapping() error {
	switch m.mapping.ID {
	case "":
		m.mapping.ID = User
	case User:
	case UID:
		if len(m.realms) > 1 {
			return errors.New("the id uid tells people of several realms not apart: use user")
		}
	default:
		return fmt.Errorf("the id is user or uid, not %q", m.mapping.ID)
	}
	return m.mapping.Check()
}

func (m *Module) setPattern(pattern string) (err error) {
	if pattern == "" {
		return nil
	}
	if m.pattern, err = regexp.Compile(`^(?:` + pattern + `)$`); err != nil {
		return fmt.Errorf("the pattern of users: %w", err)
	}
	if m.pattern.NumSubexp() > 1 {
		return errors.New("the pattern of users captures more than one part")
	}
	return nil
}

// Verify accepts whom a token names that a configured key has signed, that has not expired, and that comes from an accepted realm.
// Every other token is refused in the same way.
func (m *Module) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
	identity, reason := m.judge(c.Values[ValueToken])
	if reason != "" {
		return realm.Result{Status: realm.Refused, Reason: reason}, nil
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

// judge returns whom a token names, or the reason why it counts for nothing. Nothing but signed data is looked at.
func (m *Module) judge(token string) (realm.Identity, string) {
	data, ok := open(m.keys, token, m.verify)
	if !ok {
		return realm.Identity{}, reasonInvalid
	}
	attributes, ok := parseUserData(data)
	if !ok {
		return realm.Identity{}, reasonData
	}
	if reason := m.expired(attributes["expire"]); reason != "" {
		return realm.Identity{}, reason
	}
	values, reason := m.user(attributes[attributeUser])
	if reason != "" {
		return realm.Identity{}, reason
	}
	for name, list := range attributes {
		if _, ours := values[name]; !ours && len(list) == 1 { // which of several is meant cannot be told
			values[name] = list[0]
		}
	}
	identity, ok := m.mapping.Identity(values)
	if !ok {
		return realm.Identity{}, reasonUser
	}
	return identity, ""
}

// expired judges the signed expiry, in milliseconds. There must be one.
func (m *Module) expired(expire []string) string {
	if len(expire) != 1 || !digits(expire[0]) {
		return reasonData
	}
	milliseconds, err := strconv.ParseInt(expire[0], 10, 64)
	if err != nil {
		return reasonData
	}
	now, until := m.now(), time.UnixMilli(milliseconds)
	switch {
	case !now.Before(until):
		return reasonExpired
	case until.Sub(now) > m.maxLifetime:
		return reasonLifetime
	}
	return ""
}

// user takes "user:<realm>/<id>" apart, for an accepted realm and an id that fits the pattern.
func (m *Module) user(u []string) (map[string]string, string) {
	if len(u) != 1 {
		return nil, reasonData
	}
	name, ok := strings.CutPrefix(u[0], "user:")
	if !ok {
		return nil, reasonUser // a group, or a server
	}
	in, uid, _ := strings.Cut(name, "/")
	if !slices.Contains(m.realms, in) {
		return nil, reasonRealm
	}
	if m.pattern != nil {
		match := m.pattern.FindStringSubmatch(uid)
		if match == nil {
			return nil, reasonUser
		}
		uid = match[len(match)-1] // the group, or all of it
	}
	if uid == "" {
		return nil, reasonUser
	}
	return map[string]string{Realm: in, UID: uid, User: in + "/" + uid}, ""
}
