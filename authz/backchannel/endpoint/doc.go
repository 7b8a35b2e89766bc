// SPDX-License-Identifier: Apache-2.0

// Package endpoint owns the backchannel authentication endpoint (OpenID CIBA Core 1.0, section 7) and what a client hears when it
// fetches the result (section 11). Before an answer leaves, the request is kept and the person is asked, or nobody is: which of the two
// a client cannot tell, unless it is registered to be told.
package endpoint
