// SPDX-License-Identifier: Apache-2.0

package apns

import (
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// JudgeAnswer reads an answer and says what it means, for the fuzz test.
func JudgeAnswer(status int, body []byte, stored time.Time) *push.Failure {
	return parseAnswer(status, body).failure(stored)
}
