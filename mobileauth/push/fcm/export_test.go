// SPDX-License-Identifier: Apache-2.0

package fcm

import "github.com/gatehouse-id/gatehouse/mobileauth/push"

// JudgeAnswer reads an answer and says what it means, for the fuzz test.
func JudgeAnswer(status int, body []byte) *push.Failure { return parseAnswer(status, body).failure(0) }

// JudgeToken reads a refused assertion, for the fuzz test.
func JudgeToken(status int, body []byte) *push.Failure { return tokenRefused(status, body, 0) }
