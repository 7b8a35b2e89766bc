// SPDX-License-Identifier: Apache-2.0

// Package way owns what it means for notifications that the way to a push service is broken, where that service is one for all
// phones, such as Apple's or Google's: what breaks there breaks for everybody. What the service itself answers is for its sender.
package way
