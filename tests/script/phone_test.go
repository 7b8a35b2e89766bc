// SPDX-License-Identifier: Apache-2.0

package script_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

const portalSecret = "portal-secret-0123456789-0123456789"

// api calls the API for back ends as the portal and prints the answer. With "!" it must be refused.
//
//	api <method> <path> [<body>]
func api(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: api <method> <path> [<body>]")
	}
	var body io.Reader
	if len(args) == 3 {
		body = strings.NewReader(args[2])
	}
	r, err := http.NewRequestWithContext(context.Background(), args[0], ts.Getenv("ISSUER")+"/api/v1/"+args[1], body)
	ts.Check(err)
	r.SetBasicAuth("portal", portalSecret)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = response.Body.Close() }() // it has been read
	answer, err := io.ReadAll(response.Body)
	ts.Check(err)
	_, err = fmt.Fprintf(ts.Stdout(), "%s\n", answer)
	ts.Check(err)
	if (response.StatusCode >= http.StatusBadRequest) != neg {
		ts.Fatalf("%s %s: %d %s", args[0], args[1], response.StatusCode, answer)
	}
}

// typed writes what somebody types, a line each, into a file for "stdin".
//
//	typed <file> <line...>
func typed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: typed <file> <line...>")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], "\n")+"\n"), 0o600))
}

// attested has servers that are started from now on ask the phones of the app "vault" for what a test authority says, whose command
// has just printed the digest of apps.
//
//	attested <root certificate>
func attested(ts *testscript.TestScript, neg bool, args []string) {
	digest := regexp.MustCompile(`digest ([0-9a-f]{64})`).FindStringSubmatch(ts.ReadFile("stdout"))
	keys := regexp.MustCompile(`(?m)^\t(?:decryption|verification)_key .*$`).FindAllString(ts.ReadFile("stdout"), -1)
	if neg || len(args) != 1 || digest == nil || len(keys) != 2 {
		ts.Fatalf("usage: attested <root certificate>, after the authority was made")
	}
	ts.Setenv("ATTESTED", `
		application vault {
			android com.example.vault
			ios com.example.vault
			enrollment {
				confirmation none
			}
			attestation android required {
				android_key {
					digest `+digest[1]+`
					root `+ts.MkAbs(args[0])+`
				}
				play_integrity {
					digest `+digest[1]+`
					`+strings.Join(keys, "\n")+`
				}
			}
			attestation ios required {
				app_attest {
					team ABCDE12345
					root `+ts.MkAbs(args[0])+`
				}
			}
		}`)
}

// other keeps digits in a variable of which none is as it was.
//
//	other <variable> <digits>
func other(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: other <variable> <digits>")
	}
	ts.Setenv(args[0], strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, args[1]))
}
