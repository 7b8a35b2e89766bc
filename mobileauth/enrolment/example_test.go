// SPDX-License-Identifier: Apache-2.0

package enrolment_test

import (
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
)

// A policy says what differs from nothing, and has the rest filled in.
func ExamplePolicy_Normalize() {
	p, err := enrolment.Policy{
		Keys: true, PushMode: enrolment.Override, PIN: enrolment.PIN{Required: true, MinLength: 8}, Quarantine: true,
	}.Normalize()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.PushMode, p.Confirmation, p.Encryption, p.Attestation, p.PIN.MinLength, p.PIN.MaxAttempts)
	_, err = enrolment.Policy{PIN: enrolment.PIN{MinLength: 3}}.Normalize()
	fmt.Println(err)
	// Output:
	// override digits jose record 8 5
	// checking pin.min_length: want 4 to 32
}
