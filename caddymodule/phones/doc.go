// SPDX-License-Identifier: Apache-2.0

// Package phones owns the assembly of the mobile side: it builds devices, operations and their registration over the store of
// the configuration, and the two faces that phones and back ends speak to. It is built where an application registers phones
// or the option "mobile" stands, and is not there otherwise.
//
//	phones    ─► /mobile/v1/… ─► deviceapi ─┐
//	                                        ├─► enrolment, operation, handset ─► store ─► outbox ─► callback
//	back ends ─► /api/v1/…    ─► restapi  ──┘
package phones
