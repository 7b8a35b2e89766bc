// SPDX-License-Identifier: Apache-2.0

//go:build !race

package deviceapi_test

const raceDetector = false
