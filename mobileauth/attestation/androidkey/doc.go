// SPDX-License-Identifier: Apache-2.0

// Package androidkey owns Android key attestation: the chain of certificates that a phone's keystore makes for a key, and what
// its first certificate says about the key in the extension 1.3.6.1.4.1.11129.2.1.17
// (https://source.android.com/docs/security/features/keystore/attestation).
//
// # What is believed
//
// A chain counts when its last key is one of the configured roots. Roots are compared by key and not by certificate: Google has
// certified the same key several times, and phones send whichever certificate they were made with. Every certificate has to be
// valid now; what phones with certificates of the factory that ran out show is refused.
//
// The extension is read in the first certificate, the one about the key that is registered, and no other certificate may have
// it: a key that is itself attested could otherwise sign a certificate of its own with whatever it likes in it.
//
// # How it is read
//
// All of it is DER, and is walked element by element. A list of authorizations may have tags that are not known yet; they are
// passed over, but have to ascend, so that none stands twice.
package androidkey
