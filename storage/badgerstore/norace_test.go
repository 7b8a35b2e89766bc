// SPDX-License-Identifier: Apache-2.0

//go:build !race

package badgerstore_test

const raceDetector = false
