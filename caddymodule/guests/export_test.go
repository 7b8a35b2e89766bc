// SPDX-License-Identifier: Apache-2.0

package guests

import "log/slog"

// Build is what Provision does, with a log of the test's.
func (m *LDAP) Build(logger *slog.Logger) error { return m.build(logger) }
