// SPDX-License-Identifier: Apache-2.0

// Package appattest owns Apple's App Attest: the object in which Apple certifies a key of an app on one phone, and the assertions
// that the key makes afterwards
// (https://developer.apple.com/documentation/devicecheck/validating-apps-that-connect-to-your-server).
//
// The key is in the Secure Enclave and does nothing else; what it says about another key, such as the one a phone signs
// approvals with, stands in the client data, whose hash is what this package is given.
//
// # Formats
//
// Both objects are CBOR and look like those of WebAuthn without being any: since iOS 27 a map of extensions may follow the
// authenticator data whatever the flags say, assertions have the flag of attested data without any, and the signature of an
// assertion is over the hash of a hash. So they are read here, and strictly: definite lengths, no key twice, nothing behind.
package appattest
