// SPDX-License-Identifier: Apache-2.0

// Package approvals owns the configuration of what is approved in detail (RFC 9396): the types of authorization_details at the
// issuer, and the rule of a protected route by which a request must be what was approved. What a type means is for package
// authz/details; what of a request is read, and how, is for package mobileauth/confirm.
package approvals
