// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-id/gatehouse/caddymodule"
)

// errNoPhones is what an operator is told who asks for something of the mobile side where there is none.
var errNoPhones = errors.New(`the configuration registers no phones: give an application "enrollment"`)

// receiptRoots returns the public root keys by which receipts are verified.
func receiptRoots(app *caddymodule.App, _ http.ResponseWriter, _ *http.Request) (any, error) {
	if app.Phones() == nil {
		return nil, fmt.Errorf("%w: %w", errNoPhones, errRequest)
	}
	set, err := app.Phones().Roots()
	return json.RawMessage(set), err
}
