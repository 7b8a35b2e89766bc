// SPDX-License-Identifier: Apache-2.0

package client

// ParseChallenge reads the parameters of the challenge of a scheme.
var ParseChallenge = parseChallenge
