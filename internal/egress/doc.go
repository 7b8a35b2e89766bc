// SPDX-License-Identifier: Apache-2.0

// Package egress owns which addresses a request may be sent to that goes where somebody else has named: only public ones, unless the
// operator allows others. It judges the address that is being connected to, after the name was looked up, so that a name which
// changes what it stands for between a check and the connection (DNS rebinding) gains nothing by it.
package egress
