// SPDX-License-Identifier: Apache-2.0

package est

// ReadCerts reads an answer.
var ReadCerts = readCerts
