// SPDX-License-Identifier: Apache-2.0

// Package tour owns "gatehouse demo": the whole product in a minute, against the server of the example Caddyfile. It plays all
// parties itself (a back end, an app, a person, their phone and an auditor), shows every message between them and the server, and
// ends with a receipt that it verifies without asking anybody.
//
// It knows the server by its public endpoints alone, as anybody's program would. What it adds to the server it removes: the phone.
package tour
