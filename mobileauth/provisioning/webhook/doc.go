// SPDX-License-Identifier: Apache-2.0

// Package webhook owns the authority that is a service of the operator's: it is asked for each certificate by one POST of JSON, and
// answers with the certificate and its chain, or that it has not decided yet.
package webhook
