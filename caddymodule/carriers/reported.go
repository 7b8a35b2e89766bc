// SPDX-License-Identifier: Apache-2.0

package carriers

import "github.com/gatehouse-id/gatehouse/mobileauth/sms"

// reported is a gateway that tells what became of messages.
type reported struct {
	sms.Sender
	sms.Reporter
	address string
}

// ReportsAt returns the public address that the gateway was given for its reports; empty where it was given none.
func (r *reported) ReportsAt() string { return r.address }
