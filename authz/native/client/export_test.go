// SPDX-License-Identifier: Apache-2.0

package client

// ParseBearer reads the parameters of a Bearer challenge.
var ParseBearer = parseBearer
