// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
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
	var says, block strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "}"; {
		to := &block
		if strings.HasPrefix(lines.Text(), "#") {
			to = &says
		}
		to.WriteString(lines.Text() + "\n")
	}
	ts.Setenv("SERVICES", "\n"+strings.TrimPrefix(strings.TrimSpace(block.String()), "mobile {\n"))
	ts.Setenv("IOS", " {\npush apple\napns_environment development\n}")
	ts.Setenv("ANDROID", " {\npush google browsers own\n}")
	ts.Setenv("CA", ts.MkAbs("services/ca.pem"))
	for name, words := range map[string]string{
		"APPLE": "Apple, sandbox: ", "GOOGLE": "Google: ", "BROWSERS": "(?s)Web push: .*?its inbox: ", "OWN": "(?s)of your own: .*?its inbox: ",
		"SUBSCRIBE": "keys of its own: ",
	} {
		found := regexp.MustCompile(words + `(https://\S+)`).FindStringSubmatch(says.String())
		if found == nil {
			ts.Fatalf("nothing is said of %s:\n%s", name, says.String())
		}
		ts.Setenv(name, found[1])
	}
}
