// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// services starts the copies of all push services, as a person does who reads docs/channels.md, before "serve". Their authority is $CA,
// and their inboxes are $APPLE, $GOOGLE, $BROWSERS and $OWN; $SUBSCRIBE takes subscriptions.
//
//	services
func services(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: services")
	}
	cmd := exec.Command(filepath.Join(folder, "services"), "-dir", ts.MkAbs("services"), "-only", "apns,fcm,webpush,webhook")
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill() // the script is over
		_ = cmd.Wait()         // it was killed
	})
	if lines := bufio.NewScanner(out); !lines.Scan() { // it says all at once, when everything stands in the folder
		ts.Fatalf("the services do not start: %v", lines.Err())
	}
	ts.Setenv("SERVICES", "\nimport "+ts.MkAbs("services/mobile.caddyfile"))
	ts.Setenv("IOS", " {\npush apple\napns_environment development\n}")
	ts.Setenv("ANDROID", " {\npush google browsers own\n}")
	names := map[string]string{
		"SERVICES_CA": "CA", "APPLE_SANDBOX_INBOX": "APPLE", "GOOGLE_INBOX": "GOOGLE", "BROWSERS_INBOX": "BROWSERS", "OWN_INBOX": "OWN",
		"BROWSERS_SUBSCRIBE": "SUBSCRIBE",
	}
	for line := range strings.Lines(ts.ReadFile("services/env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if short, known := names[name]; known {
			ts.Setenv(short, strings.Trim(value, "'"))
			delete(names, name)
		}
	}
	if len(names) > 0 {
		ts.Fatalf("nothing is said of %v", names)
	}
}
