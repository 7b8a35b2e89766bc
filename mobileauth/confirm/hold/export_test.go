// SPDX-License-Identifier: Apache-2.0

package hold

import "net/http"

// FieldsOf returns what stood in a form, and why it could not be sent again.
func FieldsOf(body string) ([]Field, string) {
	return fieldsOf(http.Header{"Content-Type": {formType}}, []byte(body))
}
