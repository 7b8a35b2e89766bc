// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

// Whoever writes an app reads the page and nothing else.
func TestPageSaysWhatTheCodeDoes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/device-protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	want := []string{
		envelope.ContentType, "gatehouse-device+jwe", "gatehouse-request+jws", "gatehouse-answer+jws", "gatehouse-statement+jws",
		"gatehouse activation lookup v1", "gatehouse activation mac v1", `"gatehouse registration v1\n" lookup "\n"`, `"gatehouse digits v1\n" operation`,
		"16 KiB", "32 KiB", "64 KiB", "60 seconds", "message_refused", "0xBB3D", "gatehouse://enroll?v=1&issuer=", "`" + envelope.NotMe + "`",
		"`" + envelope.Denied + "`", "`" + envelope.IncorrectData + "`", "`" + envelope.MethodPossession + "`", "`" + envelope.FactorPIN + "`",
	}
	for _, path := range append(endpoints, envelope.PathRegistrations) {
		want = append(want, "| `"+path+"` |")
	}
	for _, p := range purposes {
		want = append(want, "| `"+string(p)+"` |")
	}
	for _, c := range []envelope.Code{envelope.CodeOK, envelope.CodeRefused, envelope.CodeGone, envelope.CodeNotAllowed, envelope.CodeRetry} {
		want = append(want, "| `"+string(c)+"` |")
	}
	for _, text := range want {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(page, -1) {
		if !json.Valid([]byte(block[1])) {
			t.Errorf("this is not JSON:\n%s", block[1])
		}
	}
}
