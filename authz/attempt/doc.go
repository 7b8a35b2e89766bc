// SPDX-License-Identifier: Apache-2.0

// Package attempt owns one attempt at a realm, on whatever face it is made: the pages for browsers and the endpoint for apps.
// It puts together what the realm may know of the caller, has the engine judge, holds the result against the user who is
// expected, bounds how often an address is refused, and keeps the audit trail. What to show and which records to change is
// for the face.
package attempt
