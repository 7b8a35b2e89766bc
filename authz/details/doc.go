// SPDX-License-Identifier: Apache-2.0

// Package details owns the types of authorization_details (RFC 9396): what the operator has registered of each, which is a JSON
// Schema, the sentence in which people are asked, who has to approve and for how many requests an approval is good.
//
// It judges what a client asks for and renders it, and it keeps nothing. What was granted is kept by the records of package authz;
// how details are compared is with their form in internal/oauth. A value that came from a client is shown as it is or refused:
// nothing is removed from what somebody approves.
package details
