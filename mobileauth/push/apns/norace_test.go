// SPDX-License-Identifier: Apache-2.0

//go:build !race

package apns_test

const raceDetector = false
