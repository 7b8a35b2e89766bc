// SPDX-License-Identifier: Apache-2.0

package hold

import (
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
)

// check refuses what cannot be bound to an approval, in which the named header fields stand.
func check(r *http.Request, named []string) *problem {
	switch why := httpx.Shifts(r, confirm.Bound(named)); {
	case why != "":
		return notConfirmable(why)
	case streams(r.Header):
		return notConfirmable("a stream cannot be confirmed")
	case r.Method == http.MethodTrace || r.Method == http.MethodOptions:
		return notConfirmable("a request with this method is not confirmed")
	}
	return nil
}

// streams reports whether an answer is expected that does not end, or a body that is answered while it is sent.
func streams(h http.Header) bool {
	for item := range httpx.Items(h["Accept"]) {
		if t, _, err := mime.ParseMediaType(item); err == nil && t == "text/event-stream" {
			return true
		}
	}
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/grpc" || strings.HasPrefix(t, "application/grpc+"))
}

// read takes the body off a request, up to a limit; what is forwarded is what is bound.
func read(r *http.Request, limit int64) ([]byte, *problem) {
	body, err := httpx.TakeBody(r, limit)
	switch {
	case errors.Is(err, httpx.ErrTooLarge):
		return nil, &problem{Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge, Detail: "a request with a body of more than " +
			strconv.FormatInt(limit, 10) + " bytes cannot be confirmed"}
	case errors.Is(err, httpx.ErrTrailers):
		return nil, notConfirmable(err.Error())
	case err != nil:
		return nil, &problem{Status: http.StatusBadRequest, Code: codeIncomplete, Detail: "the body did not arrive", cause: err}
	}
	return body, nil
}
