// SPDX-License-Identifier: Apache-2.0

package device_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// A phone registers with what its camera has read, and then answers what is asked.
func Example() {
	var scanned, pin, typed string                                   // by the person
	keep := func(context.Context, device.State) error { return nil } // in the app's own files
	keys := new(device.SoftStore)                                    // on a phone, its hardware

	phone := func(ctx context.Context) error {
		invitation, err := envelope.ParseInvitation(scanned)
		if err != nil {
			return err
		}
		d, err := device.Enrol(ctx, device.Config{
			Client: &http.Client{Timeout: time.Minute}, Keystore: keys, Vault: keys, Now: time.Now, Save: keep,
		}, device.Enrolment{Invitation: invitation, Application: "bank", Version: "2.0.1", Platform: "android", PIN: pin})
		if err != nil {
			return err
		}
		fmt.Println("Type this where you scanned the code:", d.State().Digits)

		waiting, err := d.Pending(ctx, 30*time.Second)
		if err != nil {
			return err
		}
		for _, w := range waiting {
			q, err := d.Fetch(ctx, w.Operation)
			if err != nil {
				return err
			}
			fmt.Println(q.Title, q.Content, q.Fields) // all of it, and nothing else
			if err := d.Approve(ctx, q, device.Approval{Proof: device.Proof{PIN: pin}, Number: typed}); err != nil {
				return err // a *device.RefusedError says how many tries remain
			}
		}
		return nil
	}
	_ = phone
}
