// SPDX-License-Identifier: Apache-2.0

// Package provisioning owns the certificates of devices: what a request for one has to look like, whom it may be for, what the
// certificate says, which were issued, and which of them count.
//
// A key pair is made on the device and never leaves it. What it stands for is its [Entity]: one installed app, the apps of a group on
// one device, or the device. The device sends a PKCS#10 request (RFC 2986) together with an [Answer], a JWS by the same key over the
// nonce it was asked with and over the hash of the request, so that nobody can hand in what somebody else has signed. A renewal for
// another key is signed by both. An [Authority] issues; who that is, this package does not know. From then on the device proves with an
// answer by the key of its certificate that it is there.
//
// # The certificate
//
//	subject                 empty, unless a hook says otherwise
//	subjectAltName          critical, one URI: urn:gatehouse:application:<app>:<id>, urn:gatehouse:group:<name>:<id> or
//	                        urn:gatehouse:device:<id>; the id is drawn by the server, 128 bits
//	keyUsage                critical, digitalSignature
//	extendedKeyUsage        clientAuth and nothing else
//	basicConstraints        critical, no CA
//	subject and authority key identifiers
//	serial number           127 random bits
//	validity                from five minutes ago, for 90 days, and no longer than its issuer's
//
// Certificates are seen by whoever listens to a TLS 1.2 handshake: none holds a name, a number or a user.
//
// # What counts
//
// A certificate counts while the record of exactly its bytes says so: it was issued here, it is neither expired nor revoked. What a
// trusted authority has signed for another purpose has no record. The chain it came with is kept with it, so an authority can take
// another key, or another can take its place, while the certificates of before go on to their own end.
//
// A device that nobody knew before costs a signature and records for months, and whoever asks is mostly a stranger: how many there may be
// is bounded ([Budget]), and one that does not show its certificate soon is forgotten, but for what it takes to tell others that the
// certificate is revoked (package withdrawn). A certificate is renewed in the last third of its time. When it is renewed with another
// key, the old one counts until the new one is shown, and never after: the answer may be lost, and whoever has copied the old key is
// left behind.
//
// Every refusal is a [*Refusal] with a reason for the audit trail; what a device is told of it is the same for all of them.
package provisioning
