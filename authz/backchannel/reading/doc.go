// SPDX-License-Identifier: Apache-2.0

// Package reading owns what a request at the backchannel authentication endpoint says (OpenID CIBA Core 1.0, section 7.1): its
// parameters, plain or in a signed request object, whom its one hint names, and which one realm has to be proven for it. Whether there is
// such a person, and asking them, is for the endpoint.
package reading
