// SPDX-License-Identifier: Apache-2.0

// Package approval owns the comparison of a request at a protected route with what its token says was approved in detail (RFC 9396
// 9), and the using up of what is good once. What of a request is read, and how, is for package mobileauth/confirm.
package approval
