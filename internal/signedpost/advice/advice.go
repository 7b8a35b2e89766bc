// SPDX-License-Identifier: Apache-2.0

package advice

import (
	"errors"
	"net/http"

	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
)

// Of returns what [signedpost.Client.Post] returned with what the outbox is to do: a receiver that is gone (410) is not tried again,
// and one that wants to be left alone (Retry-After) is, for as long as it says. Any other error is returned as it is, and so is nil.
func Of(err error) error {
	var answer *signedpost.Answer
	switch {
	case !errors.As(err, &answer):
		return err
	case answer.Status == http.StatusGone:
		return outbox.Permanent(err)
	case answer.RetryAfter > 0:
		return outbox.Retry(answer.RetryAfter, err)
	}
	return err
}
