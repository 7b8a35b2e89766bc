// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"strconv"
	"strings"
	"time"
)

// Prompt is the parsed prompt parameter of OpenID Connect Core 3.1.2.1. Unknown values are ignored.
type Prompt struct {
	None, Login, Consent, SelectAccount bool
}

// ParsePrompt reads a prompt parameter. none beside any other value is invalid_request.
func ParsePrompt(text string) (Prompt, error) {
	var p Prompt
	words := strings.Fields(text)
	for _, word := range words {
		switch word {
		case "none":
			p.None = true
		case "login":
			p.Login = true
		case "consent":
			p.Consent = true
		case "select_account":
			p.SelectAccount = true
		}
	}
	if p.None && len(words) > 1 {
		return p, NewError(InvalidRequest, "prompt none does not go with other values")
	}
	return p, nil
}

// ParseMaxAge reads a max_age parameter: a number of seconds. The second result is false when the parameter is absent.
func ParseMaxAge(text string) (time.Duration, bool, error) {
	if text == "" {
		return 0, false, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, false, NewError(InvalidRequest, "max_age is not a number of seconds")
	}
	return time.Duration(seconds) * time.Second, true, nil
}
