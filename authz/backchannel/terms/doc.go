// SPDX-License-Identifier: Apache-2.0

// Package terms owns what a client is registered for at the backchannel authentication endpoint (OpenID CIBA Core 1.0, section 4):
// how it learns the result, and what its requests must and may look like.
package terms
