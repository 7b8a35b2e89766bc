// SPDX-License-Identifier: Apache-2.0

// Package provider owns how the service of somebody else is reached that carries our messages: one address, fixed by the
// configuration, over connections that are kept.
//
// What it guarantees: the service is the one that the configured certificate authorities vouch for (or is on this host); it is
// reached directly or through the one proxy of the configuration, whatever the environment says; no redirect is followed, so that
// credentials go nowhere else; a call takes a place first, and neither more time nor more memory than was agreed; errors repeat
// neither the address nor anything that was said, since both may hold what must not be logged.
//
// A [Client] is an [net/http.RoundTripper], so that libraries which speak a service's protocol can be given it as their transport.
package provider
