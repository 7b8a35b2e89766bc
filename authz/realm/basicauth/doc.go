// SPDX-License-Identifier: Apache-2.0

// Package basicauth owns the authenticator that reads a user name and a password from an Authorization field of the Basic scheme
// (RFC 7617), for clients that cannot fill in a form. People and apps that send none are asked as a form asks them. It judges
// nothing: any login module that knows a user name and a password goes with it.
package basicauth
