// SPDX-License-Identifier: Apache-2.0

//go:build !race

package fcm_test

const raceDetector = false
