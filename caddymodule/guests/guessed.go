// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule"
)

const usernameField = "username"

// GuessedField names the answer that holds the name.
func (m *Database) GuessedField() string { return cmp.Or(m.UserField, usernameField) }

// GuessedField names the answer that holds the name.
func (m *LDAP) GuessedField() string { return cmp.Or(m.UserField, usernameField) }

// GuessedField names the answer that holds the name.
func (m *WebService) GuessedField() string { return cmp.Or(m.UserField, usernameField) }

// Interface guards.
var (
	_ caddymodule.Guessable = (*Database)(nil)
	_ caddymodule.Guessable = (*LDAP)(nil)
	_ caddymodule.Guessable = (*WebService)(nil)
)
