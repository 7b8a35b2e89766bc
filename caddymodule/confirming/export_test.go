// SPDX-License-Identifier: Apache-2.0

package confirming

import (
	"net/http"

	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
)

// Pages returns what answers browsers with pages.
func Pages() (show func(http.ResponseWriter, *http.Request, *hold.Page), file func(http.ResponseWriter, *http.Request) bool, err error) {
	c := new(Confirming)
	err = c.openPages()
	return c.show, c.ServeFile, err
}
