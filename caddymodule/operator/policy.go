// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"net/http"

	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/policy"
)

// explainPolicy says which rules a request would meet. It sends none.
func explainPolicy(app *caddymodule.App, w http.ResponseWriter, r *http.Request) (any, error) {
	var question policy.Question
	if err := body(w, r, &question); err != nil {
		return nil, err
	}
	served, err := app.HTTP()
	if err != nil {
		return nil, err
	}
	return policy.Explain(app, served, question)
}
