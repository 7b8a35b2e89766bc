// SPDX-License-Identifier: Apache-2.0

package realm

import "strings"

// AnonymousPrefix begins the subjects behind whom no user stands, followed by an underscore. No user's id begins so.
const AnonymousPrefix = "anon"

// Anonymous reports whether a subject was made up for somebody whom nobody knows: there is no user of that id, with a name, a
// status or a profile.
func Anonymous(subject string) bool { return strings.HasPrefix(subject, AnonymousPrefix+"_") }
