// SPDX-License-Identifier: Apache-2.0

// Package clientcert owns the header fields in which a proxy that ends TLS passes on the certificate of a client (RFC 9440). It says what
// stands in them, and nothing about who has written it: whoever reads them has to know that it was the proxy.
package clientcert
