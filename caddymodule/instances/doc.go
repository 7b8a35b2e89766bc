// SPDX-License-Identifier: Apache-2.0

// Package instances owns the part of the configuration that lets the instances of apps register as clients (RFC 7591): what each app's
// instances may have, who is admitted, and whose software statements are believed.
package instances
