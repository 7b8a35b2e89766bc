// SPDX-License-Identifier: Apache-2.0

// Package served owns what the services for tests have in common that are spoken to over HTTP like any web site: TLS by the authority
// of the tests, HTTP/1.1 and HTTP/2, requests that are kept, and answers that are scripted, broken ones among them.
package served
