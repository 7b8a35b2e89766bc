// SPDX-License-Identifier: Apache-2.0

// Package est owns the authority that is reached over EST (RFC 7030): a registration authority, as which it hands requests of devices to a
// certification authority, and what that answers back to the device.
//
// The certification authority is believed to be who the configured roots vouch for (section 3.3.1), and nobody else: the certificates of
// the system are none of them. It knows who is calling by a TLS certificate, by a password, or by both (section 3.2.3).
//
// A request is sent as the device has made it, since only the device could sign another. What the certificate calls the device is
// therefore the certification authority's to say: the subject of the request, unless the configuration lets it say anything. Whoever
// needs the names that Gatehouse gives to devices in certificates takes another authority.
//
// The first certificate of a device is asked for with simpleenroll; one with the names of the one before it with simplereenroll (section
// 4.2.2). An authority that answers later (202) is left alone until the time that it names, and is then sent the same request, as section
// 4.2.3 has it, when the device asks again. Nothing waits meanwhile.
package est
