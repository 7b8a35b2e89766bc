// SPDX-License-Identifier: Apache-2.0

// Package confirming owns how a rule of a site has requests confirmed on a phone: the option "confirm" of the directive "protect",
// and what joins the gate, which knows who is asking, with packages confirm and hold, which know nothing of tokens and of Caddy.
package confirming
