// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	directory "github.com/go-ldap/ldap/v3"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Defaults of [Groups].
const (
	DefaultGroupsAttribute = "memberOf"
	DefaultGroupName       = "cn"
	DefaultGroupsInto      = "groups"
)

// maxGroups bounds how many groups a search may find: their names would not fit into an attribute long before.
const maxGroups = 1000

// Groups says how the groups of a user are found, and where they go. With a filter they are searched for; without one the
// user's entry names them.
type Groups struct {
	// Base is where the search begins. Without a filter, groups that are not beneath it do not count; empty counts all.
	Base string
	// Filter finds the groups of a user, who is its one {dn} or its one {username}: "(member={dn})", "(memberUid={username})".
	Filter string
	// Attribute is the one of the user's entry that names groups by their DNs. Default: [DefaultGroupsAttribute].
	Attribute string
	// Name is the attribute that groups are called by; without a filter, that by which their own entries are named. Default:
	// [DefaultGroupName].
	Name string
	// Into is the attribute of the identity: the names, as [realm.Words] writes them. Default: [DefaultGroupsInto].
	Into string
}

func (g *Groups) attribute() string { return cmp.Or(g.Attribute, DefaultGroupsAttribute) }
func (g *Groups) name() string      { return cmp.Or(g.Name, DefaultGroupName) }
func (g *Groups) into() string      { return cmp.Or(g.Into, DefaultGroupsInto) }

// place is the placeholder that the filter has.
func (g *Groups) place() string {
	if strings.Contains(g.Filter, placeDN) {
		return placeDN
	}
	return placeUsername
}

func (m *Module) checkGroups(c *Config) error {
	g := c.Groups
	if g == nil {
		return nil
	}
	_, err := directory.ParseDN(g.Base)
	switch {
	case err != nil:
		return fmt.Errorf("groups: base does not name an entry: %w", err)
	case !isDescription(g.name()) || !isDescription(g.attribute()):
		return errors.New("groups: name and attribute are names of attributes of entries")
	case !realm.ValidText(g.into(), realm.MaxAttributeName) || c.Attributes[g.into()] != "" || g.into() == AttributeLogin:
		return fmt.Errorf("groups: they cannot go into the attribute %q", g.into())
	case g.Filter == "":
		return nil
	case g.Attribute != "":
		return errors.New("groups: they are found by a filter or named by an attribute, not both")
	case g.Base == "":
		return errors.New("groups: a filter needs a base")
	case strings.Contains(g.Filter, placeDN) && strings.Contains(g.Filter, placeUsername):
		return fmt.Errorf("groups: filter %q has both %s and %s", g.Filter, placeDN, placeUsername)
	}
	if err := checkFilter(g.Filter, g.place()); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	return nil
}

// groupsOf returns the groups of the user in one line. Groups that do not fit are an error: some of them would be a lie.
func (m *Module) groupsOf(s *session, entry *directory.Entry, username string) (string, error) {
	find := m.groupsNamed
	if m.groups.Filter != "" {
		find = func(entry *directory.Entry) ([]string, error) { return m.groupsFound(s, entry, username) }
	}
	names, err := find(entry)
	if err != nil {
		return "", err
	}
	line := realm.Words(names)
	if !realm.ValidText(line, realm.MaxValue) {
		return "", fmt.Errorf("the names of %d groups take more than %d bytes: let base or filter choose those that matter",
			len(names), realm.MaxValue)
	}
	return line, nil
}

// groupsNamed returns the groups that the user's entry names.
func (m *Module) groupsNamed(entry *directory.Entry) ([]string, error) {
	base, err := directory.ParseDN(m.groups.Base)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, value := range raw(entry, m.groups.attribute()) {
		dn, err := directory.ParseDN(string(value))
		if err != nil {
			return nil, fmt.Errorf("the attribute %q has a value that names no entry", m.groups.attribute())
		}
		if len(base.RDNs) > 0 && !base.AncestorOfFold(dn) || len(dn.RDNs) == 0 {
			continue
		}
		for _, part := range dn.RDNs[0].Attributes {
			if strings.EqualFold(part.Type, m.groups.name()) {
				names = append(names, part.Value)
			}
		}
	}
	return names, nil
}

// groupsFound returns the groups that a search finds.
func (m *Module) groupsFound(s *session, entry *directory.Entry, username string) ([]string, error) {
	who := entry.DN
	if m.groups.place() == placeUsername {
		who = username
	}
	filter := strings.Replace(m.groups.Filter, m.groups.place(), directory.EscapeFilter(who), 1)
	request := m.search(m.groups.Base, directory.ScopeWholeSubtree, maxGroups, filter, []string{m.groups.name()})
	result, err := s.conn.Search(request)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, group := range result.Entries {
		if name := first(group, m.groups.name()); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
