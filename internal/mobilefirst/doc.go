// SPDX-License-Identifier: Apache-2.0

// Package mobilefirst owns the way here from IBM Worklight and MobileFirst 7: it reads an authenticationConfig.xml, and an
// application-descriptor.xml beside it, and writes the Caddyfile that asks for the same. What it cannot say it never leaves
// out in silence: it is a finding, and a check without an equivalent stays closed until somebody opens it.
package mobilefirst
