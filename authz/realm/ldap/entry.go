// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	directory "github.com/go-ldap/ldap/v3"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// binary are the attributes of Active Directory whose octets are no text.
var binary = []string{"objectguid", "objectsid"}

// userSearch looks for the entries that a login name stands for: one more than there should be is enough to know.
func (m *Module) userSearch(username string) *directory.SearchRequest {
	filter := strings.Replace(m.filter, placeUsername, directory.EscapeFilter(username), 1)
	return m.search(m.base, directory.ScopeWholeSubtree, 2, filter, m.wanted)
}

// ownSearch looks for one entry by its name.
func (m *Module) ownSearch(dn string) *directory.SearchRequest {
	return m.search(dn, directory.ScopeBaseObject, 1, "(objectClass=*)", m.wanted)
}

func (m *Module) search(base string, scope, limit int, filter string, attributes []string) *directory.SearchRequest {
	seconds := max(1, int(m.timeout/time.Second))
	request := directory.NewSearchRequest(base, scope, directory.NeverDerefAliases, limit, seconds, false, filter, attributes, nil)
	request.EnforceSizeLimit = true // a directory may not heed it
	return request
}

// find returns the one entry that a search finds; else the reason why there is none. Where the directory refers to others,
// nobody follows.
func (s *session) find(request *directory.SearchRequest) (entry *directory.Entry, unknown string, err error) {
	result, err := s.conn.Search(request)
	if result != nil && len(result.Entries) > 1 {
		return nil, reasonAmbiguous, nil
	}
	if err != nil {
		return nil, "", err
	}
	if len(result.Entries) == 0 {
		return nil, reasonUnknown, nil
	}
	if result.Entries[0].DN == "" {
		return nil, "", errors.New("the entry has no name")
	}
	return result.Entries[0], "", nil
}

// identity makes an identity of an entry.
func (m *Module) identity(entry *directory.Entry) (realm.Identity, error) {
	values := map[string]string{}
	for _, name := range m.wanted {
		values[name] = first(entry, name)
	}
	id, err := only(entry, m.mapping.ID)
	if err != nil {
		return realm.Identity{}, err
	}
	values[m.mapping.ID] = id
	identity, ok := m.mapping.Whole(values)
	if !ok {
		return realm.Identity{}, fmt.Errorf("the attribute %q of the user's entry is no usable id", m.mapping.ID)
	}
	return identity, nil
}

// first returns the first value of an attribute, or nothing.
func first(entry *directory.Entry, name string) string {
	values := raw(entry, name)
	if len(values) == 0 {
		return ""
	}
	return text(name, values[0])
}

// only returns the value of an attribute that has one: of several, none tells who somebody is.
func only(entry *directory.Entry, name string) (string, error) {
	values := raw(entry, name)
	if len(values) != 1 {
		return "", fmt.Errorf("the user's entry has %d values of the attribute %q, not one", len(values), name)
	}
	return text(name, values[0]), nil
}

// raw returns the values of an attribute, whose name the directory may write in another case (RFC 4512 2.5).
func raw(entry *directory.Entry, name string) [][]byte {
	i := slices.IndexFunc(entry.Attributes, func(a *directory.EntryAttribute) bool { return strings.EqualFold(a.Name, name) })
	if i < 0 {
		return nil
	}
	return entry.Attributes[i].ByteValues
}

func text(name string, value []byte) string {
	if slices.Contains(binary, strings.ToLower(name)) {
		return hex.EncodeToString(value)
	}
	return string(value)
}
