// SPDX-License-Identifier: Apache-2.0

// Package former owns what a certificate is worth that another system has issued to a device before, such as the authority of a Worklight
// server: whether that authority has signed it, for a device, at a time that is not over, and which device and app of ours its names
// stand for. Nothing stands for anything unless a [Rule] says so, and a certificate that two rules would give to two apps is nobody's.
//
// What it has found good renews once to a certificate of ours and is good for nothing else: see package provisioning. It keeps nothing and
// asks nobody; whom the former system had blocked it is told in a list ([ReadBlocked]). Where the key of a former authority turns out to have
// leaked, [RevokeMoved] takes out who has come from it.
package former
