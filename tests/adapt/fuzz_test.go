// SPDX-License-Identifier: Apache-2.0

package adapt_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzGlobal feeds anything into the global option: it becomes JSON that provisions, or an error.
func FuzzGlobal(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		adapted, err := adapt("{\n gatehouse {\n issuer https://auth.example.com\n "+text+"\n }\n}\n", "Caddyfile")
		judge(t, adapted, err)
	})
}

// FuzzProtect feeds anything into a protect block.
func FuzzProtect(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		adapted, err := adapt(issuer+"http://example.com:8080 {\n protect {\n "+text+"\n }\n}\n", "Caddyfile")
		judge(t, adapted, err)
	})
}

// seeds are the lines inside of the blocks of the golden files.
func seeds(f *testing.F) []string {
	files, err := filepath.Glob("testdata/*.caddyfiletest")
	if err != nil {
		f.Fatal(err)
	}
	var all []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		caddyfile, _, _ := strings.Cut(string(content), separator)
		for _, begin := range []string{"gatehouse {\n", "protect {\n"} {
			if _, after, ok := strings.Cut(caddyfile, begin); ok {
				inside, _, _ := strings.Cut(after, "\n}")
				all = append(all, inside)
			}
		}
	}
	return all
}

func judge(t *testing.T, adapted []byte, err error) {
	t.Helper()
	if err == nil {
		if !json.Valid(adapted) {
			t.Fatalf("this is no JSON: %s", adapted)
		}
		for _, reading := range []string{"{file.", "jwks_file", "ca_file", "self_signed_tls_client_auth"} {
			if strings.Contains(string(adapted), reading) {
				return // it would read any file
			}
		}
		err = provision(adapted)
	}
	if err != nil && strings.TrimSpace(err.Error()) == "" {
		t.Error("the error says nothing")
	}
}
